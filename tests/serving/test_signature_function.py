import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tfmmrec.serving.inputs import make_input
from tfmmrec.serving.signature_function import signature_function, spread

INPUTS = {
    made.name: made
    for made in (
        make_input("factor", tf.float32, 2.0, ""),
        make_input("name", tf.string, "", ""),
        make_input("other", tf.string, "", ""),
        make_input("words", tf.string, "?", "", [2]),
    )
}


@pytest.fixture
def function():
    def body(given):
        first = tf.strings.join([given["name"], given["other"], given["words"][:, 0]], ":")
        return {"text": first, "factor": given["factor"]}

    return signature_function("say", INPUTS, ["name", "other"], body)


def test_what_is_left_out_has_its_default_in_every_row(function):
    found = function(tf.constant(["a", "b", "c"]), tf.constant(["x"]))
    np.testing.assert_array_equal(found["text"], [b"a:x:?", b"b:x:?", b"c:x:?"])
    np.testing.assert_array_equal(found["factor"], [2, 2, 2])


def test_one_row_counts_for_all(function):
    found = function(tf.constant(["a"]), tf.constant(["x", "y"]), factor=tf.constant([5.0]))
    np.testing.assert_array_equal(found["text"], [b"a:x:?", b"a:y:?"])
    np.testing.assert_array_equal(found["factor"], [5, 5])
    found = function(tf.constant(["a"]), tf.constant(["x", "y"]), factor=tf.constant([5.0, 6.0]))
    np.testing.assert_array_equal(found["factor"], [5, 6])


def test_sizes_that_differ_are_an_error(function):
    words = r"must have one row, or as many as the largest; the rows of name, other, factor, words are\] \[3 1 2 1\]"
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        function(tf.constant(["a", "b", "c"]), tf.constant(["x"]), factor=tf.constant([5.0, 6.0]))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"are\] \[3 2 1 1\]"):
        function(tf.constant(["a", "b", "c"]), tf.constant(["x", "y"]))


def test_an_empty_batch(function):
    assert function(tf.zeros([0], tf.string), tf.constant(["x"]))["text"].shape == (0,)


def test_defaults_reach_the_signature(function, tmp_path):
    module = tf.Module()
    module.say = function
    tf.saved_model.save(module, str(tmp_path), signatures={"say": function})
    content = (tmp_path / "saved_model.pb").read_bytes()
    signature = saved_model_pb2.SavedModel.FromString(content).meta_graphs[0].signature_def["say"]
    assert set(signature.inputs) == set(INPUTS) and set(signature.defaults) == {"factor", "words"}
    assert tf.make_ndarray(signature.defaults["words"]).tolist() == [[b"?", b"?"]]


def test_spread():
    np.testing.assert_array_equal(spread(tf.constant([[1, 2]]), tf.constant(3)), [[1, 2]] * 3)
    with pytest.raises(tf.errors.InvalidArgumentError):
        spread(tf.constant([1, 2]), tf.constant(3))
