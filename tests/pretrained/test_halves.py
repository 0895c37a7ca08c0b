import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.encoders import SavedModelEncoder
from tfmmrec.pretrained.encoder_card import read_card, weights_fingerprint
from tfmmrec.pretrained.halves import Halves, write_halves
from tfmmrec.types import DataError

TABLE = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)


def halves(encode=None, scale=1.0):
    """Texts by their length; one weight is not trained, one is not read."""
    table, factor, unread = tf.Variable(TABLE * scale), tf.Variable(2.0), tf.Variable([7.0, 8.0])
    return Halves(
        "text",
        lambda raw: {"size": tf.minimum(tf.strings.length(raw), 7)},
        encode or (lambda tensors: factor * tf.gather(table, tensors["size"])),
        [table, factor, unread],
        [table, unread],
        card={"source": "lengths"},
        encode_sequence=lambda tensors: (tf.gather(table, tensors["size"])[:, None], tensors["size"][:, None] > 0),
    )


def test_what_is_written_is_reusable(tmp_path):
    card = write_halves(halves(), tmp_path)
    loaded = tf.saved_model.load(str(tmp_path))
    np.testing.assert_allclose(loaded(tf.constant(["abc", ""])), 2 * TABLE[[3, 0]], rtol=1e-6)
    tensors = loaded.preprocess(tf.constant(["abc", ""]))
    np.testing.assert_array_equal(tensors["size"], [3, 0])
    np.testing.assert_allclose(loaded.encode(tensors), 2 * TABLE[[3, 0]], rtol=1e-6)
    sequence, mask = loaded.encode_sequence(tensors)
    np.testing.assert_allclose(sequence, TABLE[[3, 0]][:, None], rtol=1e-6)
    np.testing.assert_array_equal(mask, [[True], [False]])
    assert [v.shape.as_list() for v in loaded.variables] == [[8, 3], []], "what encode does not read is left out"
    assert [v.shape.as_list() for v in loaded.trainable_variables] == [[8, 3]]
    assert not loaded.regularization_losses
    assert card == {
        "source": "lengths",
        "input_kind": "text",
        "dim": 3,
        "tensors": {"size": ["int32", [None]]},
        "num_layers": 0,
        "num_weights": 25,
        "num_trainable_weights": 24,
        "fingerprint": weights_fingerprint([TABLE, np.float32(2)]),
    }
    assert read_card(tmp_path) == {"format": "tfmmrec-encoder", **card}


def test_it_is_an_encoder_of_a_tower(tmp_path):
    write_halves(halves(), tmp_path)
    encoder = SavedModelEncoder(str(tmp_path), "text", mode="finetuned")
    assert encoder.has_halves and len(encoder.trainable_variables) == 1
    found = encoder(encoder.preprocess(tf.constant(["abc", "  "])))
    np.testing.assert_allclose(found["vector"], [2 * TABLE[3], np.zeros(3)], rtol=1e-6)


@pytest.mark.parametrize(
    ("encode", "message"),
    [
        (lambda tensors: tf.ones([1, 2, 3]), r"lengths: expected a vector of fixed size .*, found \(1, 2, 3\)"),
        (lambda tensors: tf.ones([1, tf.size(tensors["size"])]), r"of fixed size for each row, .* found \(1, None\)"),
    ],
)
def test_vectors_that_are_none(tmp_path, encode, message):
    with pytest.raises(DataError, match=message):
        write_halves(halves(encode), tmp_path)


def test_damaged_weights(tmp_path):
    with pytest.raises(DataError, match="lengths: its vectors are not finite; the weights are damaged, or not those"):
        write_halves(halves(scale=np.nan), tmp_path)
    assert not list(tmp_path.iterdir())
