import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.encoders import IdentifierEncoder
from tfmmrec.types import UsageError


def encode(encoder, ids, **options):
    return encoder(encoder.preprocess(tf.constant(ids)), **options)


def test_known_ids_have_their_row_and_unknown_ones_no_signal():
    encoder = IdentifierEncoder(["a", "b", "c"], 4)
    assert encoder.preprocess(tf.constant(["c", "x", "a"]))["row"].numpy().tolist() == [2, -1, 0]
    found = encode(encoder, ["c", "x", "a"])
    table = encoder.embeddings.numpy()
    np.testing.assert_array_equal(found["vector"], [table[2], np.zeros(4), table[0]])
    assert found["present"].numpy().tolist() == [True, False, True]
    assert found["terms"].numpy()[[0, 2]].tolist() == [[2], [0]] and encoder.num_terms == 3
    assert found["term_weights"].numpy().tolist() == [[1.0], [0.0], [1.0]]


def test_dropout_makes_its_share_of_the_ids_absent_in_training_only():
    encoder = IdentifierEncoder(["a"], 2, dropout=0.3)
    ids = ["a"] * 4000
    assert encode(encoder, ids, training=False)["present"].numpy().all()
    found = encode(encoder, ids, training=True)
    present = found["present"].numpy()
    # 4000 draws at 0.3: standard deviation 0.0072
    assert abs(present.mean() - 0.7) < 4 * 0.0073
    vectors = found["vector"].numpy()
    np.testing.assert_array_equal(vectors[~present], 0.0)
    # those that are left are not scaled up: an id is there or not
    np.testing.assert_array_equal(vectors[present], np.tile(encoder.embeddings.numpy(), (present.sum(), 1)))
    other = encode(encoder, ids, training=True)["present"].numpy()
    assert (other != present).any()


def test_a_dropped_id_is_not_learnt_from():
    encoder = IdentifierEncoder(["a", "b"], 2, dropout=0.5)
    ids = ["a", "b"] * 50
    with tf.GradientTape() as tape:
        found = encode(encoder, ids, training=True)
        loss = tf.reduce_sum(found["vector"])
    gradient = tf.convert_to_tensor(tape.gradient(loss, encoder.embeddings)).numpy()
    kept = found["present"].numpy().reshape(-1, 2).sum(axis=0)
    np.testing.assert_array_equal(gradient, np.repeat(kept[:, None], 2, axis=1))


def test_initial_embeddings():
    tf.keras.utils.set_random_seed(0)
    ids = [str(n) for n in range(2000)]
    assert IdentifierEncoder(ids, 16).embeddings.numpy().std() == pytest.approx(16**-0.5, rel=0.02)
    assert IdentifierEncoder(ids, 16, embeddings_stddev=0.01).embeddings.numpy().std() == pytest.approx(0.01, rel=0.02)


def test_without_a_vocabulary_nothing_is_present():
    assert not encode(IdentifierEncoder([], 3), ["a", ""])["present"].numpy().any()


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
def test_dropout_out_of_range_is_refused(dropout):
    with pytest.raises(UsageError, match=r"identifier dropout must lie in \[0, 1\), got"):
        IdentifierEncoder(["a"], 2, dropout=dropout)


def test_a_size_below_one_is_refused():
    with pytest.raises(UsageError, match="identifier dim must be at least 1, got 0"):
        IdentifierEncoder(["a"], 0)
