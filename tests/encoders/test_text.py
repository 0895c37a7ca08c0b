import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.encoders import TextEncoder
from tfmmrec.encoders.text import split_words
from tfmmrec.types import UsageError

WORDS = ["red", "wool", "coat"]
IDF = [1.0, 2.0, 4.0]


def encode(encoder, raw):
    return encoder(encoder.preprocess(tf.constant(raw)))


def test_words_are_lower_cased_runs_of_letters_and_digits():
    texts = ["A red-wool COAT, 2 sizes!", "ÜBER große", "snake_case", "", "  ?! ", "l'été 東京"]
    assert split_words(tf.constant(texts)).to_list() == [
        [b"a", b"red", b"wool", b"coat", b"2", b"sizes"],
        ["über".encode(), "große".encode()],
        [b"snake", b"case"],
        [],
        [],
        [b"l", "été".encode(), "東京".encode()],
    ]


def test_the_vector_is_the_weighted_bag_of_known_words():
    encoder = TextEncoder(WORDS, 3, idf=IDF)
    red, wool, coat = encoder.embeddings.numpy()
    found = encode(encoder, ["red coat", "Wool, wool of unknown", "of"])
    # a word that stands there twice counts twice, in the sum and in the norm
    expected = [(1 * red + 4 * coat) / np.sqrt(17), (2 * wool + 2 * wool) / np.sqrt(8), np.zeros(3)]
    np.testing.assert_allclose(found["vector"], expected, rtol=1e-5, atol=1e-7)
    assert found["present"].numpy().tolist() == [True, True, False]


def test_its_terms_are_its_words_with_the_weights_of_the_bag():
    encoder = TextEncoder(WORDS, 3, idf=IDF, max_words=6)
    found = encode(encoder, ["red coat", "Wool, wool of unknown", "of"])
    columns = np.zeros((3, encoder.num_terms))
    for row, (terms, weights) in enumerate(zip(found["terms"].numpy(), found["term_weights"].numpy(), strict=True)):
        np.add.at(columns[row], terms, weights)
    expected = [[1 / np.sqrt(17), 0, 4 / np.sqrt(17)], [0, 4 / np.sqrt(8), 0], [0, 0, 0]]
    np.testing.assert_allclose(columns, expected, rtol=1e-5)


def test_without_idf_all_words_weigh_the_same():
    encoder = TextEncoder(WORDS, 3)
    red, wool, _ = encoder.embeddings.numpy()
    np.testing.assert_allclose(encode(encoder, ["red wool"])["vector"], [(red + wool) / np.sqrt(2)], rtol=1e-5)


def test_the_sequence_has_the_words_in_their_order():
    encoder = TextEncoder(WORDS, 2, max_words=4)
    found = encode(encoder, ["coat of red"])
    assert found["sequence"].shape == [1, 4, 2]
    assert found["sequence_mask"].numpy().tolist() == [[True, False, True, False]]
    np.testing.assert_array_equal(found["sequence"][0, 0], encoder.embeddings[2])
    np.testing.assert_array_equal(found["sequence"][0, 2], encoder.embeddings[0])


def test_only_so_many_words_are_read():
    encoder = TextEncoder(WORDS, 2, max_words=2)
    assert encoder.preprocess(tf.constant(["x red coat"]))["words"].numpy().tolist() == [[-1, 0]]


def test_given_embeddings_are_where_it_starts():
    start = np.arange(6, dtype=np.float32).reshape(3, 2)
    encoder = TextEncoder(WORDS, 2, embeddings=start)
    np.testing.assert_array_equal(encoder.embeddings, start)
    with pytest.raises(UsageError, match=r"embeddings must be \[3, 2\], got \[2, 2\]"):
        TextEncoder(WORDS, 2, embeddings=start[:2])


def test_the_idf_is_kept_but_not_trained():
    encoder = TextEncoder(WORDS, 2, idf=IDF)
    assert [variable.name for variable in encoder.trainable_variables] == ["embeddings:0"]
    assert any(np.array_equal(weight, IDF) for weight in encoder.get_weights())


def test_bytes_that_are_no_utf8_are_read_as_far_as_they_go():
    assert encode(TextEncoder(WORDS, 2), [b"red \xff\xfe coat"])["present"].numpy().tolist() == [True]


def test_arguments_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match="idf needs one weight for each of the 3 words, got 2"):
        TextEncoder(WORDS, 2, idf=[1.0, 2.0])
    with pytest.raises(UsageError, match="max_words must be at least 1, got 0"):
        TextEncoder(WORDS, 2, max_words=0)


def test_without_a_vocabulary_nothing_is_present():
    found = encode(TextEncoder([], 2, idf=[]), ["red", ""])
    assert not found["present"].numpy().any()
    np.testing.assert_array_equal(found["vector"], np.zeros((2, 2)))
