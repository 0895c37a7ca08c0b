"""TFRecord files of serialized `tf.train.Example`, each there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

FOLDER = "prepared"
"""Where a prepared dataset has its shards, beside the tables that it takes as they are."""


def shard_name(what: str, number: int, count: int) -> str:
    """The path of one shard of several, in the folder of the dataset; names are in the order of numbers."""
    width = max(5, len(str(count)))
    return f"{FOLDER}/{what}-{number:0{width}}-of-{count:0{width}}.tfrecord"


def write_examples(path: Path, columns: Mapping[str, np.ndarray | pa.Array]) -> None:
    """Writes one example a row; whoever writes the same file a second time replaces it.

    Each example has all features; where a value is missing, one without values.

    Args:
        path: the file.
        columns: feature -> integers, float32 (NaN where missing) or strings (null where missing), `[rows]`.
    """
    import tensorflow as tf
    from tensorflow.core.example.example_pb2 import Example

    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(descriptor)
    values = {name: _values(column) for name, column in columns.items()}
    try:
        with tf.io.TFRecordWriter(partial) as writer:
            for row in zip(*(own for _, own in values.values()), strict=True):
                example = Example()
                for (name, (kind, _)), value in zip(values.items(), row, strict=True):
                    feature = example.features.feature[name]
                    if value is not None:
                        getattr(feature, kind).value.append(value)
                writer.write(example.SerializeToString(deterministic=True))
        os.chmod(partial, 0o644)
        os.replace(partial, path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def remove_partial(folder: Path) -> None:
    """Removes what writers that were killed have left."""
    for path in folder.glob(".*.tfrecord.*"):
        path.unlink(missing_ok=True)


def _values(column: np.ndarray | pa.Array) -> tuple[str, list]:
    """The kind of a feature's list, and what is in it for each row."""
    if not isinstance(column, np.ndarray):
        return "bytes_list", [None if value is None else value.encode() for value in column.to_pylist()]
    if column.dtype.kind == "f":
        return "float_list", [None if value != value else value for value in column.tolist()]
    return "int64_list", column.tolist()
