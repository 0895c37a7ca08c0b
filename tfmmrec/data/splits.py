"""Parts a log of interactions: at random, by the last choice, by time, and cold candidates. All seeded.

Every function works on the compressed rows in blocks, so a part costs its own size and a byte a row.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tfmmrec.data.interactions import BLOCK_ROWS, Interactions
from tfmmrec.data.storage import release
from tfmmrec.schema import Split
from tfmmrec.types import DataError, UsageError

TRAIN, VALID, TEST = 0, 1, 2


def split_interactions(
    interactions: Interactions, split: Split, seed: int
) -> tuple[Interactions, Interactions | None, Interactions]:
    """Parts one log into train, valid (None when its share is 0) and test.

    Args:
        interactions: the whole log.
        split: the method and the shares.
        seed: of the random choices.

    Raises:
        DataError: a part that was asked for is empty, or the method needs timestamps that are not there.
    """
    if split.method == "time":
        parts = _by_time(interactions, split)
    elif split.method == "leave_one_out":
        parts = _leave_one_out(interactions, split, seed)
    else:
        parts = _by_ratio(interactions, split, seed)
    sizes = [np.count_nonzero(parts == part) for part in (TRAIN, VALID, TEST)]
    wanted = [("train", TRAIN), ("test", TEST)] + ([("valid", VALID)] if split.valid else [])
    for name, part in wanted:
        if not sizes[part]:
            raise DataError(_empty_split(name, split, interactions))
    train, test = interactions.select(parts == TRAIN), interactions.select(parts == TEST)
    return train, interactions.select(parts == VALID) if split.valid else None, test


def hold_out(interactions: Interactions, fraction: float, seed: int) -> tuple[Interactions, Interactions]:
    """Takes a share of each query's rows away, for validation; at least one row of each query stays.

    With timestamps the newest are taken, else random ones. How many of a query with n rows is the whole part
    of `fraction * n`, and one more with the remaining probability, so that the share is right over short logs
    too.

    Args:
        interactions: train.
        fraction: between 0 and 1.
        seed: of the choice.

    Returns:
        What stays, and what was held out.

    Raises:
        UsageError: a fraction that is not between 0 and 1.
        DataError: no query has a row to spare.
    """
    if not 0.0 < fraction < 1.0:
        raise UsageError(f"fraction must be between 0 and 1, both excluded, got {fraction}")
    random = np.random.default_rng((seed, 1))
    wanted = _share(np.diff(interactions.indptr), fraction, random)
    if not wanted.any():
        sizes = np.diff(interactions.indptr)
        if sizes.max(initial=0) < 2:
            raise DataError(
                "nothing can be held out for validation: no query has two interactions; give a `valid` file of its own"
            )
        wanted[sizes.argmax()] = 1
    mask = np.zeros(interactions.num_rows, bool)
    for queries, rows, rank in _ranked(interactions, random):
        mask[rows] = rank < np.repeat(wanted[queries], np.diff(interactions.indptr[queries.start : queries.stop + 1]))
    return interactions.select(~mask), interactions.select(mask)


def choose_cold(counts: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Draws cold candidates among those with interactions.

    Args:
        counts: interactions of each candidate over all parts, `[num_candidates]`.
        fraction: of all candidates.
        seed: of the choice.

    Returns:
        bool `[num_candidates]`, `round(fraction * num_candidates)` of them true.

    Raises:
        DataError: fewer candidates have interactions than are to be cold.
    """
    wanted, eligible = round(fraction * counts.size), np.flatnonzero(counts > 0)
    if wanted >= eligible.size:
        raise DataError(
            f"cold_candidates: {fraction} asks for {wanted} of {counts.size} candidates, but only "
            f"{eligible.size} have "
            "interactions, and some must stay to train on; lower it"
        )
    cold = np.zeros(counts.size, bool)
    cold[np.random.default_rng((seed, 2)).permutation(eligible)[:wanted]] = True
    return cold


def without(interactions: Interactions, candidates: np.ndarray) -> Interactions:
    """The rows whose candidate is not marked in `candidates`, bool `[num_candidates]`."""
    mask = np.empty(interactions.num_rows, bool)
    for start in range(0, mask.size, BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        mask[rows] = ~candidates[interactions.indices[rows]]
        release(interactions.indices)
    return interactions.select(mask)


def _share(sizes: np.ndarray, fraction: float, random: np.random.Generator) -> np.ndarray:
    wanted = np.floor(sizes * fraction + random.random(sizes.size)).astype(np.int64)
    return np.minimum(wanted, np.maximum(sizes - 1, 0))


def _ranked(
    interactions: Interactions, random: np.random.Generator, newest: bool | None = None
) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Blocks of (queries, rows, rank of each row within its query): 0 is the newest, or the first drawn."""
    newest = "timestamp" in interactions.columns if newest is None else newest
    for queries, rows in interactions.blocks():
        starts = interactions.indptr[queries.start : queries.stop + 1] - rows.start
        sizes = np.diff(starts)
        if newest:
            rank = np.repeat(starts[1:], sizes) - 1 - np.arange(rows.stop - rows.start)
        else:
            owner = np.repeat(np.arange(sizes.size), sizes)
            order = np.lexsort((random.random(owner.size), owner))
            rank = np.empty(owner.size, np.int64)
            rank[order] = np.arange(owner.size) - np.repeat(starts[:-1], sizes)
        yield queries, rows, rank


def _by_ratio(interactions: Interactions, split: Split, seed: int) -> np.ndarray:
    random = np.random.default_rng((seed, 0))
    sizes = np.diff(interactions.indptr)
    num_test = _share(sizes, split.test, random)
    num_valid = _share(sizes - num_test, split.valid / (1 - split.test), random)
    return _deal(interactions, num_test, num_valid, random, newest=False)


def _leave_one_out(interactions: Interactions, split: Split, seed: int) -> np.ndarray:
    random = np.random.default_rng((seed, 0))
    sizes = np.diff(interactions.indptr)
    num_test = (sizes >= 2).astype(np.int64)
    num_valid = ((sizes >= 3) & (split.valid > 0)).astype(np.int64)
    return _deal(interactions, num_test, num_valid, random, newest=None)


def _deal(interactions, num_test, num_valid, random, newest) -> np.ndarray:
    """The first ranks of each query go to the test, the next ones to validation; uint8 `[num_rows]`."""
    parts = np.zeros(interactions.num_rows, np.uint8)
    for queries, rows, rank in _ranked(interactions, random, newest):
        sizes = np.diff(interactions.indptr[queries.start : queries.stop + 1])
        test, valid = np.repeat(num_test[queries], sizes), np.repeat(num_valid[queries], sizes)
        parts[rows] = np.where(rank < test, TEST, np.where(rank < test + valid, VALID, TRAIN))
    return parts


def _by_time(interactions: Interactions, split: Split) -> np.ndarray:
    times = interactions.columns.get("timestamp")
    if times is None:
        raise DataError("interactions.split: method: time needs `timestamp`, the name of the column with the time")
    num_rows = times.size
    test_from = _order_statistic(times, max(0, num_rows - max(1, round(split.test * num_rows))))
    before = _num_below(times, test_from)
    valid_from = test_from
    if split.valid and before:
        valid_from = _order_statistic(times, max(0, before - max(1, round(split.valid * num_rows))))
    parts = np.zeros(num_rows, np.uint8)
    for start in range(0, num_rows, BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        parts[rows] = np.where(times[rows] >= test_from, TEST, np.where(times[rows] >= valid_from, VALID, TRAIN))
        release(times)
    return parts


def _num_below(values: np.ndarray, bound: float) -> int:
    count = 0
    for start in range(0, values.size, BLOCK_ROWS):
        count += int(np.count_nonzero(values[start : start + BLOCK_ROWS] < bound))
        release(values)
    return count


def _order_statistic(values: np.ndarray, rank: int) -> float:
    """The value at a place of the sorted order, by four passes of 16 bits: sorting would need a copy."""
    prefix = 0
    for shift in (48, 32, 16, 0):
        histogram = np.zeros(2**16, np.int64)
        for start in range(0, values.size, BLOCK_ROWS):
            keys = _sortable(values[start : start + BLOCK_ROWS])
            if shift < 48:
                keys = keys[keys >> np.uint64(shift + 16) == prefix]
            digits = (keys >> np.uint64(shift)) & np.uint64(0xFFFF)
            histogram += np.bincount(digits.astype(np.int64), minlength=2**16)
            release(values)
        sums = np.cumsum(histogram)
        digit = int(np.searchsorted(sums, rank, side="right"))
        rank -= int(sums[digit - 1]) if digit else 0
        prefix = (prefix << 16) | digit
    bits = prefix ^ (1 << 63) if prefix >> 63 else prefix ^ (2**64 - 1)
    return float(np.array([bits], np.uint64).view(np.float64)[0])


def _sortable(values: np.ndarray) -> np.ndarray:
    """float64 -> uint64 of the same order."""
    bits = (np.asarray(values, np.float64) + 0.0).view(np.uint64)  # -0.0 becomes 0.0
    sign = np.uint64(1 << 63)
    return np.where(bits & sign, ~bits, bits | sign)


def _empty_split(name: str, split: Split, interactions: Interactions) -> str:
    busiest = int(np.diff(interactions.indptr).max(initial=0))
    shares = f"method: {split.method}, valid: {split.valid}, test: {split.test}"
    if split.method == "time":
        why = "rows of the same time stay together, and too many share one"
    else:
        why = f"a query keeps at least one row, and no query has more than {busiest}"
    return (
        f"interactions.split: {name} is empty ({shares}, {interactions.num_rows} interactions); {why}; "
        "choose another method or other shares, or give ready-made files"
    )
