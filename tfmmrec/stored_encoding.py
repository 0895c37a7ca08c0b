"""Vectors of a pretrained encoder, from the feature store where they are, else computed and added to it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_hub as hub

from tfmmrec.data.feature_store import FeatureStore, content_keys
from tfmmrec.data.fingerprint import hash_files
from tfmmrec.data.storage import allocate
from tfmmrec.encoders.saved_model import SavedModelEncoder
from tfmmrec.types import DataError

BATCH = 64
ROWS_PER_PART = 4096
"""So much work a kill loses at most."""
_READS = ("input_kind", "height", "width", "seconds", "num_frames", "pooling")
"""Of an encoder's config, what it makes of a content."""


def default_root() -> Path:
    """Where stores are kept unless told otherwise: $TFMMREC_STORE, else ~/.cache/tfmmrec/store."""
    return Path(os.environ.get("TFMMREC_STORE") or Path.home() / ".cache" / "tfmmrec" / "store")


def encoder_fingerprint(encoder: SavedModelEncoder) -> str:
    """A digest of all that a frozen encoder's vectors depend on, beside the content.

    Raises:
        DataError: its files cannot be read one by one, as those of a model on a remote file system.
    """
    folder = Path(hub.resolve(encoder.handle))
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        raise DataError(
            f"{encoder.handle}: expected the files of a SavedModel in {folder}, found none; copy it to a local "
            "directory and name that, or use the mode frozen, which keeps no vectors"
        )
    own = {key: value for key, value in encoder.get_config().items() if key in _READS}
    told = [*hash_files(folder, files), sorted(own.items())]
    return hashlib.sha256(repr(told).encode()).hexdigest()


def open_store(encoder: SavedModelEncoder, root: Path | None = None, dtype: str = "float32") -> FeatureStore:
    """The store of an encoder's vectors, made if it is not there: ROOT/FINGERPRINT-DTYPE.

    Args:
        encoder: frozen.
        root: see `default_root`.
        dtype: float32 or float16.

    Raises:
        DataError: the folder holds something else.
    """
    fingerprint = encoder_fingerprint(encoder)
    folder = (root or default_root()) / f"{fingerprint[:16]}-{dtype}"
    return FeatureStore(folder, fingerprint, _Encode(encoder).dim, dtype)


def add_missing(
    store: FeatureStore,
    encoder: SavedModelEncoder,
    batches: Iterable[np.ndarray],
    num_rows: int,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Encodes the contents that a store does not have, each once, and adds them in parts.

    Args:
        store: of this encoder.
        encoder: what encodes.
        batches: raw contents, arrays `[any]` of strings or bytes; held are no more than two.
        num_rows: how many contents there are in all.
        progress: told how many of them are done.

    Returns:
        The contents' keys, `[num_rows]`.
    """
    encode, keys, done = _Encode(encoder), np.empty(num_rows, "S16"), 0
    waiting: dict[bytes, str | bytes] = {}
    part = _Part(store)
    for raw in batches:
        own = content_keys(raw)
        keys[done : done + len(own)] = own
        done += len(own)
        for place in np.flatnonzero(store.places_of(own) < 0):
            if own[place] not in part:
                waiting.setdefault(own[place], raw[place])
        while len(waiting) >= BATCH:
            full = list(waiting)[:BATCH]
            part.extend(full, *encode([waiting.pop(key) for key in full]))
        if progress is not None:
            progress(done, num_rows)
    if waiting:
        part.extend(list(waiting), *encode(list(waiting.values())))
    part.finish()
    return keys


def stored_table(
    encoder: SavedModelEncoder,
    batches: Iterable[np.ndarray],
    num_rows: int,
    root: Path | None = None,
    dtype: str = "float32",
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, np.ndarray]:
    """A cached feature's table: `vector`, float32 `[num_rows, dim]`, on disk where it is large, and `present`."""
    store = open_store(encoder, root, dtype)
    keys = add_missing(store, encoder, batches, num_rows, progress)
    table = {"vector": allocate((num_rows, store.dim), np.float32), "present": allocate(num_rows, bool)}
    store.read(keys, table["vector"], table["present"])
    return table


class _Encode:
    """Runs an encoder over batches of one size, so that a row's vector does not depend on how many there are.

    Vectors are whole whatever the precision of a training: the next one may have another.
    """

    def __init__(self, encoder: SavedModelEncoder):
        if encoder.compute_dtype != "float32":
            encoder = type(encoder).from_config(encoder.get_config() | {"dtype": "float32"})
        spec = encoder.raw_spec()
        fixed = tf.TensorSpec([BATCH, *spec.shape[1:]], spec.dtype)

        @tf.function(input_signature=[fixed])
        def run(raw: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            embedded = encoder(encoder.preprocess(raw), training=False)
            return tf.cast(embedded["vector"], tf.float32), embedded["present"]

        self._run = run
        self.dim = int(run.get_concrete_function().structured_outputs[0].shape[1])

    def __call__(self, raw: list) -> tuple[np.ndarray, np.ndarray]:
        padded = tf.constant([*raw, *[b""] * (BATCH - len(raw))])
        vectors, present = self._run(padded)
        return vectors.numpy()[: len(raw)], present.numpy()[: len(raw)]


class _Part:
    """What was encoded since the last part was written."""

    def __init__(self, store: FeatureStore):
        self._store = store
        self._rows: dict[bytes, tuple[np.ndarray, bool]] = {}

    def __contains__(self, key: bytes) -> bool:
        return key in self._rows

    def extend(self, keys: list[bytes], vectors: np.ndarray, present: np.ndarray) -> None:
        self._rows |= dict(zip(keys, zip(vectors, present, strict=True), strict=True))
        if len(self._rows) >= ROWS_PER_PART:
            self.finish()

    def finish(self) -> None:
        if self._rows:
            vectors, present = (np.stack(column) for column in zip(*self._rows.values(), strict=True))
            self._store.add(np.array(list(self._rows), "S16"), vectors, present)
            self._rows = {}
