import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.pretrained.text_input import (
    from_bytes,
    pack_tokens,
    pool_tokens,
    to_bytes,
    without_accents,
    without_padding,
)

SEQUENCE = np.random.default_rng(0).normal(size=(3, 4, 2)).astype(np.float32)
MASK = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1]], bool)


def test_tokens_stand_between_a_start_and_an_end():
    tokens = tf.ragged.constant([[5, 6], [], [5, 6, 7, 8, 9]], dtype=tf.int64)
    packed = pack_tokens(tokens, start=1, end=2, pad=3, length=5)
    assert packed["token_ids"].dtype == tf.int32
    np.testing.assert_array_equal(packed["token_ids"], [[1, 5, 6, 2, 3], [1, 2, 3, 3, 3], [1, 5, 6, 7, 2]])
    np.testing.assert_array_equal(packed["padding_mask"], [[1, 1, 1, 1, 0], [1, 1, 0, 0, 0], [1, 1, 1, 1, 1]])


def test_the_shape_is_static():
    specs = [tf.RaggedTensorSpec([None, None], tf.int32)]
    pack = tf.function(lambda tokens: pack_tokens(tokens, 1, 2, 0, 6), input_signature=specs)
    found = pack.get_concrete_function().structured_outputs
    assert [tensor.shape.as_list() for tensor in found.values()] == [[None, 6], [None, 6]]


def test_padding_that_nobody_needs_is_left_out():
    tensors = {"token_ids": tf.range(8)[None, :] + tf.zeros([2, 1], tf.int32)}
    tensors["padding_mask"] = tf.sequence_mask([2, 5], 8)
    found = without_padding(tensors)
    np.testing.assert_array_equal(found["token_ids"], [range(5)] * 2)
    assert found["padding_mask"].shape == [2, 5]
    empty = {"token_ids": tf.zeros([0, 8], tf.int32), "padding_mask": tf.zeros([0, 8], tf.bool)}
    assert without_padding(empty)["token_ids"].shape[0] == 0


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
def test_pooling_reads_what_is_there(pooling):
    rows = [SEQUENCE[i, : MASK[i].sum()] for i in range(3)]
    expected = [{"mean": row.mean(0), "max": row.max(0), "cls": row[0]}[pooling] for row in rows]
    np.testing.assert_allclose(pool_tokens(tf.constant(SEQUENCE), tf.constant(MASK), pooling), expected, rtol=1e-6)
    everywhere = pool_tokens(tf.constant(SEQUENCE), tf.ones([3, 4], tf.bool), pooling)
    np.testing.assert_allclose(pool_tokens(tf.constant(SEQUENCE), None, pooling), everywhere, rtol=1e-6)


def test_a_row_of_nothing_is_a_mean_of_zeros():
    found = pool_tokens(tf.ones([1, 2, 3]), tf.zeros([1, 2], tf.bool), "mean")
    np.testing.assert_array_equal(found, np.zeros((1, 3)))


def test_texts_travel_as_bytes():
    texts = ["red", "", "Käse", "日本語"]
    codes = to_bytes(tf.constant(texts), 6)["bytes"]
    assert codes.shape == [4, 6] and codes.dtype == tf.uint8
    assert bytes(codes[0].numpy()) == b"red\0\0\0"
    back = [text.decode() for text in from_bytes(codes).numpy()]
    assert back == ["red", "", "Käse", "日本"], "a character that does not fit is left out"
    cut = to_bytes(tf.constant(["日本語"]), 7)["bytes"]
    assert from_bytes(cut).numpy()[0].decode() == "日本"


def test_letters_lose_their_marks():
    found = without_accents(tf.constant(["Café", "n\u0303 Åß", "ﬁve", ""]))
    assert [text.decode() for text in found.numpy()] == ["Cafe", "n Aß", "five", ""]
