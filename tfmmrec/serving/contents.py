"""What an exported model remembers of its candidates' contents, in `assets.extra/contents.parquet`.

One row a candidate, in the order of `candidates.parquet`: its id, a digest of what the model's `embed_candidate` looks
at, and the categories and identifiers that it can be filtered by. So an index can be refreshed without the data: what
has the digest that it had is not encoded again.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfmmrec.data.entities import Entities
from tfmmrec.data.feature_store import content_keys
from tfmmrec.schema import MEDIA_KINDS, Feature
from tfmmrec.serving.request_filters import FILTER_KINDS
from tfmmrec.types import DataError

CONTENTS_FILE = "assets.extra/contents.parquet"
_OWN_COLUMNS = ("candidate_id", "digest")
_FEATURE = "feature:"  # before the names of features' columns, so that none is taken for one of our own
_ROWS_AT_ONCE = 256


@dataclass
class Contents:
    """Of `n` candidates.

    Attributes:
        ids: `n`.
        digests: `n`, 16 bytes each, see `content_keys`.
        filters: feature -> strings or lists of strings `[n]`, for every category and identifier.
        looked_at: the features that the digests are of.
    """

    ids: list[str]
    digests: list[bytes]
    filters: dict[str, pa.Array]
    looked_at: list[str]

    def taken(self, rows: np.ndarray) -> Contents:
        """The same of some of them, int `[any]`."""
        return Contents(
            [self.ids[row] for row in rows],
            [self.digests[row] for row in rows],
            {name: column.take(pa.array(rows, pa.int64())) for name, column in self.filters.items()},
            self.looked_at,
        )


def contents_of(candidates: Entities, features: Mapping[str, Feature], looked_at: Sequence[str]) -> Contents:
    """Of all candidates of a table.

    Args:
        candidates: the table.
        features: its features.
        looked_at: those that the model's candidate towers have encoders for.
    """
    names = sorted(name for name in looked_at if name in features)
    digests: list[bytes] = []
    for start in range(0, len(candidates), _ROWS_AT_ONCE):
        rows = np.arange(start, min(start + _ROWS_AT_ONCE, len(candidates)))
        columns = [_as_bytes(candidates, name, features[name], rows) for name in names]
        contents = [b"".join(values) for values in zip(*columns, strict=True)] if columns else [b""] * len(rows)
        digests += content_keys(contents).tolist()
    filters = {
        name: _plain(candidates.features[name]) for name, feature in features.items() if feature.kind in FILTER_KINDS
    }
    return Contents(candidates.ids.to_pylist(), digests, filters, names)


def filter_entities(contents: Contents) -> Entities:
    """Candidates with what they can be filtered by, as `filter_codes` takes them."""
    return Entities(pa.array(contents.ids, pa.string()), dict(contents.filters), source=CONTENTS_FILE)


def write_contents(folder: str | Path, contents: Contents) -> None:
    """Writes them into an export's folder."""
    columns = {
        "candidate_id": pa.array(contents.ids, pa.string()),
        "digest": pa.array(contents.digests, pa.binary()),
    }
    columns |= {f"{_FEATURE}{name}": column for name, column in contents.filters.items()}
    table = pa.table(columns).replace_schema_metadata({"looked_at": json.dumps(contents.looked_at)})
    pq.write_table(table, Path(folder) / CONTENTS_FILE)


def read_contents(folder: str | Path) -> Contents:
    """What an export remembers.

    Raises:
        DataError: nothing, or the file is damaged.
    """
    path = Path(folder) / CONTENTS_FILE
    if not path.exists():
        raise DataError(
            f"{folder}: does not remember its candidates' contents (no {CONTENTS_FILE}), so its index cannot be "
            "refreshed; export the model again"
        )
    try:
        table = pq.read_table(path)
        looked_at = json.loads(table.schema.metadata[b"looked_at"])
        ids, digests = (table[name].to_pylist() for name in _OWN_COLUMNS)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: cannot be read; export the model again: {error}") from error
    names = [name for name in table.column_names if name.startswith(_FEATURE)]
    filters = {name.removeprefix(_FEATURE): joined([table[name]]) for name in names}
    return Contents(ids, digests, filters, looked_at)


def joined(columns: Sequence[pa.Array | pa.ChunkedArray]) -> pa.Array:
    """Columns of strings, of lists of strings or of bytes as one: lists where any is a list."""
    parts = [part for column in columns for part in getattr(column, "chunks", [column])]
    parts = [part if pa.types.is_large_binary(part.type) else _plain(part) for part in parts]
    if any(is_list(part.type) for part in parts):
        parts = [as_lists(part) for part in parts]
    return pa.concat_arrays(parts)


def as_lists(column: pa.Array) -> pa.Array:
    """Strings as lists of one."""
    if is_list(column.type):
        return column
    offsets = pa.array(np.arange(len(column) + 1, dtype=np.int64))
    return pa.LargeListArray.from_arrays(offsets, column, mask=column.is_null())


def _plain(column: pa.Array) -> pa.Array:
    return column.cast(pa.large_list(pa.large_string()) if is_list(column.type) else pa.large_string())


def is_list(kind: pa.DataType) -> bool:
    """Whether a column of this type has lists."""
    return pa.types.is_list(kind) or pa.types.is_large_list(kind)


def _as_bytes(candidates: Entities, name: str, feature: Feature, rows: np.ndarray) -> list[bytes]:
    """What one feature says of each row, such that no two different contents say the same."""
    if feature.kind in ("number", "vector"):
        numbers = np.asarray(candidates.features[name][rows], np.float32)
        numbers = np.where(np.isnan(numbers), np.float32(np.nan), numbers) + np.float32(0.0)  # one NaN, one zero
        return [row.tobytes() for row in numbers]
    if feature.kind in MEDIA_KINDS:
        return [_framed([data]) for data in candidates.media_bytes(name, rows, feature.kind)]
    values = candidates.features[name].take(pa.array(rows)).to_pylist()
    parts = [value if isinstance(value, list) else [value or ""] for value in values]
    return [_framed([text.encode() for text in texts if text]) for texts in parts]


def _framed(parts: Sequence[bytes]) -> bytes:
    return b"".join(struct.pack("<Q", size) for size in (len(parts), *map(len, parts))) + b"".join(parts)
