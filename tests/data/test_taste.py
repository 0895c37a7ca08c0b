import numpy as np
import pytest

from tfmmrec.data import taste

SHARES = {
    "look": {"type": 0.15, "colour": 0.18, "pattern": 0.12},
    "words": {"fabric": 0.12, "occasion": 0.12, "season": 0.06},
}
LEVELS = {"type": 12, "colour": 10, "pattern": 5, "fabric": 8, "occasion": 7, "season": 4}


def _draw(num_queries=400, seed=0):
    rng = np.random.default_rng(seed)
    codes = {name: rng.integers(0, levels, 500) for name, levels in LEVELS.items()}
    ages = rng.integers(0, 4, num_queries)
    return codes, ages, taste.draw_affinities(codes, LEVELS, {"age": (ages, 4)}, SHARES, rng)


def test_each_term_has_its_variance_for_every_query():
    codes, _, affinities = _draw()
    for name, share in (SHARES["look"] | SHARES["words"]).items():
        term = affinities[name][:, codes[name]]
        np.testing.assert_allclose(term.mean(axis=1), 0.0, atol=1e-9)
        np.testing.assert_allclose(term.var(axis=1), share)


def test_groups_carry_a_little_of_the_taste():
    _, ages, affinities = _draw(num_queries=4000)
    of_group = np.stack([affinities["colour"][ages == age].mean(axis=0) for age in range(4)])
    explained = of_group[ages].var(axis=0).sum() / affinities["colour"].var(axis=0).sum()
    by_chance = 3 / 4000
    assert 5 * by_chance < explained < 0.3


def test_popularity_has_its_two_variances():
    rng = np.random.default_rng(0)
    brands = rng.integers(0, 10, 500)
    fame, appeal = taste.draw_popularity(brands, 10, (0.15, 0.10), rng)
    assert fame.var() == pytest.approx(0.15)
    assert appeal.var() == pytest.approx(0.10)
    assert all(len(np.unique(fame[brands == brand])) == 1 for brand in range(10))


@pytest.mark.parametrize("total", [500, 503, 1987, 2500])
def test_activity_sums_exactly_within_its_limits(total):
    counts = taste.draw_activity(100, total, 25, np.random.default_rng(0))
    assert counts.sum() == total
    assert counts.min() >= 5
    assert counts.max() <= 25


def test_choices_follow_the_softmax():
    utility = np.tile(np.array([0.5, 0.0, -0.5]), (30_000, 1))
    chosen = taste.draw_choices(utility, np.ones(30_000, int), np.random.default_rng(0))
    odds = np.exp(taste.SHARPNESS * utility[0])
    np.testing.assert_allclose(chosen.mean(axis=0), odds / odds.sum(), atol=0.01)


def test_every_garment_is_chosen_once_and_counts_hold():
    utility = np.zeros((50, 60))
    utility[:, 40:] = -20.0
    counts = np.full(50, 5)
    chosen = taste.draw_choices(utility, counts, np.random.default_rng(0))
    assert chosen.any(axis=0).all()
    np.testing.assert_array_equal(chosen.sum(axis=1), counts)


def test_split_keeps_cold_out_of_train_and_every_warm_one_in():
    rng = np.random.default_rng(0)
    chosen = rng.random((100, 40)) < 0.05
    chosen[0] = True
    cold = np.arange(40) < 6
    train, test = taste.split_choices(chosen, cold, rng)
    assert len(train) + len(test) == chosen.sum()
    assert set(train[:, 1]) == set(range(6, 40))
    assert chosen[:, cold].sum() == cold[test[:, 1]].sum()
