"""MMRec's data: `NAME.inter` with its parts marked, and vectors of pictures and texts in row order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfmmrec.data.dataset_writer import Conversion, new_folder, write_yaml
from tfmmrec.data.issues import Issues
from tfmmrec.data.picture_folder import bring_file
from tfmmrec.data.raw_lines import Progress, RawRows, count_broken, first_line, read_fields, to_floats
from tfmmrec.data.raw_sources import Source
from tfmmrec.types import DataError, UsageError

SOURCE = Source(
    "MMRec",
    "https://github.com/enoche/MMRec",
    "no licence is stated for the data, which are made of Amazon Reviews and others; cite Zhou et al. 2023",
)
_PARTS = ("train", "valid", "test")  # as x_label numbers them
_VECTORS = {"image": "image_feat.npy", "text": "text_feat.npy"}
_ID = r"^\d{1,9}$"
_CHUNK_ROWS = 2**12


def convert_mmrec(
    folder: str | Path, to: str | Path, *, min_rating: float | None = None, progress: Progress | None = None
) -> Conversion:
    """Turns a folder of MMRec's (baby, sports, clothing, ...) into a dataset folder with the same parts.

    Args:
        folder: where `NAME.inter` lies, with `image_feat.npy`, `text_feat.npy` or both.
        to: the dataset's folder; new or empty.
        min_rating: from which rating on an interaction is a choice; None: every row is one.
        progress: called with (what, done, in all).

    Raises:
        DataError: a file is missing, unreadable, or does not fit the others.
        UsageError: `to` holds something, or `min_rating` without ratings.
    """
    folder = SOURCE.find(Path(folder), ("*.inter", "image_feat.npy"), ("*.inter", "text_feat.npy"))
    logs = sorted(folder.glob("*.inter"))
    if len(logs) > 1:
        listed = ", ".join(path.name for path in logs)
        raise DataError(f"{folder}: expected one .inter file, found {listed}; put each into a folder of its own")
    names = _columns(logs[0])
    if min_rating is not None and "rating" not in names:
        raise UsageError(f"min_rating needs ratings, but {logs[0].name} has only {', '.join(names)}; leave it out")
    vectors = {name: folder / file for name, file in _VECTORS.items() if (folder / file).is_file()}
    num_rows = _num_rows(vectors)
    issues = Issues()
    with new_folder(to) as staging:
        counts, num_queries = _write_parts(logs[0], names, num_rows, staging, issues, progress)
        for path in vectors.values():
            _write_vectors(path, staging / path.name, progress)
        parts = {part: f"{part}.parquet" for part in _PARTS if counts[part]}
        log: dict[str, Any] = {**parts, "query": "userID", "candidate": "itemID"}
        log |= {name: name for name in ("timestamp", "rating") if name in names}
        if min_rating is not None:
            log["positive"] = f"rating >= {min_rating:g}"
        features = {name: {"kind": "vector", "path": path.name} for name, path in vectors.items()}
        content = {
            "interactions": log,
            "candidates": {"ids": {"range": num_rows}, "features": features},
            "queries": {"history": {"length": 50}},
        }
        write_yaml(staging, SOURCE, content)
    return Conversion(Path(to), sum(counts.values()), num_queries, num_rows, 0, issues.all)


def _columns(path: Path) -> list[str]:
    names = first_line(path).split("\t")
    missing = [name for name in ("userID", "itemID", "x_label") if name not in names]
    if missing:
        raise DataError(
            f"{path}: expected tab-separated columns userID, itemID and x_label (0 train, 1 valid, 2 test), but "
            f"{', '.join(missing)} is not among {', '.join(names)!r}. {SOURCE.where()}"
        )
    return names


def _num_rows(vectors: dict[str, Path]) -> int:
    """How many candidates the arrays have rows for."""
    shapes = {}
    for path in vectors.values():
        array = _open(path)
        shapes[path.name] = array.shape
        if array.ndim != 2 or array.dtype.kind not in "fiu":
            raise DataError(f"{path}: expected numbers [rows, dim], found {array.dtype} {list(array.shape)}")
    if len({shape[0] for shape in shapes.values()}) > 1:
        found = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
        raise DataError(f"expected as many rows in each array of vectors, found {found}; they are not of one data set")
    return next(iter(shapes.values()))[0]


def _open(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{path}: expected a .npy file of numbers [rows, dim]: {error}") from None


def _write_parts(
    path: Path, names: list[str], num_rows: int, staging: Path, issues: Issues, progress: Progress | None
) -> tuple[dict[str, int], int]:
    """Deals the rows out by their label; returns how many each part got, and how many queries there are."""
    kept = [name for name in ("userID", "itemID", "rating", "timestamp") if name in names]
    schema = pa.schema([(name, pa.string() if name.endswith("ID") else pa.float64()) for name in kept])
    files = {part: pq.ParquetWriter(staging / f"{part}.parquet", schema) for part in _PARTS}
    counts, queries = dict.fromkeys(_PARTS, 0), np.zeros(0, bool)
    for rows in read_fields(path, "\t", len(names), issues, progress, header=True):
        columns = dict(zip(names, rows.columns, strict=True))
        labels, good = to_floats(columns["x_label"]), _good(columns, kept)
        good &= np.isin(labels, range(len(_PARTS)))
        count_broken(issues, rows.source, rows.lines, ~good)
        _check_range(rows, columns["itemID"], good, num_rows)
        for label, part in enumerate(_PARTS):
            chosen = pa.array(good & (labels == label))
            values = [_values(columns[name].filter(chosen), schema.field(name).type) for name in kept]
            files[part].write_batch(pa.record_batch(values, schema=schema))
            counts[part] += len(values[0])
        found = np.bincount(columns["userID"].filter(pa.array(good)).cast(pa.int64()).to_numpy()) > 0
        longer = np.zeros(max(len(found), len(queries)), bool)
        longer[: len(found)] |= found
        longer[: len(queries)] |= queries
        queries = longer
    for part, file in files.items():
        file.close()
        if not counts[part]:
            (staging / f"{part}.parquet").unlink()
    if not counts["train"]:
        raise DataError(f"{path}: no row has x_label 0, which is train; found {counts}")
    return counts, int(np.count_nonzero(queries))


def _values(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """Ids in plain decimal form, as the row numbers of the vectors have them; all else as numbers."""
    return texts.cast(pa.int64()).cast(kind) if pa.types.is_string(kind) else pa.array(to_floats(texts))


def _good(columns: dict[str, pa.Array], kept: list[str]) -> np.ndarray:
    """Rows whose ids are whole numbers and whose other values are numbers, bool `[rows]`."""
    good = np.ones(len(columns["userID"]), bool)
    for name in kept:
        if name.endswith("ID"):
            good &= pc.match_substring_regex(columns[name], _ID).to_numpy(zero_copy_only=False)
        else:
            good &= np.isfinite(to_floats(columns[name]))
    return good


def _check_range(rows: RawRows, ids: pa.Array, good: np.ndarray, num_rows: int) -> None:
    numbers = ids.filter(pa.array(good)).cast(pa.int64()).to_numpy()
    if numbers.size and numbers.max() >= num_rows:
        line = rows.lines[good][int(numbers.argmax())]
        raise DataError(
            f"{rows.source}, line {line}: itemID {numbers.max()}, but the vectors have {num_rows} rows, one for each "
            "itemID from 0 on; the files are not of one data set"
        )


def _write_vectors(path: Path, target: Path, progress: Progress | None) -> None:
    """Brings an array along as float32, which is read from the disk as it is needed."""
    array = _open(path)
    if array.dtype == np.float32:
        bring_file(path, target)
        return
    made = np.lib.format.open_memmap(target, "w+", np.float32, array.shape)
    for start in range(0, len(array), _CHUNK_ROWS):
        made[start : start + _CHUNK_ROWS] = array[start : start + _CHUNK_ROWS]
        if progress is not None:
            progress(f"{path.name}, rows written", min(start + _CHUNK_ROWS, len(array)), len(array))
    made.flush()
