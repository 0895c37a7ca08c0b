"""Queries in batches, ranked against one or several pools of candidates, seen ones left out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from tfmmrec.data.interactions import Interactions
from tfmmrec.search.scorer import PoolScorer, Scorer, VectorsScorer, ranked
from tfmmrec.types import UsageError

MAX_SCORE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Pool:
    """Candidates that are ranked among themselves.

    Attributes:
        name: such as "all" or "cold".
        mask: bool `[num_candidates]`, which candidates belong to it.
    """

    name: str
    mask: np.ndarray


@dataclass(frozen=True)
class RankedBatch:
    """The heads of some queries' rankings in one pool.

    Attributes:
        pool: the pool.
        query_rows: int `[queries]`, those of the batch that have a positive in the pool.
        scores: float32 `[queries, k]` descending, −inf where the pool has no more candidates that were not
            seen.
        candidates: int32 `[queries, k]` candidate rows, equal scores lowest first; −1 where the score is
            −inf.
        num_last: int `[queries]`, candidates of the pool that have the k-th score.
        owners: int `[num_positives]`, place of each positive's query in `query_rows`.
        positives: int `[num_positives]`, candidate rows.
        positive_scores: float32 `[num_positives]`.
    """

    pool: Pool
    query_rows: np.ndarray
    scores: np.ndarray
    candidates: np.ndarray
    num_last: np.ndarray
    owners: np.ndarray
    positives: np.ndarray
    positive_scores: np.ndarray


def ranked_batches(
    scorer: Scorer,
    seen: Sequence[Interactions],
    positives: Interactions,
    pools: Sequence[Pool],
    k: int,
    batch_size: int = 1024,
    query_rows: np.ndarray | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Iterator[RankedBatch]:
    """Ranks the queries that have a positive, never holding the scores of many queries.

    Args:
        scorer: gives the scores; asked once for a batch, whatever the number of pools, unless it is a `PoolScorer`.
        seen: interactions whose candidates are left out; positives among them do not count.
        positives: what each query should find; a repeated pair counts once.
        pools: what to rank.
        k: length of the heads.
        batch_size: queries in a batch; of a scorer that is not a `VectorsScorer` fewer where their scores would take
            more than 64 MiB.
        query_rows: only these queries; all when None.
        progress: called with ("evaluating", queries done, queries in all).

    Raises:
        UsageError: the scorer's scores are not [queries, num_candidates], or NaN.
    """
    num_candidates = positives.num_candidates
    if isinstance(scorer, PoolScorer):
        scorer.check(positives.num_queries, num_candidates)
    if not isinstance(scorer, VectorsScorer):
        batch_size = max(1, min(batch_size, MAX_SCORE_BYTES // (4 * max(num_candidates, 1))))
    has_positive = np.diff(positives.indptr) > 0
    if query_rows is None:
        query_rows = np.flatnonzero(has_positive)
    else:
        query_rows = np.asarray(query_rows)[has_positive[query_rows]]
    rankers = [_ranker(scorer, pool, num_candidates) for pool in pools]

    def rank(rows: np.ndarray) -> list[RankedBatch]:
        seen_pairs = np.concatenate([_pairs(part, rows) for part in seen])
        if len(seen) > 1:
            seen_pairs = seen_pairs[np.argsort(seen_pairs[:, 0], kind="stable")]
        wanted = _without(_pairs(positives, rows), seen_pairs, num_candidates)
        scores = None if isinstance(scorer, PoolScorer) else _scores(scorer, rows, num_candidates)
        pairs = [wanted[pool.mask[wanted[:, 1]]] for pool in pools]
        return [
            ranker(rows, scores, seen_pairs, mine, k) for ranker, mine in zip(rankers, pairs, strict=True) if len(mine)
        ]

    batches = [
        query_rows[start : start + batch_size].astype(np.int32) for start in range(0, len(query_rows), batch_size)
    ]
    # Some operations of the graph use one core only, and so does what comes before and after: batches beside it fill
    # the others. A scorer that is not ours may not be safe to call from several threads.
    num_workers = 3 if isinstance(scorer, VectorsScorer) else 1
    done = 0
    for rows, found in zip(batches, _in_order(rank, batches, num_workers), strict=True):
        yield from found
        done += len(rows)
        if progress is not None:
            progress("evaluating", done, len(query_rows))


def _in_order(function: Callable, arguments: Sequence, num_workers: int) -> Iterator:
    """What `map` gives, computed by `num_workers` threads, never more than that many results ahead."""
    if num_workers == 1:
        yield from map(function, arguments)
        return
    with ThreadPoolExecutor(num_workers) as pool:
        waiting: deque[Future] = deque()
        for argument in arguments:
            waiting.append(pool.submit(function, argument))
            if len(waiting) > num_workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _ranker(scorer: Scorer, pool: Pool, num_candidates: int) -> Callable[..., RankedBatch]:
    whole = bool(pool.mask.all())
    columns = np.flatnonzero(pool.mask).astype(np.int32)  # pool column -> candidate row
    column_of = np.full(num_candidates, -1, np.int32)
    column_of[columns] = np.arange(columns.size)
    if isinstance(scorer, PoolScorer) and not whole:
        scorer = scorer.within(columns)

    def rank(rows, scores, seen_pairs, pairs, k) -> RankedBatch:
        active, owners = np.unique(pairs[:, 0], return_inverse=True)
        if active.size < len(rows) or not whole:
            place_of = np.full(len(rows), -1, np.int32)
            place_of[active] = np.arange(active.size)
            seen_pairs = np.stack([place_of[seen_pairs[:, 0]], column_of[seen_pairs[:, 1]]], axis=1)
            seen_pairs = seen_pairs[(seen_pairs >= 0).all(axis=1)]
        asked = np.stack([owners, column_of[pairs[:, 1]]], axis=1).astype(np.int32)
        if scores is None:
            head = scorer.ranked(rows[active], seen_pairs, asked, k)
        else:
            part = scores if active.size == len(rows) else scores[active]
            head = ranked(part if whole else part[:, columns], seen_pairs, asked, k)
        values, places, num_last, positive_scores = (tensor.numpy() for tensor in head)
        candidates = np.where(values > -np.inf, columns[np.maximum(places, 0)], np.int32(-1))
        return RankedBatch(pool, rows[active], values, candidates, num_last, owners, pairs[:, 1], positive_scores)

    return rank


def _scores(scorer: Scorer, rows: np.ndarray, num_candidates: int) -> np.ndarray:
    scores = np.asarray(scorer(rows))
    if scores.shape != (len(rows), num_candidates):
        raise UsageError(
            f"a scorer must give scores [queries, num_candidates] = [{len(rows)}, {num_candidates}], "
            f"got {list(scores.shape)}"
        )
    return scores


def _pairs(interactions: Interactions, rows: np.ndarray) -> np.ndarray:
    """Pairs (place in `rows`, candidate row), int32 `[n, 2]`."""
    starts = interactions.indptr[rows]
    sizes = interactions.indptr[rows + 1] - starts
    owners = np.repeat(np.arange(len(rows)), sizes)
    within = np.arange(owners.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.stack([owners, interactions.indices[starts[owners] + within]], axis=1).astype(np.int32)


def _without(pairs: np.ndarray, seen_pairs: np.ndarray, num_candidates: int) -> np.ndarray:
    """The different pairs that are not among the seen ones, sorted."""
    keys = np.unique(pairs[:, 0].astype(np.int64) * num_candidates + pairs[:, 1])
    seen_keys = seen_pairs[:, 0].astype(np.int64) * num_candidates + seen_pairs[:, 1]
    if keys.size:  # looked up in the few, not in the many
        place = np.minimum(np.searchsorted(keys, seen_keys), keys.size - 1)
        keys = np.delete(keys, place[keys[place] == seen_keys])
    return np.stack(np.divmod(keys, num_candidates), axis=1).astype(np.int32)
