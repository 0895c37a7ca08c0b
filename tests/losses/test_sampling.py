import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.losses import (
    cumulative_popularity,
    log_inclusion_probability,
    log_union_probability,
    popularity_negatives,
    uniform_negatives,
)
from tfmmrec.types import UsageError

COUNTS = np.array([0, 8, 1, 0, 27, 64, 0])
MANY = 40_000


def draw(kind, num_negatives, seed):
    if kind == "uniform":
        return uniform_negatives(num_negatives, len(COUNTS), seed)
    return popularity_negatives(num_negatives, cumulative_popularity(COUNTS, 0.5), seed)


def chances(kind):
    """Uniform: 1 / 7 each. Popularity: count^½ over the sum of them."""
    weights = np.ones(len(COUNTS)) if kind == "uniform" else np.sqrt(COUNTS)
    return weights / weights.sum()


@pytest.mark.parametrize("kind", ["uniform", "popularity"])
def test_candidates_come_as_often_as_they_should(kind):
    rows, _ = draw(kind, MANY, [1, 2])
    assert rows.dtype == tf.int32 and rows.shape == [MANY]
    share = np.bincount(rows, minlength=len(COUNTS)) / MANY
    # a standard deviation is at most 0.5 / sqrt(40,000) = 0.0025
    np.testing.assert_allclose(share, chances(kind), atol=4 * 0.0025)
    assert (share[chances(kind) == 0.0] == 0.0).all()


@pytest.mark.parametrize("kind", ["uniform", "popularity"])
def test_what_is_expected_is_draws_times_chance(kind):
    rows, log_expected = draw(kind, 5, [3, 4])
    assert log_expected.dtype == tf.float32
    np.testing.assert_allclose(np.exp(log_expected), 5 * chances(kind)[rows], rtol=1e-5)


@pytest.mark.parametrize("kind", ["uniform", "popularity"])
def test_the_corrected_sum_is_the_full_denominator_on_average(kind):
    scores = np.random.default_rng(0).normal(size=len(COUNTS))
    there = chances(kind) > 0
    rows, log_expected = (part.numpy() for part in draw(kind, MANY, [5, 6]))
    terms = MANY * np.exp(scores[rows] - log_expected)  # each has the mean Σ e^s
    standard_error = terms.std() / np.sqrt(MANY)
    assert abs(terms.mean() - np.exp(scores[there]).sum()) < 4 * standard_error


@pytest.mark.parametrize("kind", ["uniform", "popularity"])
def test_draws_are_a_function_of_seed_and_step(kind):
    first = draw(kind, 50, [7, 0])[0].numpy()
    np.testing.assert_array_equal(draw(kind, 50, [7, 0])[0], first)
    assert not np.array_equal(draw(kind, 50, [7, 1])[0], first)
    assert not np.array_equal(draw(kind, 50, [8, 0])[0], first)


def test_powers_of_popularity():
    np.testing.assert_allclose(np.diff(cumulative_popularity(COUNTS, 1.0), prepend=0), COUNTS / 100, atol=1e-12)
    np.testing.assert_allclose(
        np.diff(cumulative_popularity(COUNTS, 0.0), prepend=0), (COUNTS > 0) / 4, atol=1e-12
    )  # those with interactions alike
    weights = COUNTS**0.75
    np.testing.assert_allclose(np.diff(cumulative_popularity(COUNTS), prepend=0), weights / weights.sum(), atol=1e-12)


def test_one_rare_candidate_beside_a_frequent_one_keeps_its_digits():
    rows, log_expected = popularity_negatives(3, cumulative_popularity(np.array([1, 10**9]), 1.0), [0, 0])
    assert rows.numpy().tolist() == [1, 1, 1]
    np.testing.assert_allclose(log_expected, np.log(3.0), rtol=1e-5)


@pytest.mark.parametrize("counts", [[0, 0], [-1, 2], [np.nan, 1.0]])
def test_counts_that_say_nothing_are_refused(counts):
    with pytest.raises(UsageError, match="counts of interactions that are 0 or more, and one above 0"):
        cumulative_popularity(np.array(counts))


def test_the_union_of_two_samples():
    one, other = np.array([1.0, 0.25, 1e-6, 1e-6, 0.5]), np.array([0.5, 0.5, 1e-6, 0.3, 1.0])
    expected = np.log(1 - (1 - one) * (1 - other))
    found = log_union_probability(tf.constant(np.log(one), tf.float32), tf.constant(np.log(other), tf.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_the_union_of_a_batch_and_uniform_draws_is_how_often_a_candidate_is_in_it():
    counts, batch_size, drawn, times = np.array([40, 30, 20, 10]), 3, 2, 20_000
    random = np.random.default_rng(0)
    batches = random.choice(4, (times, batch_size), p=counts / 100)
    union = np.concatenate([batches, random.integers(0, 4, (times, drawn))], axis=1)
    share = [(union == candidate).any(axis=1).mean() for candidate in range(4)]
    of_batch = log_inclusion_probability(counts, batch_size)
    of_drawn = np.log(1 - (1 - 1 / 4) ** drawn)
    # a standard deviation is at most 0.5 / sqrt(20,000) = 0.0035
    np.testing.assert_allclose(np.exp(log_union_probability(of_batch, of_drawn)), share, atol=4 * 0.0036)
