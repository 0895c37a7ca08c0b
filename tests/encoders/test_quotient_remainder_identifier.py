import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.encoders import QuotientRemainderIdentifier
from tfmmrec.types import UsageError

IDS = [f"c{n}" for n in range(11)]
ROWS = np.arange(11)


def encode(encoder, ids, **options):
    return encoder(encoder.preprocess(tf.constant(ids)), **options)


@pytest.mark.parametrize(
    ("operation", "composed", "num_weights"),
    [
        ("multiply", np.multiply, 4 * 5 + 3 * 5),
        ("add", np.add, 4 * 5 + 3 * 5),
        ("concat", lambda *parts: np.concatenate(parts, axis=1), 4 * 3 + 3 * 2),
    ],
)
def test_a_vector_is_composed_of_the_remainder_s_row_and_the_quotient_s(operation, composed, num_weights):
    encoder = QuotientRemainderIdentifier(IDS, 5, 4, operation)
    remainders, quotients = encoder.remainders.numpy(), encoder.quotients.numpy()
    expected = composed(remainders[ROWS % 4], quotients[ROWS // 4])
    np.testing.assert_allclose(encode(encoder, IDS)["vector"], expected, rtol=1e-6)
    assert sum(np.prod(weight.shape) for weight in encoder.trainable_weights) == num_weights
    deviation = np.std([QuotientRemainderIdentifier(IDS, 5, 4, operation)(
        {"row": tf.constant(ROWS), "known": tf.ones([11], tf.bool)})["vector"] for _ in range(100)])  # fmt: skip
    assert deviation == pytest.approx(0.1 * 5**-0.5, rel=0.1)


@pytest.mark.parametrize("num_buckets", [1, 3, 4, 10, 11])
def test_different_ids_have_different_rows(num_buckets):
    encoder = QuotientRemainderIdentifier(IDS, 2, num_buckets)
    encoder.remainders.assign(np.stack([np.arange(num_buckets) + 1.0, np.ones(num_buckets)], axis=1))
    size = -(-11 // num_buckets)
    encoder.quotients.assign(np.stack([np.ones(size), np.arange(size) + 1.0], axis=1))  # v = (1 + r, 1 + q)
    pairs = encode(encoder, IDS)["vector"].numpy() - 1.0
    np.testing.assert_array_equal(pairs, np.stack([ROWS % num_buckets, ROWS // num_buckets], axis=1))
    assert len(np.unique(pairs, axis=0)) == 11


def test_a_dropped_id_is_not_learnt_from():
    encoder = QuotientRemainderIdentifier(IDS, 2, 11, dropout=0.5)  # a remainder for each
    with tf.GradientTape() as tape:
        found = encode(encoder, IDS, training=True)
        loss = tf.reduce_sum(found["vector"])
    kept = found["present"].numpy()
    assert 0 < kept.sum() < 11
    gradient = tf.convert_to_tensor(tape.gradient(loss, encoder.remainders)).numpy()
    np.testing.assert_allclose(gradient, np.where(kept[:, None], encoder.quotients.numpy()[0], 0.0), rtol=1e-6)


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(UsageError, match="operation must be one of multiply, add, concat, got 'divide'"):
        QuotientRemainderIdentifier(IDS, 2, 4, "divide")
    with pytest.raises(UsageError, match="operation=concat takes a dim of at least 2, got 1"):
        QuotientRemainderIdentifier(IDS, 1, 4, "concat")
    with pytest.raises(UsageError, match="num_buckets=12 .*identifier_buckets.* is more than the 11 ids"):
        QuotientRemainderIdentifier(IDS, 2, 12)
