import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.encoders import FactorIdentifier, IdentifierEncoder
from tfmmrec.types import UsageError

FACTORS = np.arange(6, dtype=np.float32).reshape(3, 2) + 1.0


def made(**options):
    encoder = FactorIdentifier(["a", "b", "c"], 4, 2, **options)
    encoder.set_factors(FACTORS)
    return encoder


def encode(encoder, ids, **options):
    return encoder(encoder.preprocess(tf.constant(ids)), **options)


def test_known_ids_have_their_factors_and_unknown_ones_none():
    found = encode(made(), ["c", "x", "a"])
    np.testing.assert_array_equal(found["factors"], [FACTORS[2], [0.0, 0.0], FACTORS[0]])
    assert found["known"].numpy().tolist() == [True, False, True]


def test_the_rest_is_an_identifier_s():
    encoder, plain = made(), IdentifierEncoder(["a", "b", "c"], 4)
    plain.embeddings.assign(encoder.embeddings)
    found, expected = encode(encoder, ["c", "x", "a"]), encode(plain, ["c", "x", "a"])
    np.testing.assert_array_equal(found["vector"], expected["vector"])
    np.testing.assert_array_equal(found["present"], expected["present"])


def test_factors_are_not_dropped_with_the_id():
    found = encode(made(dropout=0.5), ["a"] * 100, training=True)
    assert 0 < found["present"].numpy().sum() < 100
    assert found["known"].numpy().all()
    np.testing.assert_array_equal(found["factors"], np.tile(FACTORS[0], (100, 1)))


def test_factors_are_not_trained():
    encoder = made()
    assert [variable.name for variable in encoder.trainable_variables] == [encoder.embeddings.name]
    assert encoder.factors.ref() in {variable.ref() for variable in encoder.non_trainable_variables}


def test_before_they_are_set_they_are_zero():
    assert not encode(FactorIdentifier(["a"], 4, 2), ["a"])["factors"].numpy().any()
    assert not encode(FactorIdentifier([], 4, 2), ["a"])["known"].numpy().any()


def test_a_rank_below_one_is_refused():
    with pytest.raises(UsageError, match="rank must be at least 1, got 0"):
        FactorIdentifier(["a"], 4, 0)
