import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.encoders import CategoryEncoder
from tfmmrec.types import UsageError

VALUES = ["red", "green", "blue"]


def encode(encoder, raw):
    return encoder(encoder.preprocess(tf.constant(raw)))


def codes(encoder, raw):
    return encoder.preprocess(tf.constant(raw))["codes"].numpy().tolist()


def test_one_value():
    encoder = CategoryEncoder(VALUES, 3)
    assert codes(encoder, ["blue", " red ", "pink", ""]) == [[2], [0], [-1], [-1]]
    found = encode(encoder, ["blue", "pink"])
    np.testing.assert_array_equal(found["vector"], [encoder.embeddings.numpy()[2], np.zeros(3)])
    assert found["present"].numpy().tolist() == [True, False]


def test_several_values_in_one_string_are_averaged_over_the_known_ones():
    encoder = CategoryEncoder(VALUES, 3, separator="|", max_values=4)
    assert codes(encoder, ["red|blue", "red||pink| green", ""]) == [[0, 2, -1, -1], [0, -1, -1, 1], [-1] * 4]
    red, green, blue = encoder.embeddings.numpy()
    found = encode(encoder, ["red|blue", "red||pink| green", ""])
    np.testing.assert_allclose(found["vector"], [(red + blue) / 2, (red + green) / 2, np.zeros(3)], rtol=1e-6)
    assert found["present"].numpy().tolist() == [True, True, False]


def test_its_terms_are_the_values_that_are_known():
    encoder = CategoryEncoder(VALUES, 3, separator="|", max_values=4)
    found = encode(encoder, ["red|blue", "red||pink| green", ""])
    kept = found["term_weights"].numpy() == 1.0
    terms = [row[there].tolist() for row, there in zip(found["terms"].numpy(), kept, strict=True)]
    assert terms == [[0, 2], [0, 1], []] and encoder.num_terms == 3
    assert not found["term_weights"].numpy()[~kept].any()


def test_a_separator_is_no_pattern():
    assert codes(CategoryEncoder(["a", "b"], 2, separator=".*", max_values=2), ["a.*b", "a.b"]) == [[0, 1], [-1, -1]]


def test_more_values_than_the_cap_are_cut_off():
    encoder = CategoryEncoder(VALUES, 3, separator=",", max_values=2)
    assert codes(encoder, ["blue,green,red"]) == [[2, 1]]


def test_a_list_of_values():
    encoder = CategoryEncoder(VALUES, 3, max_values=2, is_list=True)
    assert encoder.raw_spec() == tf.TensorSpec([None, 2], tf.string)
    found = encode(encoder, [["green", "red"], ["green", ""], ["", ""]])
    red, green, _ = encoder.embeddings.numpy()
    np.testing.assert_allclose(found["vector"], [(red + green) / 2, green, np.zeros(3)], rtol=1e-6)


def test_a_list_with_a_separator_is_refused():
    with pytest.raises(UsageError, match="a list or a string with a separator, not both; leave one out"):
        CategoryEncoder(VALUES, 3, separator="|", is_list=True)


def test_without_a_vocabulary_nothing_is_present():
    assert not encode(CategoryEncoder([], 3), ["a", ""])["present"].numpy().any()
