"""One side of a dataset: the candidates, or the queries, with their features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmmrec.data.images import MAX_PIXELS
from tfmmrec.data.issues import Issue, Issues
from tfmmrec.data.media import MediaError, read_media
from tfmmrec.data.usable_media import usable_media


@dataclass
class Entities:
    """Candidates or queries, in the order of their table.

    Attributes:
        ids: strings `[n]`.
        features: feature -> its raw column `[n]`. Text, category and identifier: strings, or lists of
            strings, null where missing. Number: float32, NaN where missing. Vector: float32 `[n, dim]`,
            perhaps memory-mapped; a missing row holds NaN. Image, audio, video: paths relative to `root`, or
            bytes; null where missing.
        display: column -> strings (or bytes) that reports and answers show.
        root: the dataset's folder, None for data in memory.
        source: the table's name, for messages.
        max_pixels: larger pictures are refused from their header.
    """

    ids: pa.Array
    features: dict[str, pa.Array | np.ndarray] = field(default_factory=dict)
    display: dict[str, pa.Array] = field(default_factory=dict)
    root: Path | None = None
    source: str = ""
    max_pixels: int = MAX_PIXELS
    counted: Issues = field(default_factory=Issues, repr=False)
    _unusable: dict[str, set[int]] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def issues(self) -> list[Issue]:
        """What was counted and survived, files read since included."""
        return self.counted.all

    def row_of(self, ids: Sequence[str]) -> np.ndarray:
        """The rows of some ids, int32, -1 for unknown ones."""
        values = ids if isinstance(ids, (pa.Array, pa.ChunkedArray)) else pa.array([str(id) for id in ids], pa.string())
        rows = pc.index_in(values.cast(self.ids.type), value_set=self.ids, skip_nulls=True)
        return rows.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)

    def media_bytes(
        self,
        feature: str,
        rows: Sequence[int] | np.ndarray,
        kind: str = "image",
        faults: dict[int, MediaError] | None = None,
    ) -> list[bytes]:
        """Pictures, sounds or videos that TensorFlow decodes, b"" where there is none that it could.

        Every unusable one is counted once in `issues`.

        Args:
            feature: of kind image, audio or video.
            rows: which rows, `[batch]`.
            kind: of the feature.
            faults: gets what is wrong with each unusable row.
        """
        rows = np.asarray(rows, np.int64)
        values = self.features[feature].take(pa.array(rows)).to_pylist()
        return [
            b"" if value is None else self._usable(feature, int(row), value, kind, faults)
            for row, value in zip(rows, values, strict=True)
        ]

    def _usable(
        self, feature: str, row: int, value: str | bytes, kind: str, faults: dict[int, MediaError] | None
    ) -> bytes:
        try:
            return usable_media(kind, read_media(self.root, value, kind), self.max_pixels)
        except MediaError as error:
            self.note_unusable(feature, row, value, error)
            if faults is not None:
                faults[row] = error
            return b""

    def note_unusable(self, feature: str, row: int, value: str | bytes, error: MediaError) -> None:
        """Counts an unusable file, unless it has been counted before."""
        unusable = self._unusable.setdefault(feature, set())
        if row not in unusable:
            unusable.add(row)
            named = repr(value) if isinstance(value, str) else f"id {self.ids[row].as_py()!r}"
            self.counted.add(error.kind, f"{self.source}, {feature}", 1, f"{named} ({error.found})")

    def mark_unusable(self, feature: str, rows: np.ndarray) -> None:
        """Notes what is counted already, so that reading them counts them no second time."""
        self._unusable.setdefault(feature, set()).update(int(row) for row in rows)
