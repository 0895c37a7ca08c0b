import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.encoders.history_tokens import HistoryTokens
from tfmmrec.types import UsageError

TABLE = np.array([[1, 2], [3, 0], [4, 5], [0, 0]], np.float32)
ROWS = np.array([[2, -1, 0, 1], [-1, -1, -1, -1], [-1, 1, -1, -1], [3, 3, 2, 2]], np.int32)


def test_the_newest_texts_stand_one_behind_the_other():
    embedded = HistoryTokens(4, 2)({"rows": tf.constant(ROWS), "table": tf.constant(TABLE)})
    expected = [[4, 5, 1, 2], [0, 0, 0, 0], [3, 0, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(embedded["vector"], expected)
    np.testing.assert_array_equal(embedded["present"], [True, False, True, True])
    assert embedded["vector"].shape == (4, 4) and embedded["vector"].dtype == tf.float32


def test_a_history_that_is_shorter_than_what_is_read():
    embedded = HistoryTokens(4, 3)({"rows": tf.constant(ROWS[:, :1]), "table": tf.constant(TABLE)})
    np.testing.assert_array_equal(embedded["vector"][0], [4, 5, 0, 0, 0, 0])


def test_dropout_leaves_entries_out_in_training_only_and_others_take_their_places():
    tf.keras.utils.set_random_seed(0)
    encoder = HistoryTokens(4, 1, dropout=0.5)
    rows = np.tile(np.array([[0, 1, 2, 2]], np.int32), [200, 1])
    inputs = {"rows": tf.constant(rows), "table": tf.constant(TABLE)}
    np.testing.assert_array_equal(encoder(inputs)["vector"], np.tile(TABLE[:1], [200, 1]))
    first = encoder(inputs, training=True)["vector"].numpy()[:, 0]
    assert {1.0, 3.0, 4.0} <= set(first)
    assert 0.35 < np.mean(first == 1) < 0.65


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_leaves_tokens_as_they_are(policy):
    tf.keras.mixed_precision.set_global_policy(policy)
    try:
        table = tf.constant([[4099.0], [128512.0]])
        found = HistoryTokens(2, 2)({"rows": tf.constant([[0, 1]]), "table": table})["vector"]
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    np.testing.assert_array_equal(found, [[4099.0, 128512.0]])


def test_config():
    encoder = HistoryTokens(4, 2, 0.25, name="history")
    assert HistoryTokens.from_config(encoder.get_config()).get_config() == encoder.get_config()
    with pytest.raises(UsageError, match="number of texts read of a history must be at least 1, got 0"):
        HistoryTokens(4, 0)
