"""The histories of queries that are asked for, not trained on."""

from __future__ import annotations

import numpy as np

from tfmmrec.data.interactions import Interactions


def full_histories(interactions: Interactions, queries: np.ndarray, length: int, seed: int = 0) -> np.ndarray:
    """The histories for validation, test and serving: all the query's training candidates, each once, capped.

    Args:
        interactions: train.
        queries: int rows `[batch]`.
        length: the cap. With timestamps the newest are kept; without, a seeded choice.

    Returns:
        int32 `[batch, length]`, newest first, -1 padded.
    """
    rows = np.full((len(queries), length), -1, np.int32)
    timed = "timestamp" in interactions.columns
    for i, query in enumerate(queries):
        candidates = _newest_of_each(interactions.candidates_of(int(query)))
        if candidates.size > length and not timed:
            chosen = np.sort(np.random.default_rng((seed, int(query))).permutation(candidates.size)[:length])
            candidates = candidates[chosen]
        kept = candidates[-length:][::-1]
        rows[i, : kept.size] = kept
    return rows


def _newest_of_each(candidates: np.ndarray) -> np.ndarray:
    """Rows `[n]`, oldest first, without those that come again later."""
    newest_first = candidates[::-1]
    different, places = np.unique(newest_first, return_index=True)
    return candidates if different.size == candidates.size else newest_first[np.sort(places)][::-1]
