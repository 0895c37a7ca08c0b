"""The k-core of a log: what is left when whoever and whatever has fewer than k choices is left out, again and again."""

from __future__ import annotations

import numpy as np

_CHUNK_ROWS = 2**22


def k_core(queries: np.ndarray, candidates: np.ndarray, core: int) -> tuple[np.ndarray, np.ndarray]:
    """Who and what is in the k-core; a pair that stands there several times counts once.

    Takes about 30 bytes an interaction while it works.

    Args:
        queries: the rows of the queries, int32 `[num_interactions]`.
        candidates: the rows of the candidates, likewise.
        core: at least so many different partners each.

    Returns:
        bool `[largest query + 1]` and bool `[largest candidate + 1]`: True for those that stay.
    """
    num_queries, num_candidates = int(queries.max(initial=-1)) + 1, int(candidates.max(initial=-1)) + 1
    queries, candidates = _distinct(queries, candidates, max(num_candidates, 1))
    degrees = _counts(queries, num_queries), _counts(candidates, num_candidates)
    while True:
        enough = degrees[0] >= core, degrees[1] >= core
        stay = enough[0][queries]
        stay &= enough[1][candidates]
        if stay.all():
            return enough
        gone = ~stay
        degrees[0][:] -= _counts(queries[gone], num_queries)
        degrees[1][:] -= _counts(candidates[gone], num_candidates)
        queries, candidates = queries[stay], candidates[stay]


def _distinct(queries: np.ndarray, candidates: np.ndarray, num_candidates: int) -> tuple[np.ndarray, np.ndarray]:
    """Each pair once, int32 `[num_pairs]` twice."""
    pairs = queries.astype(np.int64)
    pairs *= num_candidates
    pairs += candidates
    pairs.sort()
    if pairs.size:
        new = np.empty(pairs.size, bool)
        new[0] = True
        np.not_equal(pairs[1:], pairs[:-1], out=new[1:])
        pairs = pairs[new]
    quotients = np.empty(pairs.size, np.int32)
    np.floor_divide(pairs, num_candidates, out=quotients, casting="unsafe")
    np.remainder(pairs, num_candidates, out=pairs)
    return quotients, pairs.astype(np.int32)


def _counts(rows: np.ndarray, num_rows: int) -> np.ndarray:
    """How often each row stands there, int64 `[num_rows]`."""
    counts = np.zeros(num_rows, np.int64)
    for start in range(0, rows.size, _CHUNK_ROWS):
        counts += np.bincount(rows[start : start + _CHUNK_ROWS], minlength=num_rows)
    return counts
