import numpy as np
import pytest

from tfmmrec.search.scorer import ranked, vectors_scorer
from tfmmrec.types import UsageError

RANDOM = np.random.default_rng(0)
QUERIES, CANDIDATES = RANDOM.standard_normal((4, 3)), RANDOM.standard_normal((9, 3))
NOTHING = np.zeros((0, 2), np.int32)


def test_scores_are_products():
    scores = vectors_scorer(QUERIES, CANDIDATES)(np.array([2, 0]))
    np.testing.assert_allclose(scores, QUERIES[[2, 0]] @ CANDIDATES.T, rtol=1e-5)


def test_within_some_candidates():
    scorer = vectors_scorer(QUERIES, CANDIDATES).within(np.array([7, 1]))
    assert scorer.num_candidates == 2
    np.testing.assert_allclose(scorer(np.array([1])), QUERIES[[1]] @ CANDIDATES[[7, 1]].T, rtol=1e-5)


def test_ranked_by_vectors_is_ranked_by_their_scores():
    scorer, rows = vectors_scorer(QUERIES, CANDIDATES), np.arange(4)
    seen = np.array([[0, 1], [3, 8]], np.int32)
    positives = np.array([[1, 1], [3, 8]], np.int32)
    for one, other in zip(
        scorer.ranked(rows, seen, positives, 5), ranked(scorer(rows), seen, positives, 5), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("num_candidates", [1, 48, 97])
@pytest.mark.parametrize("num_queries", [1, 10])
def test_queries_ranked_in_chunks_and_candidates_padded_to_blocks(num_queries, num_candidates, monkeypatch):
    monkeypatch.setattr("tfmmrec.search.scorer.CHUNK_BYTES", 4 * 4 * num_candidates)
    random = np.random.default_rng(num_queries)
    scorer = vectors_scorer(random.integers(0, 3, (num_queries, 2)), random.integers(0, 4, (num_candidates, 2)))
    rows = np.arange(num_queries)[::-1]
    seen = np.argwhere(random.random((num_queries, num_candidates)) < 0.2).astype(np.int32)
    positives = np.argwhere(random.random((num_queries, num_candidates)) < 0.1).astype(np.int32)
    for k in (3, 5, num_candidates + 2):
        found, expected = scorer.ranked(rows, seen, positives, k), ranked(scorer(rows), seen, positives, k)
        np.testing.assert_array_equal(found.scores, expected.scores)
        is_candidate = np.isfinite(expected.scores)
        np.testing.assert_array_equal(found.columns.numpy()[is_candidate], expected.columns.numpy()[is_candidate])
        np.testing.assert_array_equal(found.positive_scores, expected.positive_scores)
        full = is_candidate.all(axis=1)
        np.testing.assert_array_equal(found.num_last.numpy()[full], expected.num_last.numpy()[full])


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match=r"must be \[num_queries, dim\].*got \[4, 3\] and \[9, 2\]"):
        vectors_scorer(QUERIES, CANDIDATES[:, :2])
    with pytest.raises(UsageError, match="5 queries and 9 candidates, but there are 4 query vectors and 9"):
        vectors_scorer(QUERIES, CANDIDATES).check(5, 9)


def test_numbers_that_are_not_finite_are_refused():
    broken = CANDIDATES.copy()
    broken[6, 1] = np.inf
    with pytest.raises(UsageError, match="candidate_vectors, row 6: every number must be finite"):
        vectors_scorer(QUERIES, broken)
    scores = np.zeros((2, 5), np.float32)
    scores[1, 4] = np.nan
    with pytest.raises(UsageError, match="scores that are NaN; its model has diverged"):
        ranked(scores, NOTHING, NOTHING, 2)
