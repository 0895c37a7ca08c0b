import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.encoders.text_tokens import CharacterTokens, WordTable, WordTokens, joined_texts
from tfmmrec.types import UsageError

WORDS = ["red", "dress", "hat"]


def table(dim=4):
    return WordTable(WORDS, dim, [1.0, 2.0, 3.0], name="words")


def test_words_are_counted_from_one_and_the_rest_is_padding():
    encoder = WordTokens(table(), max_words=3)
    inputs = encoder.preprocess(tf.constant(["A red DRESS!", "hat hat hat hat", "", "unknown"]))
    expected = [[0, 1, 2], [3, 3, 3], [0, 0, 0], [0, 0, 0]]
    np.testing.assert_array_equal(inputs["tokens"], expected)
    embedded = encoder(inputs)
    assert embedded["vector"].dtype == tf.float32
    np.testing.assert_array_equal(embedded["vector"], expected)
    np.testing.assert_array_equal(embedded["present"], [True, True, False, False])


def test_characters_are_code_points_and_a_text_has_an_end():
    encoder = CharacterTokens(max_characters=4)
    texts = [" Hüte \n", "a", "", "  ", "日本語😀!"]
    tokens = encoder.preprocess(tf.constant(texts))["tokens"].numpy()
    kept = ["Hüte. ", "a. ", "", "", "日本語😀. "]
    expected = [[ord(character) for character in text] + [0] * (6 - len(text)) for text in kept]
    np.testing.assert_array_equal(tokens, expected)
    embedded = encoder({"tokens": tf.constant(tokens)})
    assert embedded["vector"].dtype == tf.float32
    np.testing.assert_array_equal(embedded["present"], [True, True, False, False, True])
    # float32 has every code point, so that the text comes back
    assert [text.decode() for text in joined_texts(embedded["vector"]).numpy()] == kept


def test_bytes_that_are_no_utf_8_are_replaced():
    tokens = CharacterTokens(max_characters=2).preprocess(tf.constant([b"\xffa"]))["tokens"].numpy()
    np.testing.assert_array_equal(tokens, [[0xFFFD, ord("a"), ord("."), ord(" ")]])


def test_texts_are_joined_over_what_lies_between_them():
    codes = tf.constant([[0, 72, 105, 0, 0, 33], [0, 0, 0, 0, 0, 0]], tf.float32)
    assert joined_texts(codes).numpy().tolist() == [b"Hi!", b""]


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_leaves_tokens_as_they_are(policy):
    tf.keras.mixed_precision.set_global_policy(policy)
    try:
        vocabulary = [f"w{i}" for i in range(5000)]
        words = WordTable(vocabulary, 2, name="words")
        encoder = WordTokens(words, max_words=1)
        tokens = encoder(encoder.preprocess(tf.constant(["w4998"])))["vector"]
        found = words(tokens)
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    np.testing.assert_array_equal(tokens, [[4999.0]])
    np.testing.assert_allclose(found.numpy()[0, 0], words.embeddings.numpy()[4998], rtol=1e-2)


def test_embeddings_of_tokens():
    words = table()
    found = words(tf.constant([[2.0, 0.0], [1.0, 3.0]])).numpy()
    rows = words.embeddings.numpy()
    np.testing.assert_array_equal(found[0, 0], rows[1])
    np.testing.assert_array_equal(found[1], rows[[0, 2]])


def test_a_table_begins_with_directions_where_there_are_any():
    words = table(2)
    before = words.embeddings.numpy()
    words.begin_with(np.array([[3.0, 4.0], [0.0, 0.0], [0.0, -0.5]], np.float32))
    np.testing.assert_allclose(words.embeddings, [[0.6, 0.8], before[1], [0.0, -1.0]], rtol=1e-6)


def test_parts_share_a_table_and_come_back_from_their_config():
    words = table()
    title, plot = WordTokens(words, 3, name="title"), WordTokens(words, 5, name="plot")
    assert title.trainable_variables[0] is plot.trainable_variables[0]
    again = WordTokens.from_config(title.get_config())
    assert again.get_config() == title.get_config() and again.table.idf == [1.0, 2.0, 3.0]
    characters = CharacterTokens(7, name="title")
    assert CharacterTokens.from_config(characters.get_config()).get_config() == characters.get_config()


def test_an_empty_vocabulary_knows_nothing():
    encoder = WordTokens(WordTable([], 2), max_words=2)
    np.testing.assert_array_equal(encoder.preprocess(tf.constant(["red"]))["tokens"], [[0, 0]])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WordTable(WORDS, 0), "dim of words must be at least 1, got 0"),
        (lambda: WordTable(WORDS, 2, [1.0]), "idf needs one weight for each of the 3 words, got 1"),
        (lambda: WordTokens(table(), 0), "max_words must be at least 1, got 0"),
        (lambda: CharacterTokens(0), "max_characters must be at least 1, got 0"),
    ],
)
def test_numbers_out_of_range(make, message):
    with pytest.raises(UsageError, match=message):
        make()
