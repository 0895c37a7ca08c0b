"""What a catalogue holds for an encoder to learn from: each content once, preprocessed, without interactions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfmmrec.data.dataset import Dataset, Entities, load_candidates
from tfmmrec.data.feature_store import content_keys
from tfmmrec.data.storage import allocate
from tfmmrec.embedding import Progress, raw_batch
from tfmmrec.schema import Feature
from tfmmrec.types import DataError

Arrays = dict[str, dict[str, np.ndarray]]
Preprocess = Callable[[tf.Tensor], dict[str, tf.Tensor]]
LEAST = 16
_BATCH = 64


@dataclass
class Contents:
    """Different contents of a catalogue: of one feature, or of several that a candidate has together.

    Attributes:
        tensors: feature -> tensor name -> array `[num_contents, ...]`, on disk where it is large; of each feature also
            `group`, int32, equal where two contents are equal in this feature.
        num_candidates: that were looked at.
        num_absent: of those, without a content or with one that cannot be read.
        num_repeated: of those, with the content of an earlier one.
        fingerprint: a digest of the contents in their order.
    """

    tensors: Arrays
    num_candidates: int
    num_absent: int
    num_repeated: int
    fingerprint: str = ""

    def __len__(self) -> int:
        return self.num_candidates - self.num_absent - self.num_repeated

    def batch(self, rows: np.ndarray) -> dict[str, dict[str, tf.Tensor]]:
        """Some rows `[batch]` of all tensors."""
        return {
            feature: {name: tf.constant(array[rows]) for name, array in arrays.items()}
            for feature, arrays in self.tensors.items()
        }


@dataclass(frozen=True)
class Catalogue:
    """Candidates and what is described of them; no interactions.

    Attributes:
        features: their description, by name.
        candidates: their table.
        rows: of those to learn from, int64.
        name: of the folder, None for data in memory.
    """

    features: Mapping[str, Feature]
    candidates: Entities
    rows: np.ndarray
    name: str | None = None


def load_catalogue(folder: str | Path, config: str | Path | None = None) -> Catalogue:
    """The candidates of a dataset's folder; its log of interactions need not be there.

    Raises:
        DataError: as `tfmmrec.load_dataset`; also where the candidates have no table.
    """
    described, candidates = load_candidates(folder, config)
    return Catalogue(described.features, candidates, np.arange(len(candidates)), Path(folder).resolve().name)


def catalogue_of(dataset: Dataset, with_cold: bool = True) -> Catalogue:
    """The candidates of a dataset, all of them, or those that are not cold."""
    rows = np.arange(len(dataset.candidates))
    rows = rows if with_cold else rows[~dataset.cold_candidates]
    name = None if dataset.root is None else dataset.root.name
    return Catalogue(dataset.schema.candidates.features, dataset.candidates, rows, name)


def read_contents(
    catalogue: Catalogue, preprocess: Mapping[str, Preprocess], progress: Progress | None = None
) -> Contents:
    """Reads and preprocesses features of a catalogue.

    Args:
        catalogue: whose contents they are.
        preprocess: by feature, of its encoder; it may say what is `usable`, bool `[batch]`. A candidate counts that
            has all of them.
        progress: told what has been done.

    Raises:
        DataError: fewer than `LEAST` different contents.
    """
    described, rows = catalogue.features, catalogue.rows
    what = " and ".join(preprocess)
    graphs = {
        name: tf.function(half, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
        for name, half in preprocess.items()
    }
    arrays: Arrays = {name: {} for name in preprocess}
    groups: dict[str, dict[bytes, int]] = {name: {} for name in preprocess}
    seen: set[bytes] = set()
    digest = hashlib.sha256()
    kept = absent = repeated = 0
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        raw = {name: raw_batch(catalogue.candidates, name, described[name], part) for name in preprocess}
        keys = {name: content_keys(values) for name, values in raw.items()}
        chosen = []
        for place in range(len(part)):
            if not all(_is_given(values[place]) for values in raw.values()):
                absent += 1
                continue
            key = _key(keys, place)
            repeated += key in seen
            if key not in seen:
                seen.add(key)
                chosen.append(place)
        if chosen:
            made, usable = {}, np.ones(len(chosen), bool)
            for name, graph in graphs.items():
                made[name] = {key: value.numpy() for key, value in graph(tf.constant(raw[name][chosen])).items()}
                usable &= made[name].pop("usable", True)
                own = [groups[name].setdefault(key, len(groups[name])) for key in keys[name][chosen]]
                made[name]["group"] = np.array(own, np.int32)
            for name, tensors in made.items():
                _put(arrays[name], {key: value[usable] for key, value in tensors.items()}, kept, len(rows))
            for place in np.asarray(chosen)[usable]:
                digest.update(_key(keys, place))
            kept += int(usable.sum())
            absent += int((~usable).sum())
        if progress is not None:
            progress(f"reading {what}", min(start + _BATCH, len(rows)), len(rows))
    if kept < LEAST:
        raise DataError(
            f"{what}: pretraining needs at least {LEAST} different contents, found {kept} in {len(rows)} candidates "
            f"({absent} have none that can be read, {repeated} repeat another's); take an encoder that was pretrained "
            "elsewhere as it is"
        )
    trimmed = {name: {key: array[:kept] for key, array in own.items()} for name, own in arrays.items()}
    return Contents(trimmed, len(rows), absent, repeated, digest.hexdigest())


def _key(keys: Mapping[str, np.ndarray], place: int) -> bytes:
    return b"".join(own[place].ljust(16, b"\0") for own in keys.values())  # NumPy cuts zeros off


def _is_given(value: str | bytes) -> bool:
    return bool(value.strip() if isinstance(value, str) else value)


def _put(arrays: dict[str, np.ndarray], tensors: dict[str, np.ndarray], start: int, num_rows: int) -> None:
    for name, value in tensors.items():
        if name not in arrays:
            arrays[name] = allocate((num_rows, *value.shape[1:]), value.dtype)
        arrays[name][start : start + len(value)] = value
