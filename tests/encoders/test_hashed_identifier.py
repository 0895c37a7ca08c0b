import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.encoders import HashedIdentifier
from tfmmrec.types import UsageError

IDS = [f"c{n}" for n in range(40)]


def encode(encoder, ids, **options):
    return encoder(encoder.preprocess(tf.constant(ids)), **options)


def sip_hash(data: bytes, key: tuple[int, int]) -> int:
    """SipHash-2-4 (Aumasson & Bernstein 2012)."""
    mask = 2**64 - 1

    def turned(word, by):
        return (word << by | word >> (64 - by)) & mask

    def rounds(v, times):
        for _ in range(times):
            v[0] = v[0] + v[1] & mask
            v[2] = v[2] + v[3] & mask
            v[1], v[3] = turned(v[1], 13) ^ v[0], turned(v[3], 16) ^ v[2]
            v[0] = turned(v[0], 32)
            v[2] = v[2] + v[1] & mask
            v[0] = v[0] + v[3] & mask
            v[1], v[3] = turned(v[1], 17) ^ v[2], turned(v[3], 21) ^ v[0]
            v[2] = turned(v[2], 32)

    words = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
    v = [word ^ key[place % 2] for place, word in enumerate(words)]
    padded = data + bytes(7 - len(data) % 8) + bytes([len(data) % 256])
    for start in range(0, len(padded), 8):
        block = int.from_bytes(padded[start : start + 8], "little")
        v[3] ^= block
        rounds(v, 2)
        v[0] ^= block
    v[2] ^= 0xFF
    rounds(v, 4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def buckets(ids, num_buckets, num_hashes):
    return [[sip_hash(id.encode(), (i, 0x746D6D726563)) % num_buckets for i in range(num_hashes)] for id in ids]


def test_ids_are_hashed_by_keyed_sip_hash():
    ids = ["", "a", "eight by", "a longer identifier, größer than a block"]
    found = HashedIdentifier(None, 4, 1_000_003, num_hashes=3).preprocess(tf.constant(ids))
    assert found["buckets"].numpy().tolist() == buckets(ids, 1_000_003, 3)
    assert found["known"].numpy().tolist() == [False, True, True, True]


def test_a_vector_is_the_weighted_sum_of_its_rows():
    encoder = HashedIdentifier(IDS, 4, 7)
    encoder.importance.assign(np.random.default_rng(1).normal(size=(40, 2)))
    table, weights = encoder.embeddings.numpy(), encoder.importance.numpy()
    rows = [3, 39, 11]
    first, second = np.transpose(buckets([IDS[row] for row in rows], 7, 2))
    expected = weights[rows, :1] * table[first] + weights[rows, 1:] * table[second]
    np.testing.assert_allclose(encode(encoder, [IDS[row] for row in rows])["vector"], expected, rtol=1e-5, atol=1e-6)
    assert sum(np.prod(weight.shape) for weight in encoder.trainable_weights) == 7 * 4 + 40 * 2


def test_without_weights_it_is_the_hashing_trick():
    for vocabulary in (IDS, None):
        encoder = HashedIdentifier(vocabulary, 4, 7, num_hashes=3, weighted=False)
        table, rows = encoder.embeddings.numpy(), np.array(buckets(IDS, 7, 3))
        expected = table[rows].sum(axis=1) / 3**0.5
        np.testing.assert_allclose(encode(encoder, IDS)["vector"], expected, rtol=1e-5, atol=1e-6)
        assert [weight.shape for weight in encoder.trainable_weights] == [(7, 4)]


def test_only_without_a_vocabulary_an_id_never_seen_has_a_vector():
    found = encode(HashedIdentifier(None, 4, 7), ["never seen", "", "c1"])
    assert found["present"].numpy().tolist() == [True, False, True]
    assert found["vector"].numpy().any(axis=1).tolist() == [True, False, True]
    found = encode(HashedIdentifier(IDS, 4, 7), ["never seen", "", "c1"])
    assert found["present"].numpy().tolist() == [False, False, True]


def test_a_dropped_id_is_not_learnt_from():
    encoder = HashedIdentifier(IDS, 2, 7, dropout=0.5)
    with tf.GradientTape() as tape:
        found = encode(encoder, IDS, training=True)
        loss = tf.reduce_sum(found["vector"])
    kept = found["present"].numpy()
    assert 0 < kept.sum() < 40
    table, importance = (
        tf.convert_to_tensor(gradient).numpy()
        for gradient in tape.gradient(loss, [encoder.embeddings, encoder.importance])
    )
    counts = np.bincount(np.ravel(np.array(buckets(IDS, 7, 2))[kept]), minlength=7)
    np.testing.assert_allclose(table, np.repeat(counts[:, None], 2, axis=1) * 0.1 * 0.5**0.5, rtol=1e-5)
    assert importance.any(axis=1).tolist() == kept.tolist()


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(UsageError, match="num_hashes must be at least 1, got 0"):
        HashedIdentifier(["a"], 2, 1, num_hashes=0)
    with pytest.raises(UsageError, match="weights of ids need a vocabulary: give one, or take weighted=False"):
        HashedIdentifier(None, 2, 1, weighted=True)
