"""Small logs that the tests of batches draw from."""

from __future__ import annotations

import numpy as np

from tfmmrec.data.interactions import Interactions

NUM_CANDIDATES = 12
EVERY_LOG = [(seed, timed) for seed in range(4) for timed in (False, True)]


def make_log(seed=0, timed=False, num_queries=9):
    """A log with queries of every size, none included, and pairs that stand in it several times.

    The weight of a row is its place in the log and 1, so that a batch tells which rows it has.
    """
    random = np.random.default_rng(seed)
    sizes = [0, 1, 2, *random.integers(1, 15, num_queries - 3)]
    random.shuffle(sizes)
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    num_rows = int(indptr[-1])
    columns = {"weight": np.arange(1, num_rows + 1, dtype=np.float32)}
    if timed:
        columns["timestamp"] = np.arange(num_rows, dtype=np.float64)
    candidates = random.integers(0, NUM_CANDIDATES - 1, num_rows).astype(np.int32)  # the last one is never chosen
    return Interactions(indptr, candidates, columns, NUM_CANDIDATES)


QUERY_TABLES = {"age": {"value": np.arange(9, dtype=np.float32)}}
CANDIDATE_TABLES = {"name": {"words": np.arange(NUM_CANDIDATES * 2, dtype=np.int32).reshape(-1, 2)}}
