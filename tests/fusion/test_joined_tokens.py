import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.fusion.joined_tokens import JoinedTokens
from tfmmrec.types import UsageError

PARTS = {
    "plot": {"vector": np.array([[4099.0, 0.0], [0.0, 0.0]], np.float32), "present": np.array([True, False])},
    "title": {"vector": np.array([[7.0], [8.0]], np.float32), "present": np.array([True, True])},
}


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_texts_in_their_order(policy):
    tf.keras.mixed_precision.set_global_policy(policy)
    try:
        found = JoinedTokens(["title", "plot"])(PARTS)
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    assert found.dtype == tf.float32
    np.testing.assert_array_equal(found, [[7.0, 4099.0, 0.0], [8.0, 0.0, 0.0]])


def test_config_and_other_texts():
    fusion = JoinedTokens(["title"], name="fusion")
    assert JoinedTokens.from_config(fusion.get_config()).get_config() == fusion.get_config()
    with pytest.raises(UsageError, match=r"fusion joins the texts \['title'\], got \['plot', 'title'\]"):
        fusion(PARTS)
