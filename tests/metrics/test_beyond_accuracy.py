import numpy as np
import pytest

from tfmmrec.metrics.beyond_accuracy import coverage, gini, novelty, self_information


def test_coverage_counts_candidates_not_recommendations():
    assert coverage(np.array([0, 9, 1, 0])) == 0.5
    assert coverage(np.zeros(0)) == 0.0


def test_self_information_is_in_bits_and_finite_for_the_unchosen():
    # shares (3 + 1) / 8, (1 + 1) / 8, (0 + 1) / 8, (0 + 1) / 8
    np.testing.assert_allclose(self_information(np.array([3, 1, 0, 0])), [1, 2, 3, 3])


def test_novelty_is_the_mean_over_recommendations():
    assert novelty(np.array([3, 0, 1]), np.array([1.0, 50.0, 5.0])) == pytest.approx(2.0)
    assert novelty(np.zeros(2), np.ones(2)) == 0.0


@pytest.mark.parametrize("counts", [[5, 5, 5], [0, 0, 7], [1, 2, 3, 10], [0, 0, 0]])
def test_gini_is_half_the_relative_mean_difference(counts):
    counts = np.array(counts, float)
    mean = counts.mean()
    expected = np.abs(counts[:, None] - counts).mean() / (2 * mean) if mean else 0.0
    assert gini(counts) == pytest.approx(expected)
