"""A catalogue cut into shards, which any number of processes read and encode into one feature store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfmmrec.bulk_embedding import chosen_feature
from tfmmrec.data.dataset import load_candidates
from tfmmrec.data.feature_store import content_keys
from tfmmrec.data.media import MediaError
from tfmmrec.embedding import raw_batch
from tfmmrec.encoders.saved_model import SavedModelEncoder
from tfmmrec.stored_encoding import BATCH, ROWS_PER_PART, BatchEncode, add_missing, default_root, open_store
from tfmmrec.types import UsageError


@dataclass(frozen=True)
class ShardedEmbedding:
    """What is to be encoded, and how it is cut; small, and the same on every machine.

    A shard has the contents whose first candidate is among its rows, so that each content is in one shard, however many
    candidates share it, and those of a shard make full batches.

    Attributes:
        dataset: the dataset's folder.
        encoder: a TF-Hub handle or the directory of a reusable SavedModel.
        feature: a text or image feature; the only one that the encoder can read when None.
        config: another yaml than the folder's.
        root: where stores are kept, see `default_root`.
        dtype: of the store, float32 or float16.
        rows_per_shard: a multiple of 64, at most 4,096.

    Raises:
        UsageError: another number of rows.
    """

    dataset: str
    encoder: str
    feature: str | None = None
    config: str | None = None
    root: str | None = None
    dtype: str = "float32"
    rows_per_shard: int = 1024

    def __post_init__(self):
        if self.rows_per_shard % BATCH or not BATCH <= self.rows_per_shard <= ROWS_PER_PART:
            raise UsageError(
                f"rows_per_shard must be a multiple of {BATCH}, the encoder's batch, and at most {ROWS_PER_PART}, "
                f"got {self.rows_per_shard}"
            )

    def absolute(self) -> ShardedEmbedding:
        """The same with absolute paths, for processes that run elsewhere or have another environment."""
        encoder = self.encoder if "://" in self.encoder else str(Path(self.encoder).resolve())
        config = None if self.config is None else str(Path(self.config).resolve())
        root = str((Path(self.root) if self.root else default_root()).resolve())
        own = (str(Path(self.dataset).resolve()), encoder, self.feature, config, root)
        return ShardedEmbedding(*own, self.dtype, self.rows_per_shard)


@dataclass(frozen=True)
class ReadShard:
    """What a shard's rows hold.

    Attributes:
        first_rows: key of a content that the store does not have -> its first row in this shard.
        num_rows: candidates read.
        num_empty: of those, the ones without this feature, unreadable ones included.
        unreadable: for each row that could not be read its `id`, the `feature`, and the `reason`.
    """

    first_rows: dict[bytes, int]
    num_rows: int
    num_empty: int
    unreadable: list[dict[str, str]]


class CatalogueShards:
    """The catalogue and the encoder, loaded once in a process; threads may share them.

    Args:
        task: what is to be done.

    Raises:
        UsageError: no such feature, or several and none was named.
        DataError: the candidates or the encoder cannot be loaded.
    """

    def __init__(self, task: ShardedEmbedding):
        described, self._candidates = load_candidates(task.dataset, task.config)
        self.feature = chosen_feature(described.features, task.feature)
        self._described = described.features[self.feature]
        self._encode = BatchEncode(
            SavedModelEncoder(task.encoder, self._described.kind, mode="cached", name=self.feature)
        )
        self.store = open_store(self._encode, Path(task.root) if task.root else None, task.dtype)
        self._rows_per_shard = task.rows_per_shard

    @property
    def num_candidates(self) -> int:
        """Rows of the catalogue."""
        return len(self._candidates)

    @property
    def num_shards(self) -> int:
        """How many shards there are."""
        return -(-self.num_candidates // self._rows_per_shard)

    def shard_of(self, first_row: int) -> int:
        """The shard of a content, by its first row."""
        return first_row // self._rows_per_shard

    def read(self, shard: int) -> ReadShard:
        """Reads a shard's rows, whatever of them is in the store.

        Args:
            shard: in 0 ≤ shard < num_shards.
        """
        start = shard * self._rows_per_shard
        rows = np.arange(start, min(start + self._rows_per_shard, self.num_candidates))
        faults: dict[int, MediaError] = {}
        first: dict[bytes, int] = {}
        num_empty = 0
        for raw, own in self._batches(rows, faults):
            keys = content_keys(raw)
            num_empty += sum(not content for content in raw)
            for place in np.flatnonzero(self.store.places_of(keys) < 0):
                first.setdefault(bytes(keys[place]), int(own[place]))
        ids = self._candidates.ids
        unreadable = [
            {"id": ids[row].as_py(), "feature": self.feature, "reason": str(fault)} for row, fault in faults.items()
        ]
        return ReadShard(first, len(rows), num_empty, unreadable)

    def encode(self, rows: Sequence[int]) -> int:
        """Encodes what the store does not have of a shard and adds it as one part, or nothing if this is killed.

        Args:
            rows: the first rows of the shard's contents.

        Returns:
            How many contents were encoded.
        """
        self.store.reload()  # another process may have been here: one that was killed, or still runs
        counted = _Counted(self._encode)
        add_missing(self.store, counted, (raw for raw, _ in self._batches(np.sort(rows))), len(rows))
        return counted.num_encoded

    def _batches(
        self, rows: np.ndarray, faults: dict[int, MediaError] | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, len(rows), BATCH):
            own = rows[start : start + BATCH]
            yield raw_batch(self._candidates, self.feature, self._described, own, faults=faults), own


class _Counted:
    """A `BatchEncode` that counts what it encodes."""

    def __init__(self, encode: BatchEncode):
        self._encode = encode
        self.widths = encode.widths
        self.num_encoded = 0

    def __call__(self, raw: list, width: int = 0) -> tuple[np.ndarray, np.ndarray]:
        self.num_encoded += len(raw)
        return self._encode(raw, width)
