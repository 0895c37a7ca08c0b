"""Tables of tf.Examples as TFX's ExampleGen writes them: interactions, and what is joined to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from tfmmrec.data import tfrecord_format
from tfmmrec.data.columns import to_ids
from tfmmrec.data.readers import Rows, Table, check_columns
from tfmmrec.types import DataError

_TYPES = {"BYTES": pa.large_binary(), "INT": pa.int64(), "FLOAT": pa.float32()}


class Examples:
    """Files of tf.Examples, one Example a row.

    Args:
        paths: TFRecord files, gzipped where their names end in .gz.
        name: how messages call them, such as "examples/train".
        types: column -> its type, as of `read_types`; None to take what the first file has.
    """

    def __init__(self, paths: Sequence[Path], name: str, types: Mapping[str, pa.DataType] | None = None):
        self.paths = list(paths)
        self.name = name
        self.types = types

    def column_names(self) -> list[str]:
        """The schema's columns, or without one those of the first file."""
        if self.types is not None:
            return list(self.types)
        return tfrecord_format.column_names(self.paths[0], self._shown(self.paths[0]))

    def rows(self, columns: Sequence[str]) -> Iterator[Rows]:
        """Streams some columns of all files.

        Raises:
            DataError: a column that there is not, a value of another type than the schema's, or a damaged file.
        """
        check_columns(self.column_names(), columns, self.name)
        for path in self.paths:
            shown, first = self._shown(path), 1
            for batch in tfrecord_format.record_batches(path, shown, columns):
                if self.types is not None:
                    for name in columns:
                        _check_type(batch.column(name), self.types[name], f"{shown}, from row {first}, column {name!r}")
                yield Rows(shown, first, batch)
                first += batch.num_rows

    def _shown(self, path: Path) -> str:
        return f"{self.name}/{path.name}"


class JoinedEntities:
    """The candidates or queries that came joined to interactions: of every id the first row that has it.

    Args:
        parts: the tables of interactions.
        id: the column of the ids.
        name: how messages call them.
    """

    def __init__(self, parts: Sequence[Table], id: str, name: str):
        self.parts = list(parts)
        self.id = id
        self.name = name

    def column_names(self) -> list[str]:
        """The columns of the first table."""
        return self.parts[0].column_names()

    def rows(self, columns: Sequence[str]) -> Iterator[Rows]:
        """Streams some columns."""
        seen: set[str] = set()
        read, first = list(dict.fromkeys([self.id, *columns])), 1
        for rows in (rows for part in self.parts for rows in part.rows(read)):
            fresh = []
            for row, id in enumerate(to_ids(rows, self.id).to_pylist()):
                if id is not None and id not in seen:
                    seen.add(id)
                    fresh.append(row)
            if fresh:
                yield Rows(self.name, first, rows.batch.take(pa.array(fresh)).select(list(columns)))
                first += len(fresh)


def read_types(path: str) -> dict[str, pa.DataType]:
    """Column -> type of a TensorFlow Metadata schema in text form, as SchemaGen writes it.

    Args:
        path: the file, anything that `tf.io.gfile` understands.

    Raises:
        DataError: not a schema.
    """
    import tensorflow as tf
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    with tf.io.gfile.GFile(path) as file:
        text = file.read()
    try:
        schema = text_format.Parse(text, schema_pb2.Schema())
    except text_format.ParseError as error:
        raise DataError(f"{path}: not a schema as SchemaGen writes it: {error}") from None
    kinds = {feature.name: schema_pb2.FeatureType.Name(feature.type) for feature in schema.feature}
    return {name: _TYPES[kind] for name, kind in kinds.items() if kind in _TYPES}


def _check_type(array: pa.Array, wanted: pa.DataType, place: str) -> None:
    found = array.type.value_type if pa.types.is_large_list(array.type) else array.type
    if found != wanted and not pa.types.is_null(found):
        raise DataError(
            f"{place}: expected {wanted} as the schema says, found {found}; mend the data, or the schema where that is "
            "wrong"
        )
