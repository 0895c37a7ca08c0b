"""What hashed ids and those by quotient and remainder have in common."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.serving import ask_stock_runtime
from tfmmrec.encoders import HashedIdentifier, QuotientRemainderIdentifier
from tfmmrec.encoders.composed_identifier import ComposedIdentifier
from tfmmrec.types import UsageError

BOTH = pytest.mark.parametrize("made", [HashedIdentifier, QuotientRemainderIdentifier])
IDS = [f"id {n}" for n in range(2000)]


def encode(encoder, ids, **options):
    return encoder(encoder.preprocess(tf.convert_to_tensor(ids)), **options)


@BOTH
def test_known_ids_are_present_and_unknown_ones_carry_no_signal(made):
    found = encode(made(["a", "b", "c"], 4, 2), ["c", "x", "a", ""])
    assert found["present"].numpy().tolist() == [True, False, True, False]
    assert found["vector"].numpy().any(axis=1).tolist() == [True, False, True, False]
    assert not encode(made([], 3, 1), ["a", ""])["present"].numpy().any()


@BOTH
def test_dropout_makes_its_share_of_the_ids_absent_in_training_only(made):
    encoder = made(["a", "b"], 2, 1, dropout=0.3)
    ids = ["a"] * 4000
    whole = encode(encoder, ids, training=False)
    assert whole["present"].numpy().all()
    found = encode(encoder, ids, training=True)
    present = found["present"].numpy()
    assert abs(present.mean() - 0.7) < 4 * 0.0073  # 4000 draws at 0.3: standard deviation 0.0072
    np.testing.assert_array_equal(found["vector"], whole["vector"].numpy() * present[:, None])


@BOTH
def test_initial_vectors_are_a_tenth_as_long_as_those_of_a_table(made):
    tf.keras.utils.set_random_seed(0)
    for options, stddev in (({}, 0.1 * 16**-0.5), ({"embeddings_stddev": 0.01}, 0.01)):
        vectors = encode(made(IDS, 16, 1000, **options), IDS)["vector"].numpy()
        assert (vectors**2).mean() ** 0.5 == pytest.approx(stddev, rel=0.15)


def test_a_stock_runtime_gives_the_same_vectors(tmp_path):
    asked, module = np.array([b"id 7", b"id 1999", b"new", b""], object), tf.Module()
    made = {"hashed": HashedIdentifier(IDS, 8, 50), "divided": QuotientRemainderIdentifier(IDS, 8, 50)}
    made["open"] = HashedIdentifier(None, 8, 50)
    module.encoders = list(made.values())

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "ids")])
    def vectors(ids):
        return {name: encode(encoder, ids)["vector"] for name, encoder in made.items()}

    tf.saved_model.save(module, str(tmp_path / "model"), {"vectors": vectors})
    ((found,),) = ask_stock_runtime([(tmp_path / "model", [("vectors", {"ids": asked})])], tmp_path)
    assert set(found) == set(made)
    for name, encoder in made.items():
        np.testing.assert_allclose(found[name], encode(encoder, asked)["vector"], rtol=1e-6, atol=1e-7)
    assert not found["hashed"][2:].any() and not found["divided"][2:].any()
    assert found["open"][2].any() and not found["open"][3].any()


@BOTH
def test_numbers_out_of_range_are_refused(made):
    for dropout in (-0.1, 1.0):
        with pytest.raises(UsageError, match=r"identifier dropout must lie in \[0, 1\), got"):
            made(["a"], 2, 1, dropout=dropout)
    with pytest.raises(UsageError, match="identifier dim must be at least 1, got 0"):
        made(["a"], 0, 1)
    for num_buckets in (0, 2**31):
        with pytest.raises(UsageError, match=f"identifier buckets must be 1 to 2,147,483,647, got {num_buckets}"):
            made(["a"], 2, num_buckets)


def test_the_base_says_what_is_missing():
    with pytest.raises(NotImplementedError, match="ComposedIdentifier has no compose"):
        ComposedIdentifier(["a"], 2, 1, 0.0, None).compose({})
