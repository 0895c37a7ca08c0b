"""Vectors of a pretrained encoder, from the feature store where they are, else computed and added to it."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
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
_MASK = "padding_mask"
_LEAST_WIDTH = 16  # tokens; the next class has twice as many
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


def open_store(
    encoder: SavedModelEncoder | BatchEncode, root: Path | None = None, dtype: str = "float32"
) -> FeatureStore:
    """The store of an encoder's vectors, made if it is not there: ROOT/FINGERPRINT-DTYPE.

    Args:
        encoder: frozen.
        root: see `default_root`.
        dtype: float32 or float16.

    Raises:
        DataError: the folder holds something else.
    """
    encode = encoder if isinstance(encoder, BatchEncode) else BatchEncode(encoder)
    fingerprint = encoder_fingerprint(encode.encoder)
    folder = (root or default_root()) / f"{fingerprint[:16]}-{dtype}"
    return FeatureStore(folder, fingerprint, encode.dim, dtype)


def add_missing(
    store: FeatureStore,
    encode: BatchEncode,
    batches: Iterable[np.ndarray],
    num_rows: int,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Encodes the contents that a store does not have, each once, and adds them in parts.

    Args:
        store: of this encoder.
        encode: what encodes.
        batches: raw contents, arrays `[any]` of strings or bytes; held are no more than two, and of texts some more.
        num_rows: how many contents there are in all.
        progress: told how many of them are done.

    Returns:
        The contents' keys, `[num_rows]`.
    """
    keys, done = np.empty(num_rows, "S16"), 0
    waiting: dict[int, dict[bytes, str | bytes]] = defaultdict(dict)  # by width
    part = _Part(store)
    for raw in batches:
        own = content_keys(raw)
        keys[done : done + len(own)] = own
        done += len(own)
        missing = {
            own[place]: raw[place] for place in np.flatnonzero(store.places_of(own) < 0) if own[place] not in part
        }
        for (key, content), width in zip(missing.items(), encode.widths(list(missing.values())), strict=True):
            alike = waiting[width]
            alike[key] = content
            if len(alike) == BATCH:
                part.extend(list(alike), *encode(list(alike.values()), width))
                alike.clear()
        if progress is not None:
            progress(done, num_rows)
    for width, alike in sorted(waiting.items()):
        if alike:
            part.extend(list(alike), *encode(list(alike.values()), width))
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
    encode = BatchEncode(encoder)
    store = open_store(encode, root, dtype)
    keys = add_missing(store, encode, batches, num_rows, progress)
    table = {"vector": allocate((num_rows, store.dim), np.float32), "present": allocate(num_rows, bool)}
    store.read(keys, table["vector"], table["present"])
    return table


class BatchEncode:
    """Runs an encoder so that a content's vector depends on nothing but the content, to the last bit.

    Batches have one size, whatever the number of contents. Encoders of texts compute no more tokens than the longest
    text of a batch has (`padding_mask` tells), and sums over another number of tokens are rounded otherwise: texts are
    encoded with others of about their length, and beside a row of nothing with as many tokens as their class allows.

    Vectors are whole whatever the precision of a training: the next one may have another. Threads may share one.

    Args:
        encoder: frozen.
    """

    def __init__(self, encoder: SavedModelEncoder):
        if encoder.compute_dtype != "float32":
            encoder = type(encoder).from_config(encoder.get_config() | {"dtype": "float32"})
        spec = encoder.raw_spec()
        fixed = tf.TensorSpec([BATCH, *spec.shape[1:]], spec.dtype)

        @tf.function(input_signature=[fixed, tf.TensorSpec([], tf.int32)])
        def run(raw: tf.Tensor, width: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            tensors = encoder.preprocess(raw)
            if _MASK in tensors:
                tensors = _with_ruler(tensors, width)  # [BATCH + 1, ...]
            embedded = encoder(tensors, training=False)
            return tf.cast(embedded["vector"], tf.float32)[:BATCH], embedded["present"][:BATCH]

        @tf.function(input_signature=[fixed])
        def lengths(raw: tf.Tensor) -> tf.Tensor:
            return tf.reduce_sum(tf.cast(encoder.preprocess(raw)[_MASK], tf.int32), axis=1)

        self.encoder = encoder
        self._run = run
        self.dim = int(run.get_concrete_function().structured_outputs[0].shape[1])
        has_mask = getattr(encoder, "has_halves", False) and encoder.input_kind == "text"
        has_mask = has_mask and _MASK in encoder.preprocess(tf.constant([""]))
        self._lengths = lengths if has_mask else None

    def widths(self, raw: list) -> list[int]:
        """The class of each content, for `__call__`: contents of one class may be encoded together."""
        if self._lengths is None:
            return [0] * len(raw)
        chunks = [raw[start : start + BATCH] for start in range(0, len(raw), BATCH)]
        found = [self._lengths(_padded(chunk)).numpy()[: len(chunk)] for chunk in chunks]
        return [max(_LEAST_WIDTH, 1 << (int(length) - 1).bit_length()) for lengths in found for length in lengths]

    def __call__(self, raw: list, width: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Encodes no more than `BATCH` contents of one class.

        Args:
            raw: the contents.
            width: their class, see `widths`.

        Returns:
            Vectors, float32 `[n, dim]`, and whether the contents could be read, bool `[n]`.
        """
        vectors, present = self._run(_padded(raw), width)
        return vectors.numpy()[: len(raw)], present.numpy()[: len(raw)]


def _padded(raw: list) -> tf.Tensor:
    return tf.constant([*raw, *[b""] * (BATCH - len(raw))])


def _with_ruler(tensors: dict[str, tf.Tensor], width: tf.Tensor) -> dict[str, tf.Tensor]:
    """Tensors `[n, ...]` with one more row, whose `padding_mask` has so many tokens."""
    rows = {name: tf.zeros_like(tensor[:1]) for name, tensor in tensors.items()}
    mask = tensors[_MASK]
    rows[_MASK] = tf.cast(tf.range(tf.shape(mask)[1])[None] < width, mask.dtype)
    return {name: tf.concat([tensor, rows[name]], axis=0) for name, tensor in tensors.items()}


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
