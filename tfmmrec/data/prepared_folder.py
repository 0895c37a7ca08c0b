"""Ends the preparation of a dataset: refuses what is no dataset, or makes a folder of the shards that trains as it is.

FOLDER/
    dataset.yaml            ready-made parts, and the tables as they were
    prepared/               train-*.tfrecord, valid-*, test-*: interactions of known ids, query by query
                            frequencies-*.tfrecord: how often train has each candidate
                            candidate_ids-*.tfrecord, query_ids-*.tfrecord: where the log says which ids there are
    inspection.json         what `tfmmrec inspect` says of the dataset
    statistics.json         what the features' encoders are built from
    ...                     tables, vectors, pictures, sounds and videos, under their own paths
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from tfmmrec.data.config import DEFAULT_NAME
from tfmmrec.data.dataset_counts import DatasetCounts
from tfmmrec.data.example_shards import FOLDER, remove_partial
from tfmmrec.data.feature_counts import FeatureCounts, count_feature
from tfmmrec.data.fingerprint import hash_files
from tfmmrec.data.inspection import QUANTILES, InspectedIssue, InspectedPart, InspectedSide, Inspection
from tfmmrec.data.issues import Issues
from tfmmrec.data.prepared_schema import prepared_yaml
from tfmmrec.data.readers import find_files
from tfmmrec.data.sharded_dataset import SIDES, ShardedDataset
from tfmmrec.data.table_shards import bring_files
from tfmmrec.data.vectors import load_vectors
from tfmmrec.types import DataError


def check_counts(dataset: ShardedDataset, counts: DatasetCounts, max_rejected: float, errors: str) -> None:
    """Refuses what cannot be trained on.

    Args:
        dataset: what was read.
        counts: what was counted of it.
        max_rejected: the share of interactions that may be unreadable.
        errors: where the rejected rows are, for messages.

    Raises:
        DataError: a table or file with faults, too many unreadable rows, or a part without any.
    """
    if counts.faults:
        more = "" if len(counts.faults) == 1 else f" (this is one of several faults, which {errors} has)"
        raise DataError(counts.faults[0] + more)
    own, log = counts.counts, dataset.schema.interactions
    for part in dict(dataset.log):
        source = getattr(log, part)
        read, unreadable, positive = (own[what, part] for what in ("read", "unreadable", "positive"))
        if not read:
            raise DataError(f"{source}: no interactions; expected at least one row below the header")
        if unreadable > max_rejected * read:
            raise DataError(
                f"{source}: {unreadable:,} of {read:,} interactions cannot be read, expected at most a share of "
                f"{max_rejected:g}; mend them, see {errors}, or allow more with --max-rejected"
            )
        if not positive:
            raise DataError(f"{source}: none of the {read - unreadable} interactions satisfies {log.positive!r}")
        if not own["kept", part]:
            raise DataError(
                f"{source}: none of the {positive} interactions has both its ids in the tables, see {errors}; check "
                "that both name things by the same ids (leading zeros, prefixes, a decimal point)"
            )
    for part in dataset.parts:
        if not own["rows", part]:
            split = log.split_or_default
            shares = f"method: {split.method}, valid: {split.valid}, test: {split.test}, " if log.path else ""
            raise DataError(
                f"interactions: {part} is empty ({shares}cold_candidates: {log.cold_candidates}, "
                f"{sum(own['kept', part] for part in dict(dataset.log))} interactions); choose another split or other "
                "shares"
            )


def finish_folder(dataset: ShardedDataset, counts: DatasetCounts, folder: str) -> Inspection:
    """Brings the tables, and writes what describes the dataset; its shards are there.

    Args:
        dataset: what was prepared.
        counts: what was counted of it, and checked.
        folder: what the dataset's folder is called.

    Returns:
        What `inspect_dataset` finds in it.

    Raises:
        DataError: vectors that do not fit their table.
    """
    root, to = Path(dataset.root), Path(dataset.to)
    vectors = {side: _vectors_by_path(dataset, side, counts) for side in SIDES}
    arrays = [path for side in SIDES for path in _array_files(dataset, side)]
    tables = [file for side in SIDES for file in dataset.tables[side]]
    bring_files(root, to, [*tables, *(path.relative_to(root).as_posix() for path in arrays)])
    features = {
        (side, name): counts.features.get((side, name)) or vectors[side][name]
        for side in SIDES
        for name in getattr(dataset.schema, side).features
    }
    found = _inspection(dataset, counts, features, folder, _fingerprint(dataset, counts, arrays))
    (to / "inspection.json").write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")
    text = json.dumps(prepared_statistics(dataset, counts, features), indent=1, ensure_ascii=False)
    (to / "statistics.json").write_text(text + "\n", encoding="utf-8")
    remove_partial(to / FOLDER)
    (to / DEFAULT_NAME).write_text(prepared_yaml(dataset, found.fingerprint), encoding="utf-8")
    return found


def prepared_statistics(
    dataset: ShardedDataset, counts: DatasetCounts, features: dict[tuple[str, str], FeatureCounts]
) -> dict[str, Any]:
    """What `compute_statistics` counts, without what has a value for each query or candidate."""
    own = counts.counts
    found: dict[str, Any] = {
        "num_candidates": own["ids", "candidates"],
        "num_queries": own["ids", "queries"],
        "longest_history": int(counts.lengths["train"].values.max(initial=0)),
        "rating_mean": None,
        "rating_stddev": None,
    }
    number = own["ratings", "count"]
    if number:
        mean = own["ratings", "sum"] / number
        found["rating_mean"] = mean
        found["rating_stddev"] = max(own["ratings", "squares"] / number - mean**2, 0.0) ** 0.5 or 1.0
    for side in SIDES:
        described = getattr(dataset.schema, side).features
        found[side] = {name: features[side, name].statistics(described[name]).model_dump() for name in described}
    return found


def _inspection(
    dataset: ShardedDataset,
    counts: DatasetCounts,
    features: dict[tuple[str, str], FeatureCounts],
    folder: str,
    fingerprint: str,
) -> Inspection:
    own, log = counts.counts, dataset.schema.interactions
    sizes = {side: own["ids", side] for side in SIDES}
    without = {
        "candidates": own["candidates without train", ""],
        "queries": sizes["queries"] - own["queries in train", ""],
    }
    sides = {
        side: InspectedSide(
            source=getattr(dataset.schema, side).path or side,
            num_rows=sizes[side],
            num_without_train=without[side],
            features={name: features[side, name].inspected() for name in getattr(dataset.schema, side).features},
        )
        for side in SIDES
    }
    drawn = round(log.cold_candidates * sizes["candidates"]) if log.cold_candidates else without["candidates"]
    issues = [issue for section in ("log", *SIDES) for issue in counts.all_issues(section)]
    return Inspection(
        folder=folder,
        **sides,
        parts={part: _part(part, counts, max(sizes["candidates"] * sizes["queries"], 1)) for part in dataset.parts},
        num_cold_candidates=drawn,
        num_seen_in_test=own["seen in test", ""],
        issues=[InspectedIssue(**vars(issue)) for issue in issues],
        fingerprint=fingerprint,
    )


def _part(part: str, counts: DatasetCounts, num_pairs: int) -> InspectedPart:
    own, lengths = counts.counts, counts.lengths[part]
    quantiles = lengths.nearest(list(QUANTILES.values())) if lengths.total else []
    return InspectedPart(
        num_rows=own["rows", part],
        num_queries=lengths.total,
        num_candidates=own["candidates", part],
        num_duplicates=own["duplicates", part],
        density=own["rows", part] / num_pairs,
        history_lengths=dict(zip(QUANTILES, quantiles, strict=False)),
    )


def _array_files(dataset: ShardedDataset, side: str) -> list[Path]:
    return [
        find_files(Path(dataset.root), feature.path, f"{side}.features.{name}.path")[0]
        for name, feature in getattr(dataset.schema, side).features.items()
        if feature.path
    ]


def _vectors_by_path(dataset: ShardedDataset, side: str, counts: DatasetCounts) -> dict[str, FeatureCounts]:
    """What is counted of vectors that stand in files of their own."""
    found = {}
    for number, (name, feature) in enumerate(getattr(dataset.schema, side).features.items()):
        if feature.path:
            issues, key = Issues(), f"{side}.features.{name}.path"
            vectors = load_vectors(Path(dataset.root), feature.path, counts.counts["ids", side], key, issues)
            found[name] = count_feature(feature, vectors, 0)
            late = DatasetCounts.of_issues(side, np.iinfo(np.int64).max - 2**20 + number, issues)
            counts.issues.update(late.issues)
    return found


def _fingerprint(dataset: ShardedDataset, counts: DatasetCounts, arrays: list[Path]) -> str:
    """That of the dataset when it is loaded; its files' digests were made where they were read."""
    media = [counts.counts["media bytes", side] for side in SIDES]
    keys = [f"log {number:09}" for number in range(len(dataset.log))]
    keys += [f"{side} {number:09}" for side in SIDES for number in range(len(dataset.tables[side]))]
    digests = [counts.digests[key] for key in keys] + hash_files(Path(dataset.root), arrays)
    content = [dataset.schema.model_dump_json(), json.dumps(media), *digests]
    return hashlib.sha256("\n".join(content).encode()).hexdigest()
