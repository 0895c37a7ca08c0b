import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.search import PairScorer
from tfmmrec.types import UsageError

RANDOM = np.random.default_rng(0)
QUERIES = RANDOM.normal(size=(4, 3)).astype(np.float32)
CANDIDATES = RANDOM.normal(size=(5, 2)).astype(np.float32)


class Model:
    """Scores a pair by tanh(q_0) c_1 + q_2; notes how often it was traced."""

    def __init__(self):
        self.traced = 0

    def score_pairs(self, query_parts, candidate_parts, training=False):
        assert not training
        self.traced += 1
        return tf.tanh(query_parts[:, 0]) * candidate_parts[:, 1] + query_parts[:, 2]


def expected(queries=QUERIES, candidates=CANDIDATES):
    return np.tanh(queries[:, :1]) * candidates[:, 1] + queries[:, 2:]  # [num_queries, num_candidates]


@pytest.mark.parametrize("chunk_size", [1, 4, 10, 8192])
def test_scores_of_all_candidates_in_any_chunks(chunk_size):
    model = Model()
    scorer = PairScorer(model, QUERIES, CANDIDATES, chunk_size)
    assert scorer.num_candidates == 5
    for rows in ([2, 0], [3], [], [0, 1, 2, 3]):
        found = scorer(np.array(rows, np.int32))
        assert found.shape == (len(rows), 5) and found.dtype == np.float32
        np.testing.assert_allclose(found, expected()[rows], rtol=1e-5)
    assert model.traced == 1


@pytest.mark.parametrize("chunk_size", [2, 3, 64])
def test_scores_of_some_pairs(chunk_size):
    queries, candidates = np.array([3, 0, 0, 1, 2]), np.array([4, 0, 2, 2, 1])
    scorer = PairScorer(Model(), QUERIES, CANDIDATES, chunk_size)
    np.testing.assert_allclose(scorer.pairs(queries, candidates), expected()[queries, candidates], rtol=1e-5)


def test_a_model_may_say_how_many_pairs_it_takes_at_a_time():
    model = Model()
    assert PairScorer(model, QUERIES, CANDIDATES).chunk_size == 8192
    model.pairs_at_once = 3
    scorer = PairScorer(model, QUERIES, CANDIDATES)
    assert scorer.chunk_size == 3
    np.testing.assert_allclose(scorer(np.arange(4)), expected(), rtol=1e-5)
    assert PairScorer(model, QUERIES, CANDIDATES, 2).chunk_size == 2


def test_other_parts_go_through_the_same_graph():
    model = Model()
    first = PairScorer(model, QUERIES, CANDIDATES)
    rows = np.array([1, 2])
    first(rows)
    other = first.with_parts(QUERIES * 2, CANDIDATES[:3])
    np.testing.assert_allclose(other(rows), expected(QUERIES * 2, CANDIDATES[:3])[rows], rtol=1e-5)
    np.testing.assert_allclose(first(rows), expected()[rows], rtol=1e-5)
    assert model.traced == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: PairScorer(Model(), QUERIES, CANDIDATES, 0), "chunk_size must be at least 1, got 0"),
        (lambda: PairScorer(Model(), QUERIES[0], CANDIDATES), r"must be \[num_queries, query_dim\].*got \[3\] and"),
        (
            lambda: PairScorer(Model(), QUERIES, CANDIDATES).pairs(np.arange(2), np.arange(3)),
            r"as many query rows as candidate rows, got \[2\] and \[3\]",
        ),
        (
            lambda: PairScorer(Model(), QUERIES, CANDIDATES)(np.array([4])),
            r"a query row must lie in \[0, 4\), got 4 to 4",
        ),
        (
            lambda: PairScorer(Model(), QUERIES, CANDIDATES).pairs(np.array([0]), np.array([-1])),
            r"a candidate row must lie in \[0, 5\), got -1 to -1",
        ),
    ],
)
def test_what_cannot_be_scored_is_refused(call, message):
    with pytest.raises(UsageError, match=message):
        call()
