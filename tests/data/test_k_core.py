import numpy as np

from tfmmrec.data.k_core import k_core


def naive(pairs, core):
    """Leaves out, one round at a time, who or what has too few partners."""
    pairs = set(pairs)
    while True:
        queries = {q for q, _ in pairs if sum(other == q for other, _ in pairs) >= core}
        candidates = {c for _, c in pairs if sum(other == c for _, other in pairs) >= core}
        left = {(q, c) for q, c in pairs if q in queries and c in candidates}
        if left == pairs:
            return {q for q, _ in left}, {c for _, c in left}
        pairs = left


def test_leaving_out_goes_on_until_all_have_enough():
    # c2 has one choice; without it q2 has one; without q2 all is left that has two each: q0, q1 with c0, c1
    queries, candidates = np.array([0, 0, 1, 1, 2, 2], np.int32), np.array([0, 1, 0, 1, 1, 2], np.int32)
    stay = k_core(queries, candidates, 2)
    assert stay[0].tolist() == [True, True, False] and stay[1].tolist() == [True, True, False]


def test_the_same_as_round_by_round():
    random = np.random.default_rng(0)
    for core in (2, 3, 4):
        queries, candidates = random.integers(0, 14, 90).astype(np.int32), random.integers(0, 11, 90).astype(np.int32)
        expected = naive(zip(queries.tolist(), candidates.tolist(), strict=True), core)
        found = k_core(queries, candidates, core)
        assert tuple(set(np.flatnonzero(stay).tolist()) for stay in found) == expected


def test_a_pair_counts_once():
    queries, candidates = k_core(np.zeros(3, np.int32), np.zeros(3, np.int32), 2)
    assert not queries.any() and not candidates.any()


def test_nothing():
    queries, candidates = k_core(np.zeros(0, np.int32), np.zeros(0, np.int32), 2)
    assert queries.size == candidates.size == 0
