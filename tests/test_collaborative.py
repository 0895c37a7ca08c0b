import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.collaborative import category_targets, collaborative_factors, fit_encoder
from tfmmrec.data.interactions import Interactions
from tfmmrec.encoders import ImageEncoder, PrecomputedEncoder


def log_of(matrix):
    """Query × candidate counts -> a log."""
    queries, candidates = np.nonzero(matrix)
    times = matrix[queries, candidates]
    indptr = np.concatenate([[0], np.cumsum(matrix.sum(axis=1))])
    return Interactions(indptr, np.repeat(candidates, times).astype(np.int32), {}, matrix.shape[1])


def random_matrix(seed=0, num_queries=14, num_candidates=9):
    matrix = np.random.default_rng(seed).poisson(0.6, (num_queries, num_candidates))
    matrix[:, 4] = 0  # nobody chose it
    return matrix


def test_factors_are_singular_vectors_of_the_normalised_counts():
    matrix, dim = random_matrix(), 4
    found = collaborative_factors(log_of(matrix), dim)
    of_queries = 1 / np.sqrt(np.maximum(matrix.sum(axis=1), 1))
    of_candidates = 1 / np.sqrt(np.maximum(matrix.sum(axis=0), 1))
    _, values, right = np.linalg.svd(of_queries[:, None] * matrix * of_candidates)
    assert values[0] == pytest.approx(1.0)  # popularity, which is left out
    expected = right[1 : dim + 1].T * np.sqrt(values[1 : dim + 1])
    expected /= np.maximum(np.linalg.norm(expected, axis=1, keepdims=True), 1e-9)
    expected[4] = 0.0
    assert found.shape == (9, dim) and found.dtype == np.float32
    # singular vectors are determined up to their sign
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-4)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-4)


def test_factors_bring_together_what_the_same_queries_chose():
    # Two circles of queries that choose within their own half.
    random = np.random.default_rng(1)
    matrix = np.zeros((40, 10), int)
    matrix[:20, :5], matrix[20:, 5:] = random.random((20, 5)) < 0.6, random.random((20, 5)) < 0.6
    matrix[0, 9] = 1  # one bridge
    factors = collaborative_factors(log_of(matrix), 1)[:, 0]
    assert len(set(np.sign(factors[:5]))) == len(set(np.sign(factors[5:]))) == 1
    assert np.sign(factors[0]) != np.sign(factors[9])


def test_a_candidate_nobody_chose_has_no_factors():
    found = collaborative_factors(log_of(random_matrix()), 3)
    np.testing.assert_array_equal(found[4], 0.0)
    lengths = np.linalg.norm(np.delete(found, 4, axis=0), axis=1)
    np.testing.assert_allclose(lengths, 1.0, rtol=1e-5)


def test_factors_are_padded_where_the_log_has_fewer():
    found = collaborative_factors(log_of(random_matrix(num_candidates=6)), 20)
    assert found.shape == (6, 20)
    np.testing.assert_array_equal(found[:, 4:], 0.0)  # six candidates: five pairs, and one is popularity
    np.testing.assert_array_equal(collaborative_factors(log_of(np.ones((1, 3), int)), 2), np.zeros((3, 2)))


def test_factors_follow_their_seed():
    log = log_of(random_matrix())
    np.testing.assert_array_equal(collaborative_factors(log, 3, seed=2), collaborative_factors(log, 3, seed=2))


def test_categories_are_marked_side_by_side():
    tables = {
        "colour": {"codes": np.array([[0, 2], [-1, -1], [1, 1]], np.int32)},
        "title": {"words": np.array([[1], [2], [3]], np.int32)},
        "size": {"codes": np.array([[0], [1], [-1]], np.int32)},
    }
    expected = [[1, 0, 1, 1, 0], [0, 0, 0, 0, 1], [0, 1, 0, 0, 0]]
    np.testing.assert_array_equal(category_targets(tables), expected)
    assert category_targets({"title": tables["title"]}).size == 0


def fit(encoder, inputs, factors, categories=None, present=None, **options):
    num = len(factors)
    categories = np.zeros((num, 0), np.float32) if categories is None else categories
    present = np.ones(num, bool) if present is None else present
    return fit_encoder(encoder, inputs, present, factors, categories, **options)


def pictures(num=64):
    """Red and green pictures, and factors that say which is which."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, num)
    pixels = random.integers(0, 60, (num, 8, 8, 3)).astype(np.uint8)
    pixels[np.arange(num), ..., labels] += 150
    return {"pixels": pixels, "has_pixels": np.ones(num, bool)}, np.eye(2, dtype=np.float32)[labels] * 2 - 1, labels


def make():
    tf.keras.utils.set_random_seed(0)
    return ImageEncoder(4, 8, 8, filters=(4,))


def test_it_learns_factors_from_pictures():
    inputs, factors, labels = pictures()
    encoder = make()
    seen = []
    losses = fit(
        encoder,
        inputs,
        factors / np.float32(2**0.5),
        num_steps=60,
        batch_size=32,
        learning_rate=2e-2,
        progress=lambda *what: seen.append(what),
    )
    assert len(losses) == 60 and seen[-1] == (f"{encoder.name}: training", 60, 60)
    assert losses[0] > 0.5 and np.mean(losses[-5:]) < 0.05  # 1 − cosine
    vectors = encoder({name: tf.constant(array) for name, array in inputs.items()})["vector"].numpy()
    centres = np.stack([vectors[labels == label].mean(axis=0) for label in (0, 1)])
    nearest = np.linalg.norm(vectors[:, None] - centres, axis=2).argmin(axis=1)
    np.testing.assert_array_equal(nearest, labels)


def test_it_learns_categories_where_nobody_chose():
    inputs, factors, labels = pictures()
    categories = np.eye(2, dtype=np.float32)[labels]
    losses = fit(make(), inputs, np.zeros_like(factors), categories, num_steps=60, batch_size=32, learning_rate=2e-2)
    # without factors nothing agrees: a constant 1, and log 2 for guessing two categories
    assert losses[0] > 1.3 and np.mean(losses[-5:]) < 1.2


def test_the_first_loss_is_the_formula():
    rows, dim = 8, 3
    random = np.random.default_rng(0)
    inputs = {"value": random.normal(size=(rows, dim)).astype(np.float32)}
    factors = random.normal(size=(rows, 2)).astype(np.float32)
    factors /= np.linalg.norm(factors, axis=1, keepdims=True)
    tf.keras.utils.set_random_seed(3)
    # nothing to train in the encoder: the maps learn alone
    losses = fit(PrecomputedEncoder(dim, normalize=False), inputs, factors, num_steps=1, batch_size=rows)
    tf.keras.utils.set_random_seed(3)
    to_factors = tf.keras.layers.Dense(2, use_bias=False)
    mapped = to_factors(inputs["value"]).numpy()
    cosines = (mapped * factors).sum(axis=1) / np.linalg.norm(mapped, axis=1)
    np.testing.assert_allclose(losses, [1 - cosines.mean()], rtol=1e-4)


def test_it_learns_from_what_is_there_and_was_chosen_only():
    inputs, factors, _ = pictures(40)
    factors[:20] = 0.0  # nobody chose these
    present = np.ones(40, bool)
    present[20:24] = False
    broken = dict(inputs)
    broken["pixels"] = inputs["pixels"].copy()
    broken["pixels"][:24] = 255  # were they looked at, the losses would differ
    options = {"num_steps": 5, "batch_size": 16, "present": present}
    np.testing.assert_array_equal(fit(make(), broken, factors, **options), fit(make(), inputs, factors, **options))


def test_too_few_candidates_teach_nothing():
    inputs, factors, _ = pictures(10)
    encoder = make()
    before = encoder({name: tf.constant(array) for name, array in inputs.items()})["vector"].numpy()
    assert fit(encoder, inputs, factors, batch_size=11) == []
    after = encoder({name: tf.constant(array) for name, array in inputs.items()})["vector"].numpy()
    np.testing.assert_array_equal(after, before)


def test_it_ends_after_its_steps_and_is_the_same_again():
    inputs, factors, _ = pictures()
    runs = [fit(make(), inputs, factors, num_steps=4, batch_size=16, seed=1) for _ in range(2)]
    assert runs[0] == runs[1] and len(runs[0]) == 4
    assert fit(make(), inputs, factors, num_steps=4, batch_size=16, seed=2) != runs[0]


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_it_learns_under_mixed_precision(policy):
    inputs, factors, _ = pictures()
    tf.keras.mixed_precision.set_global_policy(policy)
    try:
        losses = fit(make(), inputs, factors / np.float32(2**0.5), num_steps=60, batch_size=32, learning_rate=2e-2)
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    assert np.mean(losses[-5:]) < 0.1
