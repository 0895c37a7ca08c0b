import numpy as np
import pytest

from tfmmrec.data.interactions import Interactions
from tfmmrec.search.ranked_batches import Pool, ranked_batches
from tfmmrec.search.scorer import vectors_scorer
from tfmmrec.types import UsageError

N = 30


def _interactions(lists):
    sizes = [len(entries) for entries in lists]
    indices = np.array([entry for entries in lists for entry in entries], np.int32)
    return Interactions(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), indices, {}, N)


SEEN = _interactions([[1, 2], [], [5, 5, 29], [0]])
POSITIVES = _interactions([[2, 3, 3, 20], [7], [], [0]])
EVEN = np.arange(N) % 2 == 0
POOLS = [Pool("all", np.ones(N, bool)), Pool("even", EVEN)]
KINDS = {
    "vectors": lambda vectors: vectors,
    "tensors": lambda vectors: lambda rows: vectors(rows),
    "arrays": lambda vectors: lambda rows: vectors(rows).numpy(),
}


@pytest.fixture
def vectors():
    queries = np.random.default_rng(0).standard_normal((4, 5))
    return vectors_scorer(queries, np.random.default_rng(1).standard_normal((N, 5)))


@pytest.mark.parametrize("batch_size", [1, 3, 100])
@pytest.mark.parametrize("kind", KINDS)
def test_pools_seen_and_positives(vectors, kind, batch_size):
    scorer = KINDS[kind](vectors)
    found = list(ranked_batches(scorer, [SEEN], POSITIVES, POOLS, 6, batch_size))
    for pool, expected in zip(POOLS, ({0: [3, 20], 1: [7]}, {0: [20]}), strict=True):
        batches = [batch for batch in found if batch.pool is pool]
        pairs = {}
        for batch in batches:
            for owner, positive, score in zip(batch.owners, batch.positives, batch.positive_scores, strict=True):
                row = batch.query_rows[owner]
                pairs.setdefault(int(row), []).append(int(positive))
                assert score == pytest.approx(float(vectors(np.array([row]))[0, positive]), rel=1e-5)
        assert pairs == expected
        for batch in batches:
            for row, candidates in zip(batch.query_rows, batch.candidates, strict=True):
                scores = vectors(np.array([row])).numpy()[0]
                scores[~pool.mask] = -np.inf
                scores[SEEN.candidates_of(row)] = -np.inf
                np.testing.assert_array_equal(candidates, np.argsort(-scores, kind="stable")[:6])


def test_only_some_queries_and_progress(vectors):
    told = []
    found = list(
        ranked_batches(
            vectors, [SEEN], POSITIVES, POOLS[:1], 3, 1, np.array([1, 2, 3]), lambda *args: told.append(args)
        )
    )
    assert [batch.query_rows.tolist() for batch in found] == [[1]]  # 2 has no positive, 3 has seen its only one
    assert told == [("evaluating", 1, 2), ("evaluating", 2, 2)]


def test_a_pool_smaller_than_k(vectors):
    pool = Pool("two", np.isin(np.arange(N), [1, 20]))
    (batch,) = ranked_batches(vectors, [SEEN], POSITIVES, [pool], 4)
    assert batch.candidates.tolist() == [[20, -1, -1, -1]]


def test_scores_of_another_shape_are_refused(vectors):
    with pytest.raises(UsageError, match=r"= \[3, 30\], got \[3, 29\]"):
        list(ranked_batches(lambda rows: np.zeros((len(rows), 29)), [SEEN], POSITIVES, POOLS, 4))
    with pytest.raises(UsageError, match="give one vector for each row"):
        list(ranked_batches(vectors.within(np.arange(3)), [SEEN], POSITIVES, POOLS, 4))
