import numpy as np
import pytest

from tfmmrec.metrics.significance import paired_bootstrap
from tfmmrec.types import UsageError

RANDOM = np.random.default_rng(0)
HARDNESS = RANDOM.random(2000)
A, B = HARDNESS + 0.02 + 0.05 * RANDOM.standard_normal(2000), HARDNESS


def test_pairing_finds_a_small_difference_in_the_noise_of_the_queries():
    found = paired_bootstrap(A, B)
    deviation = (A - B).std() / np.sqrt(2000)
    assert found.difference == pytest.approx((A - B).mean())
    assert found.low == pytest.approx(found.difference - 1.96 * deviation, abs=0.3 * deviation)
    assert found.high == pytest.approx(found.difference + 1.96 * deviation, abs=0.3 * deviation)


def test_relative_and_seeded():
    found = paired_bootstrap(A, B, seed=3, relative=True)
    assert found.difference == pytest.approx(A.mean() / B.mean() - 1)
    assert found.low < found.difference < found.high
    assert found == paired_bootstrap(A, B, seed=3, relative=True)


def test_a_model_against_itself():
    assert paired_bootstrap(A, A) == (0.0, 0.0, 0.0)


def test_what_does_not_pair_up_is_refused():
    with pytest.raises(UsageError, match=r"same queries, got \[2000\] and \[3\]"):
        paired_bootstrap(A, B[:3])
    with pytest.raises(UsageError, match="mean is positive; pass relative=False"):
        paired_bootstrap(A, np.zeros(2000), relative=True)
    with pytest.raises(UsageError, match="num_samples ≥ 1"):
        paired_bootstrap(A, B, num_samples=0)
