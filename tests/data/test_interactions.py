import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfmmrec.data import interactions as module
from tfmmrec.data.interactions import Interactions


def small():
    indptr = np.array([0, 2, 2, 5], np.int64)
    columns = {"rating": np.array([1, 2, 3, 4, 5], np.float32)}
    return Interactions(indptr, np.array([3, 1, 0, 3, 3], np.int32), columns, num_candidates=4)


def test_as_a_matrix_a_pair_that_stands_twice_counts_once():
    log = small()
    assert log.matrix().toarray().tolist() == [[0, 1, 0, 1], [0, 0, 0, 0], [1, 0, 0, 1]]
    assert log.matrix().dtype == np.float32 and log.indices.tolist() == [3, 1, 0, 3, 3]


def test_what_it_says_of_itself():
    log = small()
    assert (log.num_queries, log.num_candidates, log.num_rows) == (3, 4, 5)
    assert log.candidates_of(0).tolist() == [3, 1] and log.candidates_of(1).size == 0
    assert log.query_rows().tolist() == [0, 0, 2, 2, 2] and log.query_rows().dtype == np.int32
    assert log.counts().tolist() == [1, 1, 0, 3] and log.counts().dtype == np.int64


def test_select_keeps_queries_candidates_order_and_columns():
    part = small().select(np.array([False, True, True, False, True]))
    assert part.indptr.tolist() == [0, 1, 1, 3]
    assert part.indices.tolist() == [1, 0, 3] and part.indices.dtype == np.int32
    assert part.columns["rating"].tolist() == [2, 3, 5]
    assert part.num_candidates == 4
    assert small().select(np.zeros(5, bool)).indptr.tolist() == [0, 0, 0, 0]


def test_select_refuses_another_mask():
    with pytest.raises(ValueError, match=r"mask must be bool \[5\], got int64 \[5\]"):
        small().select(np.arange(5))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 12), max_size=60), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_any_block_size_gives_the_same(sizes, block_rows, seed):
    random = np.random.default_rng(seed)
    indptr = np.concatenate([[0], np.cumsum(np.array(sizes, np.int64))]).astype(np.int64)
    log = Interactions(indptr, random.integers(0, 9, indptr[-1]).astype(np.int32), {}, 9)
    mask = random.random(log.num_rows) < 0.5
    frame = pd.DataFrame({"query": log.query_rows(), "candidate": log.indices})[mask]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_ROWS", block_rows)
        covered = [row for _, rows in log.blocks() for row in range(rows.start, rows.stop)]
        assert covered == list(range(log.num_rows))
        part = log.select(mask)
        assert (log.counts() == np.bincount(log.indices, minlength=9)).all()
    assert part.query_rows().tolist() == frame["query"].tolist()
    assert part.indices.tolist() == frame["candidate"].tolist()
