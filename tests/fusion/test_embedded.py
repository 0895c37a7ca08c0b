import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.fusion.embedded import masked_vectors, presence
from tfmmrec.types import UsageError


def embedded():
    return {
        "b": {"vector": tf.constant([[1.0, 2.0], [3.0, 4.0]]), "present": tf.constant([True, False])},
        "a": {"vector": tf.constant([[float("nan")], [5.0]]), "present": tf.constant([False, True])},
    }


def test_vectors_come_by_name_and_are_zero_where_absent():
    a, b = masked_vectors(embedded(), "float32")
    np.testing.assert_array_equal(a, [[0.0], [5.0]])
    np.testing.assert_array_equal(b, [[1.0, 2.0], [0.0, 0.0]])


def test_presence_comes_by_name():
    np.testing.assert_array_equal(presence(embedded(), "float32"), [[0, 1], [1, 0]])


def test_they_have_the_type_that_is_asked_for():
    assert {vector.dtype for vector in masked_vectors(embedded(), "float16")} == {tf.float16}
    assert presence(embedded(), "bfloat16").dtype == tf.bfloat16


def test_no_modality_is_refused():
    with pytest.raises(UsageError, match="a fusion needs at least one modality, got none; give the tower an encoder"):
        masked_vectors({}, "float32")


def test_an_absent_vector_gets_no_gradient():
    vector = tf.Variable([[1.0, 2.0], [3.0, 4.0]])
    with tf.GradientTape() as tape:
        parts = {"a": {"vector": tf.convert_to_tensor(vector), "present": tf.constant([True, False])}}
        loss = tf.reduce_sum(masked_vectors(parts, "float32")[0])
    np.testing.assert_array_equal(tape.gradient(loss, vector), [[1.0, 1.0], [0.0, 0.0]])
