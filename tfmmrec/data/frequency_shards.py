"""How often each candidate was chosen in training, for the sampling correction, and ids that have no table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from tfmmrec.data.dataset_counts import DatasetCounts
from tfmmrec.data.example_shards import shard_name, write_examples
from tfmmrec.data.id_numbers import ids_in_order
from tfmmrec.data.interaction_shards import NAMES, Known, merged_chosen
from tfmmrec.data.sharded_dataset import ShardedDataset
from tfmmrec.data.splits import TEST, TRAIN


def write_frequencies(
    block: int, groups: Mapping[str, Iterable], dataset: ShardedDataset, known: Known
) -> Iterator[tuple[str, object]]:
    """Writes `id` and `count`, its interactions in train, of each candidate of a block, in the order of rows.

    Args:
        block: of candidates.
        groups: "ids", packed with their rows, and "chosen", of type Chosen; none where nobody chose any.
        dataset: what is prepared.
        known: of the whole log.

    Yields:
        ("counts", DatasetCounts).
    """
    if known.faults:
        return
    ids, start = ids_in_order(groups["ids"]), block * dataset.per_block("candidates")
    counts = np.zeros((3, len(ids)), np.int64)
    parts = list(groups["chosen"])
    if parts:
        rows, own = merged_chosen(parts)
        counts[:, rows - start] = own
    path = Path(dataset.to, shard_name("frequencies", block, _num_blocks(known.num_candidates, "candidates", dataset)))
    write_examples(path, {"id": ids, "count": counts[TRAIN]})
    found = DatasetCounts()
    for part, name in NAMES.items():
        found.counts["candidates", name] = int(np.count_nonzero(counts[part]))
    learned = counts.sum(axis=0) - counts[TEST]
    found.counts["candidates without train", ""] = int(np.count_nonzero(learned == 0))
    yield "counts", found


def write_ids(block: int, packed: Iterable[bytes], side: str, dataset: ShardedDataset, known: Known) -> None:
    """Writes the ids of a side without a table as one, in the order of their rows."""
    log = dataset.schema.interactions
    one, column, count = ("query", log.query, known.num_queries)
    if side == "candidates":
        one, column, count = ("candidate", log.candidate, known.num_candidates)
    path = Path(dataset.to, shard_name(f"{one}_ids", block, _num_blocks(count, side, dataset)))
    write_examples(path, {column: ids_in_order(packed)})


def _num_blocks(count: int, side: str, dataset: ShardedDataset) -> int:
    return -(-count // dataset.per_block(side))
