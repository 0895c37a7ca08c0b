"""tf.Examples and schemas as TFX's ExampleGen and SchemaGen leave them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf


def example(row: Mapping[str, Any]) -> tf.train.Example:
    """Strings and bytes, whole numbers, other numbers, or lists of one of these; None is a feature without a value."""
    features = {}
    for name, value in row.items():
        values = value if isinstance(value, list) else [] if value is None else [value]
        feature = features[name] = tf.train.Feature()
        if values and isinstance(values[0], (str, bytes)):
            feature.bytes_list.value.extend(part.encode() if isinstance(part, str) else part for part in values)
        elif values and isinstance(values[0], int):
            feature.int64_list.value.extend(values)
        elif values:
            feature.float_list.value.extend(values)
    return tf.train.Example(features=tf.train.Features(feature=features))


def write_examples(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """A gzipped TFRecord file, as `Split-train/data_tfrecord-00000-of-00001.gz`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for row in rows:
            writer.write(example(row).SerializeToString())
    return path


def write_types(path: Path, **kinds: str) -> str:
    """A schema of columns of BYTES, INT or FLOAT, with presences and domains beside them."""
    features = [
        f'feature {{ name: "{name}" type: {kind} presence {{ min_count: 1 }} shape {{ dim {{ size: 1 }} }} }}'
        for name, kind in kinds.items()
    ]
    path.write_text("\n".join([*features, 'string_domain { name: "colour" value: "red" }']))
    return str(path)
