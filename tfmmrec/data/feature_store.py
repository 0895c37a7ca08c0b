"""Vectors of contents on disk, so that what an encoder has seen once it never has to see again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tfmmrec.data.storage import release
from tfmmrec.types import DataError, UsageError

DTYPES = ("float32", "float16")
_KEY = np.dtype("S16")
_FILES = ("keys", "vectors", "present")
_RECENT = 65_536
_LEFT_SECONDS = 3600.0  # whoever wrote a part for so long was killed


def content_keys(contents: Iterable[str | bytes]) -> np.ndarray:
    """A digest of each content, 16 bytes `[num_contents]`: equal contents have equal keys (BLAKE2b)."""
    raw = (content.encode() if isinstance(content, str) else content for content in contents)
    return np.array([hashlib.blake2b(content, digest_size=16).digest() for content in raw], _KEY)


class FeatureStore:
    """What one encoder makes of contents, by the contents' digests. Any number of processes may read it and add to it,
    and any of their threads.

        FOLDER/
          store.json         which encoder, the vectors' size and their format
          part-000000/       there with all its files, or not at all
            keys.npy         16 bytes `[n]`, see `content_keys`
            vectors.npy      float32 or float16 `[n, dim]`
            present.npy      bool `[n]`: whether the encoder could read it
          .unfinished-*/     of a process that writes, or was killed

    A candidate whose content has changed has another key: it is missing, and what was known of the others stays. Memory
    holds 24 bytes for each content, vectors are read from the disk.

    Args:
        folder: made if it is not there.
        encoder: fingerprint of the encoder.
        dim: size of its vectors.
        dtype: float32, or float16 for half of the disk.

    Raises:
        DataError: the folder holds another encoder's vectors, or those of another size or format.
        UsageError: an unknown dtype.
    """

    def __init__(self, folder: str | Path, encoder: str, dim: int, dtype: str = "float32"):
        if dtype not in DTYPES:
            raise UsageError(f"dtype of a feature store must be {' or '.join(DTYPES)}, got {dtype!r}")
        self.folder = Path(folder)
        self.dim = dim
        self.dtype = dtype
        self._describe({"encoder": encoder, "dim": dim, "dtype": dtype})
        for left in self.folder.glob(".unfinished-*"):
            with contextlib.suppress(FileNotFoundError):  # another process has just finished it
                if time.time() - left.stat().st_mtime > _LEFT_SECONDS:
                    shutil.rmtree(left, ignore_errors=True)
        self._parts: list[Path] = []
        self._starts = np.zeros(1, np.int64)
        self._index = _Index()
        self._reloading = threading.Lock()
        self.reload()

    def _describe(self, own: dict) -> None:
        path = self.folder / "store.json"
        if not path.exists():
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                with tempfile.NamedTemporaryFile("w", dir=self.folder, delete=False) as file:
                    json.dump(own, file)
                os.chmod(file.name, 0o644)  # others may read it too
                os.replace(file.name, path)
            except OSError as error:
                raise DataError(
                    f"{self.folder}: vectors of encoders are kept here, but it cannot be written ({error.strerror}); "
                    "name another place: export TFMMREC_STORE=FOLDER"
                ) from error
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(
                f"{path}: not readable as JSON ({error}); remove {self.folder} and fill it again"
            ) from error
        for key, value in own.items():
            if found.get(key) != value:
                raise DataError(
                    f"{self.folder}: its vectors have {key} {found.get(key)!r}, expected {value!r}; name another "
                    "folder, or remove this one"
                )

    def __len__(self) -> int:
        return int(self._starts[-1])

    def reload(self) -> None:
        """Looks for parts that were added since it was opened, by this process or another."""
        with self._reloading:
            known = set(self._parts)
            new = [part for part in sorted(self.folder.glob("part-*")) if part not in known and part.is_dir()]
            added = [np.load(part / "keys.npy") for part in new]
            ends = np.cumsum([len(keys) for keys in added], dtype=np.int64)
            self._parts = [*self._parts, *new]
            self._starts = np.concatenate([self._starts, self._starts[-1] + ends])
            if added:
                self._index.add(np.concatenate(added))

    def places_of(self, keys: np.ndarray) -> np.ndarray:
        """Where contents are, int64 `[num_keys]`, -1 for those that are not there."""
        return self._index.places_of(np.asarray(keys, _KEY))

    def add(self, keys: np.ndarray, vectors: np.ndarray, present: np.ndarray) -> None:
        """Adds a part: all of it or, if the process is killed, nothing.

        Args:
            keys: of the contents, `[n]`.
            vectors: `[n, dim]`.
            present: bool `[n]`.

        Raises:
            UsageError: arrays that do not fit, or numbers that the store's format cannot hold.
        """
        if vectors.shape != (len(keys), self.dim) or present.shape != (len(keys),):
            raise UsageError(
                f"a part of {len(keys)} keys needs vectors [{len(keys)}, {self.dim}] and as many present, got "
                f"{list(vectors.shape)} and {list(present.shape)}"
            )
        with np.errstate(over="ignore"):
            stored = vectors.astype(self.dtype)
        if not np.isfinite(stored).all():
            raise UsageError(
                f"{self.folder}: a vector has numbers that {self.dtype} cannot hold (the largest is "
                f"{np.nanmax(np.abs(vectors)):g}); use store_dtype=float32, or look at the encoder"
            )
        arrays = (np.asarray(keys, _KEY), stored, np.asarray(present, bool))
        unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=self.folder))
        unfinished.chmod(0o755)
        for name, array in zip(_FILES, arrays, strict=True):
            with open(unfinished / f"{name}.npy", "wb") as file:
                np.save(file, array)
                file.flush()
                os.fsync(file.fileno())
        number = max((int(part.name.removeprefix("part-")) for part in self._parts), default=-1) + 1
        while True:
            part = self.folder / f"part-{number:06d}"
            try:
                unfinished.rename(part)
                break
            except OSError:
                if not part.exists():
                    shutil.rmtree(unfinished, ignore_errors=True)
                    raise
                number += 1  # another process was faster
        self.reload()

    def count_absent(self, keys: np.ndarray) -> int:
        """How many of these contents, which are there, the encoder could not read."""
        places, absent = self.places_of(keys), 0
        for part, start, end in zip(self._parts, self._starts, self._starts[1:], strict=False):
            own = places[(places >= start) & (places < end)] - start
            absent += int((~np.load(part / "present.npy")[own]).sum())
        return absent

    def read(self, keys: np.ndarray, vectors: np.ndarray, present: np.ndarray) -> None:
        """Reads contents' vectors into `vectors` `[num_keys, dim]` and `present` `[num_keys]`, part by part.

        Raises:
            UsageError: a content is not there.
        """
        places = self.places_of(keys)
        if (missing := int((places < 0).sum())) > 0:
            raise UsageError(f"{self.folder}: {missing} of {len(keys)} contents are not in the store; embed them first")
        order = np.argsort(places, kind="stable")
        ends = np.searchsorted(places[order], self._starts[1:])
        for part, start, begin, end in zip(self._parts, self._starts, [0, *ends], ends, strict=False):
            rows = order[begin:end]
            if rows.size:
                stored = np.load(part / "vectors.npy", mmap_mode="r")
                vectors[rows] = stored[places[rows] - start]
                present[rows] = np.load(part / "present.npy")[places[rows] - start]
                release(stored, vectors)


class _Index:
    """Keys in the order in which they came -> their places. What came last is sorted apart, so that adding is cheap."""

    def __init__(self):
        self._sorted = [(np.empty(0, _KEY), np.empty(0, np.int64)) for _ in range(2)]  # all but the last, and the last

    def add(self, keys: np.ndarray) -> None:
        (old, _), (recent, places) = self._sorted
        start = old.size + recent.size
        recent = np.concatenate([recent, keys])
        places = np.concatenate([places, np.arange(start, start + keys.size)])
        if recent.size > max(_RECENT, old.size // 4):
            recent, places = np.concatenate([old, recent]), np.concatenate([self._sorted[0][1], places])
            self._sorted = [_in_order(recent, places), (np.empty(0, _KEY), np.empty(0, np.int64))]
        else:
            self._sorted[1] = _in_order(recent, places)

    def places_of(self, keys: np.ndarray) -> np.ndarray:
        found = np.full(keys.size, -1, np.int64)
        for known, places in self._sorted:
            if known.size:
                at = np.minimum(np.searchsorted(known, keys), known.size - 1)
                found = np.where(known[at] == keys, places[at], found)
        return found


def _in_order(keys: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(keys, kind="stable")
    return keys[order], places[order]
