"""TFRecord files of serialized `tf.train.Example` as record batches.

The records are framed here and only the protocol buffer is TensorFlow's, imported when the first record is
read: reading a table must not start TensorFlow's runtime, which could not be configured any more after that.

    uint64 length | uint32 masked CRC-32C of the length | bytes | uint32 masked CRC-32C of the bytes
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa

from tfmmrec.types import DataError

_BATCH_ROWS = 2**12
_TYPES = {"bytes_list": pa.large_binary(), "int64_list": pa.int64(), "float_list": pa.float32()}
_NAMES = {"bytes_list": "bytes", "int64_list": "integers", "float_list": "floats"}


def column_names(path: Path, source: str) -> list[str]:
    """The features that the first 4,096 examples have between them."""
    names: dict[str, None] = {}
    for example in islice(_examples(path, source), _BATCH_ROWS):
        names.update(dict.fromkeys(sorted(example.features.feature)))
    if not names:
        raise DataError(f"{source}: no examples in the file; expected at least one tf.train.Example")
    return list(names)


def record_batches(path: Path, source: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Streams some features; one without a value is null, and one with several anywhere in a batch is a list.

    Raises:
        DataError: not a TFRecord file, cut off, or a record that is no tf.train.Example.
    """
    examples = _examples(path, source)
    first = 1
    while part := list(islice(examples, _BATCH_ROWS)):
        yield pa.record_batch([_array(part, name, source, first) for name in columns], list(columns))
        first += len(part)


def _array(examples: list, name: str, source: str, first: int) -> pa.Array:
    kind, values = None, []
    for row, example in enumerate(examples):
        feature = example.features.feature[name] if name in example.features.feature else None
        found = feature.WhichOneof("kind") if feature is not None else None
        if found is None:
            values.append([])
            continue
        if kind is not None and found != kind:
            raise DataError(
                f"{source}, row {first + row}, column {name!r}: expected {_NAMES[kind]} like in the rows "
                "before, "
                f"found {_NAMES[found]}; write a feature with one type"
            )
        kind = found
        values.append(list(getattr(feature, kind).value))
    if kind is None:
        return pa.nulls(len(values))
    if any(len(value) > 1 for value in values):
        return pa.array([value or None for value in values], pa.large_list(_TYPES[kind]))
    return pa.array([value[0] if value else None for value in values], _TYPES[kind])


def _examples(path: Path, source: str) -> Iterator:
    from tensorflow.core.example.example_pb2 import Example  # imports TensorFlow, but starts nothing of it

    for row, record in enumerate(_records(path, source), start=1):
        try:
            yield Example.FromString(record)
        except Exception:  # the protocol buffer library's DecodeError, whose module depends on its version
            raise DataError(f"{source}, row {row}: the record is not a tf.train.Example; write one a row") from None


def _records(path: Path, source: str) -> Iterator[bytes]:
    row = 0
    try:
        with gzip.open(path, "rb") if path.name.lower().endswith(".gz") else open(path, "rb") as file:
            while header := file.read(12):
                row += 1
                yield _record(file, header, f"{source}, row {row}")
    except (OSError, EOFError) as error:
        raise DataError(f"{source}, after row {row}: not readable: {error}") from None


def _record(file, header: bytes, place: str) -> bytes:
    if len(header) < 12:
        raise DataError(f"{place}: the TFRecord file is cut off inside a record; write it again")
    length, checksum = struct.unpack("<QI", header)
    if _masked_crc(header[:8]) != checksum:
        raise DataError(f"{place}: not a TFRecord, or a damaged one: the checksum of the record's length is wrong")
    record = file.read(length)
    if len(record) < length or len(file.read(4)) < 4:
        raise DataError(f"{place}: the TFRecord file is cut off inside a record; write it again")
    return record


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ 0x82F63B78 * (byte & 1)  # CRC-32C (Castagnoli), reflected
        table.append(byte)
    return table


_CRC_TABLE = _crc_table()


def _masked_crc(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
