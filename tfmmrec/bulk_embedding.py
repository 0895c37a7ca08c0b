"""Encoding a whole catalogue ahead of its trainings, into the feature store that they read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfmmrec.data.dataset import Dataset
from tfmmrec.embedding import Progress, raw_batch
from tfmmrec.encoders.saved_model import SavedModelEncoder
from tfmmrec.schema import Feature
from tfmmrec.stored_encoding import BATCH, BatchEncode, add_missing, open_store
from tfmmrec.types import UsageError


@dataclass(frozen=True)
class Embedded:
    """What `embed_catalogue` did.

    Attributes:
        feature: that was encoded.
        store: the store's folder.
        num_candidates: of the catalogue.
        num_contents: different contents among them.
        num_new: of those, encoded now.
        num_absent: candidates without this feature, or with one that could not be read.
        dim: size of a vector.
    """

    feature: str
    store: Path
    num_candidates: int
    num_contents: int
    num_new: int
    num_absent: int
    dim: int


def embed_catalogue(
    dataset: Dataset,
    encoder: str | Path,
    feature: str | None = None,
    root: Path | None = None,
    dtype: str = "float32",
    progress: Progress | None = None,
) -> Embedded:
    """Encodes one feature of all candidates, those contents that the store does not have.

    A training with `pretrained: {feature: encoder}` in the mode cached, its evaluation and its export find them there.
    Killed, it goes on where it was.

    Args:
        dataset: the catalogue.
        encoder: a TF-Hub handle or a directory of a reusable SavedModel.
        feature: a text or image feature; the only one that the encoder can read when None.
        root: where stores are kept, see `default_root`.
        dtype: float32 or float16.
        progress: told what has been done.

    Raises:
        UsageError: no such feature, or several and none was named.
        DataError: the encoder cannot be loaded, or does not read this kind.
    """
    name = chosen_feature(dataset.schema.candidates.features, feature)
    described = dataset.schema.candidates.features[name]
    encode = BatchEncode(SavedModelEncoder(str(encoder), described.kind, mode="cached", name=name))
    store = open_store(encode, root, dtype)
    before, total = len(store), len(dataset.candidates)

    def batches() -> Iterator[np.ndarray]:
        for start in range(0, total, BATCH):
            yield raw_batch(dataset.candidates, name, described, np.arange(start, min(start + BATCH, total)))

    told = None if progress is None else lambda done, rows: progress(name, done, rows)
    keys = add_missing(store, encode, batches(), total, told)
    return Embedded(
        name, store.folder, total, len(np.unique(keys)), len(store) - before, store.count_absent(keys), store.dim
    )


def chosen_feature(features: Mapping[str, Feature], feature: str | None) -> str:
    """The text or picture that is meant: the named one, or the only one.

    Raises:
        UsageError: no such feature, or several and none was named.
    """
    fitting = [name for name, described in features.items() if described.kind in ("text", "image")]
    if feature is not None and feature in fitting:
        return feature
    if feature is None and len(fitting) == 1:
        return fitting[0]
    what = "name one" if feature is None else f"{feature!r} is none of them"
    have = ", ".join(fitting) or "none"
    raise UsageError(f"encoders read texts and pictures, of which the candidates have {have}; {what}")
