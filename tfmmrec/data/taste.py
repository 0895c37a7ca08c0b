"""The taste behind the embedded catalogues: who likes what, how much, and what they choose because of it.

The utility of a candidate for a query is a sum of terms: one for each attribute of the candidate, the fame of who made
it and its own appeal, the last two the same for every query. Each term is brought to its share of the variance over the
catalogue, for every query alike, so that the shares are known rather than estimated.

Choices are drawn without replacement with probability proportional to exp(`SHARPNESS` x utility), by the
Gumbel-top-k trick (Kool, van Hoof and Welling, "Stochastic Beams and Where to Find Them", ICML 2019).

The constants make tastes narrow enough that a dozen choices reveal them; see `fashion` for what that gives.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

SHARPNESS = 3.0
NUM_STYLES = 8
# Shape of the gamma distribution of a query's shares of the styles: small, so that it follows one or two.
MIXTURE = 0.2
# Shape of the gamma distribution of affinities: small, so that few levels are liked and the rest not.
CONCENTRATION = 0.4
# How much of a query's affinities is its own, beside what it has from its styles.
PERSONAL = 0.2
# Standard deviation of the log of what an age group or a region does to the shares.
GROUP_STRENGTH = 0.5
# Shape of the beta distribution of popularity: skewed to the right, and bounded, so that nothing is hopeless.
POPULARITY_SHAPE = (1.5, 4.0)
MIN_INTERACTIONS = 5
# Standard deviation of the log of a query's number of interactions.
ACTIVITY_SPREAD = 0.6
COLD_FRACTION = 0.15
TEST_FRACTION = 0.2


def draw_affinities(
    codes: Mapping[str, np.ndarray],
    num_levels: Mapping[str, int],
    groups: Mapping[str, tuple[np.ndarray, int]],
    shares: Mapping[str, Mapping[str, float]],
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Draws how much each query likes each level of each attribute.

    A query mixes a few of `NUM_STYLES` styles of one part of the taste (looks, say), and as many of each other (words);
    a style likes a few levels of each attribute. `PERSONAL` of what a query likes is its own.

    Args:
        codes: attribute -> `[num_candidates]` int, the level each candidate has.
        num_levels: attribute -> number of levels.
        groups: query feature -> (`[num_queries]` int, the query's group; number of groups).
        shares: part of the taste -> attribute -> its share of the utility's variance.
        rng: source of randomness.

    Returns:
        Attribute -> `[num_queries, levels]` float64, centred on 0 and with the attribute's share as variance
        over the candidates, for every query.
    """
    affinities = {}
    for attributes in shares.values():
        mixture = _draw_mixture(groups, rng)
        for name, share in attributes.items():
            levels = num_levels[name]
            styles = rng.gamma(CONCENTRATION, size=(NUM_STYLES, levels))
            own = rng.gamma(CONCENTRATION, size=(len(mixture), levels))
            raw = (1.0 - PERSONAL) * mixture @ styles + PERSONAL * own
            raw -= raw.mean(axis=0)  # so that no level is popular with everybody: popularity is a part of its own
            frequency = np.bincount(codes[name], minlength=levels) / len(codes[name])
            raw -= (raw @ frequency)[:, None]
            deviation = np.sqrt((raw**2) @ frequency)
            affinities[name] = raw / deviation[:, None] * np.sqrt(share)
    return affinities


def _draw_mixture(groups: Mapping[str, tuple[np.ndarray, int]], rng: np.random.Generator) -> np.ndarray:
    """`[num_queries, NUM_STYLES]`: each query's shares of the styles; its groups shift them a little."""
    shape = np.full(NUM_STYLES, MIXTURE)
    for members, num_groups in groups.values():
        shape = shape * np.exp(rng.normal(0.0, GROUP_STRENGTH, (num_groups, NUM_STYLES)))[members]
    mixture = rng.gamma(shape) + 1e-6
    return mixture / mixture.sum(axis=1, keepdims=True)


def draw_popularity(
    makers: np.ndarray, num_makers: int, shares: tuple[float, float], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draws the base attractiveness, the same for every query.

    Args:
        makers: `[num_candidates]` int, who made each candidate: its brand, its artist.
        num_makers: how many there are.
        shares: variances of what the maker gives, and of what is the candidate's own.
        rng: source of randomness.

    Returns:
        What the maker gives and what is the candidate's own, `[num_candidates]` float64 each, with mean 0 and
        these variances.
    """
    fame = np.linspace(-1.0, 1.0, num_makers)
    raw = (rng.permutation(fame)[makers], rng.beta(*POPULARITY_SHAPE, len(makers)))
    return tuple((x - x.mean()) / x.std() * np.sqrt(share) for share, x in zip(shares, raw, strict=True))


def draw_activity(num_queries: int, num_interactions: int, limit: int, rng: np.random.Generator) -> np.ndarray:
    """Draws each query's number of interactions: log-normal, at least 5, at most `limit`, with an exact sum.

    Returns:
        `[num_queries]` int64 that sums to `num_interactions`.
    """
    weight = rng.lognormal(0.0, ACTIVITY_SPREAD, num_queries)
    spare = num_interactions - MIN_INTERACTIONS * num_queries
    counts = MIN_INTERACTIONS + np.floor(spare * weight / weight.sum()).astype(np.int64)
    counts = np.minimum(counts, limit)
    while (left := num_interactions - int(counts.sum())) > 0:
        open_rows = np.flatnonzero(counts < limit)
        counts[rng.permutation(open_rows)[:left]] += 1
    return counts


def draw_choices(utility: np.ndarray, counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws each query's choices without replacement from softmax(`SHARPNESS` x utility).

    A candidate that nobody chose goes to the query that came closest to choosing it, instead of that query's
    weakest choice that others share: a shop's catalogue has nothing that was never sold.

    Args:
        utility: `[num_queries, num_candidates]` float.
        counts: `[num_queries]` int, how many choices each query makes.
        rng: source of randomness.

    Returns:
        `[num_queries, num_candidates]` bool, True where the query chose the candidate.
    """
    noisy = SHARPNESS * utility + rng.gumbel(size=utility.shape)
    ranked = -np.sort(-noisy, axis=1)
    threshold = ranked[np.arange(len(counts)), counts - 1]
    chosen = noisy >= threshold[:, None]
    num_buyers = chosen.sum(axis=0)
    for unsold in np.flatnonzero(num_buyers == 0):
        for query in np.argsort(threshold - noisy[:, unsold], kind="stable"):
            shared = np.flatnonzero(chosen[query] & (num_buyers > 1))
            if len(shared):
                weakest = shared[np.argmin(noisy[query, shared])]
                chosen[query, [weakest, unsold]] = False, True
                num_buyers[[weakest, unsold]] += (-1, 1)
                break
    return chosen


def split_choices(chosen: np.ndarray, cold: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Parts the choices: every choice of a cold candidate, and a fifth of the others, is test.

    Train keeps at least one choice of each warm candidate.

    Args:
        chosen: `[num_queries, num_candidates]` bool.
        cold: `[num_candidates]` bool.
        rng: source of randomness.

    Returns:
        Train and test as `[rows, 2]` int64 of (query row, candidate row), in random order.
    """
    pairs = rng.permutation(np.argwhere(chosen))
    is_test = cold[pairs[:, 1]] | (rng.random(len(pairs)) < TEST_FRACTION)
    unseen = ~cold & (np.bincount(pairs[~is_test, 1], minlength=len(cold)) == 0)
    first_of_each = np.unique(pairs[:, 1], return_index=True)[1]
    is_test[first_of_each[unseen[pairs[first_of_each, 1]]]] = False
    return pairs[~is_test], pairs[is_test]
