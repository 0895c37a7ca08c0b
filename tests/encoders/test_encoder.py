import pytest
import tensorflow as tf

from tfmmrec.encoders import Encoder


class Unfinished(Encoder):
    pass


def test_what_an_encoder_must_say_is_asked_for_by_name():
    encoder = Unfinished()
    with pytest.raises(NotImplementedError, match="Unfinished does not say its raw_spec"):
        encoder.raw_spec()
    with pytest.raises(NotImplementedError, match="Unfinished has no preprocess"):
        encoder.preprocess(tf.zeros([1]))
    with pytest.raises(NotImplementedError, match="Unfinished has no call"):
        encoder.call({})


def test_inputs_keep_their_precision_under_mixed_precision():
    class Seen(Encoder):
        def call(self, inputs, training=None):
            return inputs["value"]

    value = tf.constant([2001.0, 1e6])  # float16 has no 1e6 and bfloat16 no 2001
    for policy in ("mixed_float16", "mixed_bfloat16"):
        seen = Seen(dtype=policy)({"value": value})
        assert seen.dtype == tf.float32
        assert seen.numpy().tolist() == [2001.0, 1e6]
