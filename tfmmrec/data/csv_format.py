"""CSV and TSV files as record batches; every value is read as a string, so that leading zeros stay."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from tfmmrec.types import DataError

# The reader reads up to 32 blocks ahead, and a row must fit in one: small blocks, and larger ones if they
# must be.
_BLOCK_BYTES = (2**20, 2**26)


def column_names(path: Path, source: str) -> list[str]:
    """The names in the header."""
    try:
        with _open(path) as file:
            text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
            names = next(csv.reader(text, delimiter=_delimiter(path)), None)
    except UnicodeDecodeError:
        raise _not_utf8(path, source) from None
    except (OSError, EOFError, csv.Error) as error:
        raise DataError(f"{source}: not readable: {error}") from None
    if not names:
        raise DataError(f"{source}: the file is empty; expected a header with the columns' names, then rows")
    return names


def record_batches(path: Path, source: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Streams some columns as strings, null where empty.

    Raises:
        DataError: names the row with the wrong number of fields, the byte that is not UTF-8, or the quotation
            mark that is never closed.
    """
    num_rows = 0
    for block_bytes in _BLOCK_BYTES:
        try:
            for batch in _stream(path, source, columns, num_rows, block_bytes):
                num_rows += batch.num_rows
                yield batch
            return
        except _RowTooLong:
            continue
    raise DataError(f"{source}, row {num_rows + 1}: a row of more than {_BLOCK_BYTES[-1]} bytes; is a quote open?")


class _RowTooLong(Exception):
    """A row does not fit in a block."""


def _stream(path: Path, source: str, columns: Sequence[str], skip: int, block_bytes: int) -> Iterator[pa.RecordBatch]:
    """The rows after the first `skip`."""
    ragged = []

    def on_ragged(row) -> str:
        ragged.append(row)
        return "error"

    counter = _QuoteCounter(_open(path))
    num_rows = 0
    try:
        reader = pa.csv.open_csv(
            pa.PythonFile(counter, mode="r"),
            read_options=pa.csv.ReadOptions(use_threads=False, block_size=block_bytes),
            parse_options=pa.csv.ParseOptions(
                delimiter=_delimiter(path), newlines_in_values=True, invalid_row_handler=on_ragged
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types={name: pa.string() for name in columns},
                include_columns=list(columns),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
        for batch in reader:
            seen = min(batch.num_rows, max(0, skip - num_rows))
            num_rows += batch.num_rows
            yield batch.slice(seen)
    except (pa.ArrowException, OSError, EOFError) as error:
        if "straddling" in str(error):
            raise _RowTooLong from None
        raise _readable(error, ragged, path, source, num_rows) from None
    finally:
        counter.close()
    if counter.quotes % 2:
        raise DataError(
            f"{source}, row {num_rows}: a quotation mark is opened and never closed; close it, or double it "
            "where "
            'it is part of the text ("")'
        )


def _readable(error: Exception, ragged: list, path: Path, source: str, num_rows: int) -> DataError:
    if ragged:
        row = ragged[0]
        return DataError(
            f"{source}, row {row.number - 1}: expected {row.expected_columns} fields as in the header, found "
            f"{row.actual_columns}; quote values that hold the separator"
        )
    if "invalid UTF8" in str(error):
        return _not_utf8(path, source)
    if "straddling" in str(error):
        return DataError(f"{source}, after row {num_rows}: a row of more than {_BLOCK_BYTES} bytes; is a quote open?")
    return DataError(f"{source}, after row {num_rows}: not readable: {error}")


def _not_utf8(path: Path, source: str) -> DataError:
    """Finds the first byte that is not UTF-8; the lines are the file's own, the header being line 1."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    position, line = 0, 1
    with _open(path) as file:
        start = file.read(2)
        file.seek(0)
        if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return DataError(f"{source}: not UTF-8 but UTF-16; save it as UTF-8")
        while chunk := file.read(2**20):
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as error:
                at = error.start - pending
                line += chunk[: max(at, 0)].count(b"\n")
                byte = (error.object[error.start : error.start + 1]).hex()
                return DataError(
                    f"{source}, line {line}: not UTF-8, byte 0x{byte} at position {position + at}; save the "
                    "file as UTF-8"
                )
            line += chunk.count(b"\n")
            position += len(chunk)
    return DataError(f"{source}: not UTF-8 at its end; save the file as UTF-8")


class _QuoteCounter(io.RawIOBase):
    """Counts quotation marks while the file passes through: an odd number means that one is never closed."""

    def __init__(self, file):
        self.file = file
        self.quotes = 0

    def read(self, size: int = -1) -> bytes:
        data = self.file.read(size)
        self.quotes += data.count(b'"')
        return data

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self.file.close()
        super().close()


def _open(path: Path):
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else open(path, "rb")


def _delimiter(path: Path) -> str:
    return "\t" if ".tsv" in path.name.lower() else ","
