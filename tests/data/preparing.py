"""The steps of `pipelines/prepare_dataset.py` in one process, what is grouped in another order; and data for them."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from tfmmrec.data.block_splits import newest_from
from tfmmrec.data.dataset_counts import DatasetCounts
from tfmmrec.data.feature_counts import FeatureCounts
from tfmmrec.data.frequency_shards import write_frequencies, write_ids
from tfmmrec.data.id_numbers import by_hash, num_packed, numbered, range_ids, starts_of
from tfmmrec.data.interaction_shards import (
    Known,
    draw_cold,
    look_up_candidates,
    look_up_queries,
    merged_chosen,
    merged_rows,
    write_block,
)
from tfmmrec.data.log_shards import read_log_file
from tfmmrec.data.sharded_dataset import SIDES, ShardedDataset
from tfmmrec.data.table_shards import distinct_ids, read_table_file
from tfmmrec.data.value_counts import ValueCounts


def write_dataset(folder: Path, log: str, tables: bool = True, num_files: int = 3, seed: int = 0) -> Path:
    """A folder with some files of interactions: rows that are no choices, of unknown candidates and that come twice.

    Args:
        folder: to be made.
        log: more keys of `interactions`.
        tables: of the candidates; queries have none.
        num_files: of 150 interactions each.
        seed: of all that is drawn.
    """
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for file in range(num_files):
        rows = [
            f"u{random.integers(40)},i{random.integers(25)},{1.6e9 + random.integers(200) / 4},"
            f"{random.integers(1, 6)},{random.choice(['tv', 'phone', ''])}"
            for _ in range(150)
        ]
        (folder / f"log-{file}.csv").write_text("\n".join(["user,thing,time,stars,device", *rows]) + "\n")
    features = "features: {device: {kind: category}}"
    keys = f"query: user, candidate: thing, timestamp: time, rating: stars, {features}, {log}"
    text = f'interactions: {{{keys}, positive: "stars >= 2"}}\n'
    if tables:
        ids = random.permutation(24)  # one less than there are in the log
        rows = [f"i{row},coat {row % 5},{row % 7 or ''},{'a|b' if row % 2 else ''}" for row in ids]
        for part in (0, 1):
            (folder / f"things-{part}.csv").write_text("\n".join(["id,title,price,tags", *rows[part::2]]) + "\n")
        described = 'title: {kind: text}, price: {kind: number}, tags: {kind: category, separator: "|"}'
        text += f'candidates: {{path: "things-*.csv", id: id, display: [title], features: {{{described}}}}}\n'
    (folder / "dataset.yaml").write_text(text)
    return folder


class Grouped:
    """What steps yield, by tag; values of keys are grouped, and come in another order than they went in."""

    def __init__(self):
        self.values = defaultdict(list)

    def add(self, outputs) -> None:
        for tag, value in outputs:
            self.values[tag].append(value)

    def by_key(self, tag: str) -> dict:
        groups = defaultdict(list)
        for key, value in reversed(self.values[tag]):
            groups[key].append(value)
        return groups


def prepare(folder: Path, to: Path, queries_per_shard: int = 16, with_media: bool = True):
    """(the opened dataset, its counts, the rejected lines); the shards are in `to`."""
    dataset, everything = ShardedDataset.open(folder, None, to, queries_per_shard), Grouped()
    for file in range(len(dataset.log)):
        everything.add(read_log_file(file, dataset))
    sides = {side: _side(side, dataset, everything, with_media) for side in SIDES}
    for one, side, look_up in (("rows", "candidates", look_up_candidates), ("rows", "queries", look_up_queries)):
        rows, known = everything.by_key(one), sides[side].by_key("by_hash")
        everything.values.pop("rows")
        for key in {*rows, *known}:
            everything.add(look_up(key, {"rows": rows.get(key, []), "ids": known.get(key, [])}, dataset))
    known = _known(dataset, everything, sides)
    everything.values["counts"].append(DatasetCounts(faults=known.faults))
    for block, packed in everything.by_key("blocks").items():
        everything.add(write_block(block, packed, dataset, known))
    chosen = {block: [merged_chosen(parts)] for block, parts in everything.by_key("chosen").items()}
    for block, packed in sides["candidates"].by_key("by_row").items():
        everything.add(write_frequencies(block, {"ids": packed, "chosen": chosen.get(block, [])}, dataset, known))
    for side in SIDES:
        for block, packed in sides[side].by_key("by_row").items() if not dataset.is_fixed(side) else ():
            write_ids(block, packed, side, dataset, known)
    return dataset, DatasetCounts.merged(everything.values["counts"]), everything.values["rejected"]


def _side(side: str, dataset: ShardedDataset, everything: Grouped, with_media: bool) -> Grouped:
    own, name = Grouped(), {"candidates": "candidate ids", "queries": "query ids"}[side]
    own.values["ids"] = everything.values[name]
    if dataset.tables[side]:
        for file in range(len(dataset.tables[side])):
            own.add(read_table_file(file, side, dataset, with_media))
    elif dataset.is_fixed(side):
        own.values["ids"] = list(by_hash(range_ids(0, getattr(dataset.schema, side).ids.range), dataset.num_partitions))
    for key, packed in own.by_key("ids").items():
        own.add(distinct_ids(key, packed, side, dataset))
    starts = starts_of(_sums((key, num_packed(packed)) for key, packed in own.values["stretch"]))
    own.starts = starts
    for key, packed in own.by_key("stretch").items():
        own.add(numbered(key, packed, starts, dataset.num_partitions, dataset.per_block(side)))
    features = defaultdict(list)
    for key, parts in own.by_key("feature").items():
        features[key[:2]].append(FeatureCounts.merged(parts).trimmed())
    merged = {key: FeatureCounts.merged(parts) for key, parts in features.items()}
    everything.values["counts"] += own.values["counts"]
    everything.values["counts"].append(DatasetCounts(Counter({("ids", side): starts[-1]}), features=merged))
    everything.values["rejected"] += own.values["rejected"]
    return own


def _known(dataset: ShardedDataset, everything: Grouped, sides: dict[str, Grouped]) -> Known:
    log, test, valid, cold = dataset.schema.interactions, None, None, None
    candidates, queries = sides["candidates"].starts, sides["queries"].starts
    if everything.values["times"]:
        times = {key: ValueCounts.merged(own) for key, own in everything.by_key("times").items()}
        sizes = {key: own.total for key, own in times.items()}
        split = log.split_or_default
        (test,) = sum((newest_from(key, own, sizes, split.test) for key, own in times.items()), [])
        found = sum((newest_from(key, own, sizes, split.valid, test[1]) for key, own in times.items()), [])
        valid = found[0] if found else None
    if log.cold_candidates:
        present = [merged_rows(own) for own in everything.by_key("present").values()]
        cold = draw_cold(present, candidates[-1], log.cold_candidates, log.seed)
    starts = starts_of(_sums(everything.values["sizes"]))
    return Known.of(starts, queries, candidates, everything.values["fractions"], test, valid, cold)


def _sums(pairs) -> dict[int, int]:
    sums = Counter()
    for key, size in pairs:
        sums[key] += size
    return sums


def assert_same_dataset(local, prepared) -> None:
    """Two datasets have the same ids and the same parts, row by row, bit by bit."""
    for side in SIDES:
        assert getattr(local, side).ids.equals(getattr(prepared, side).ids)
    assert local.parts.keys() == prepared.parts.keys()
    for name, part in local.parts.items():
        other = prepared.parts[name]
        np.testing.assert_array_equal(part.indptr, other.indptr)
        np.testing.assert_array_equal(part.indices, other.indices)
        assert part.columns.keys() == other.columns.keys()
        for column in part.columns:
            np.testing.assert_array_equal(_values(part, column), _values(other, column))


def _values(part, column):
    values = part.columns[column]
    if column not in part.vocabularies:
        return values
    known = [*part.vocabularies[column].to_pylist(), None]  # the last one is for code -1
    return np.array([known[code] for code in values], object)
