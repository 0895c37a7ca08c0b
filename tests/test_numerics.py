import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.numerics import numerics


@pytest.mark.parametrize(
    ("precision", "computes_in"), [("none", "float32"), ("float16", "float16"), ("bfloat16", "bfloat16")]
)
def test_the_precision_holds_inside_and_is_put_back_after_an_error(precision, computes_in):
    with pytest.raises(KeyError), numerics(0, mixed_precision=precision):
        assert tf.keras.layers.Dense(1).compute_dtype == computes_in
        raise KeyError
    assert tf.keras.layers.Dense(1).compute_dtype == "float32"


def test_what_is_drawn_goes_by_the_seed():
    drawn = []
    for seed in (3, 3, 4):
        with numerics(seed):
            drawn.append((float(np.random.rand()), float(tf.random.uniform([]))))
    assert drawn[0] == drawn[1] and drawn[0][0] != drawn[2][0] and drawn[0][1] != drawn[2][1]
