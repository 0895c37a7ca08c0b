"""An exported model as Python asks it: one question at a time, through the signatures that a server has."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import tensorflow as tf

from tfmmrec.encoders.vocabulary import fingerprints
from tfmmrec.schema import Schema
from tfmmrec.serving.paths import is_export, model_folder
from tfmmrec.types import DataError, UsageError

_MODELS = ("", "ranker/")  # before the paths of their weights: the first model's, and that of a ranking model behind it


class ExportedModel:
    """A loaded export; `load_exported` makes it.

    Attributes:
        path: the folder with `saved_model.pb`.
        about: the content of `model.json`.
        schema: of the dataset it was trained on.
        signatures: the content of `signatures.json`.
        candidates: `candidate_id` and the display columns.
    """

    def __init__(self, path: str, module: Any, about: dict, schema: Schema, signatures: dict, candidates: pa.Table):
        self.path = path
        self.about = about
        self.schema = schema
        self.signatures = signatures
        self.candidates = candidates
        self._module = module

    def ask(self, signature: str, **inputs: Any) -> dict[str, Any]:
        """Runs one signature for one row.

        Args:
            signature: its name.
            inputs: values without the batch dimension; lists may be shorter than the signature's. What is left out
                is missing.

        Returns:
            The outputs' first row, as NumPy values.

        Raises:
            UsageError: no such signature or input, or a list that is too long.
        """
        if signature not in self.signatures:
            raise UsageError(f"{self.path}: has no signature {signature!r}, only {', '.join(sorted(self.signatures))}")
        described = self.signatures[signature]["inputs"]
        unknown = sorted(set(inputs) - set(described))
        if unknown:
            raise UsageError(f"{signature} takes {', '.join(described)}; not {', '.join(unknown)}")
        missing = {key: _missing(entry) for key, entry in described.items() if entry["required"]}
        rows = {key: _as_row(key, value, described[key]) for key, value in (missing | inputs).items()}
        outputs = getattr(self._module, signature)(**rows)
        return {name: tensor.numpy()[0] for name, tensor in outputs.items()}

    def ask_many(self, signature: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Runs one signature for a batch.

        Args:
            signature: its name.
            inputs: `[batch, ...]`, in the signature's own dtypes and shapes; what is left out has its default.
        """
        described = self.signatures[signature]["inputs"]
        tensors = {key: tf.constant(value, described[key]["dtype"]) for key, value in inputs.items()}
        return {name: tensor.numpy() for name, tensor in getattr(self._module, signature)(**tensors).items()}

    def knows_query(self, query_id: str) -> bool:
        """Whether the model has a history of its own of a query, which an id alone then brings along."""
        known = self._module.query_histories.lookup.fingerprints.numpy()
        return bool(query_id) and bool(np.isin(fingerprints(tf.constant([query_id])).numpy(), known)[0])

    def looks_at(self, side: str, name: str) -> bool:
        """Whether a tower of a side, "query" or "candidate", has weights for a feature; vectors need none."""
        own = tuple(f"{model}{side}_tower/encoders/{name}/" for model in _MODELS)
        return any(path.startswith(own) for path in self._module.weights)

    def knows_value(self, side: str, name: str, value: str) -> bool:
        """Whether a value of a category or an identifier is in the vocabulary; True where the model has none for it."""
        paths = [f"{model}{side}_tower/encoders/{name}/lookup/fingerprints" for model in _MODELS]
        known = [self._module.weights[path].numpy() for path in paths if path in self._module.weights]
        own = fingerprints(tf.constant([value])).numpy()
        return not known or any(bool(np.isin(own, those)[0]) for those in known)

    def display_of(self, ids: Sequence[str]) -> list[dict[str, str | None]]:
        """The display columns of some candidates; empty for unknown ids."""
        rows = self.rows_of(ids)
        names = [name for name in self.candidates.column_names if name != "candidate_id"]
        wanted = pa.array([max(row, 0) for row in rows], pa.int64())
        shown = [self.candidates[name].take(wanted).to_pylist() for name in names]
        return [
            {name: column[place] for name, column in zip(names, shown, strict=True)} if row >= 0 else {}
            for place, row in enumerate(rows)
        ]

    def vectors_of(self, ids: Sequence[str]) -> np.ndarray:
        """The index's vectors of candidates that it has, float32 `[len(ids), dim]`."""
        return tf.gather(self._module.index.vectors, np.array(self.rows_of(ids), np.int32)).numpy()

    def rows_of(self, ids: Sequence[str]) -> list[int]:
        """The rows of some ids in the index, -1 for unknown ones."""
        wanted = pa.array(list(ids), self.candidates["candidate_id"].type)
        found = pc.index_in(wanted, value_set=self.candidates["candidate_id"].combine_chunks())
        return [-1 if row is None else row for row in found.to_pylist()]


def load_exported(path: str | Path) -> ExportedModel:
    """Loads what `export_run` wrote.

    Args:
        path: the export, or a folder of versions, of which the newest is taken.

    Raises:
        DataError: no such folder, or not written by `tfmmrec export`.
    """
    folder = model_folder(path)
    if not is_export(folder):
        raise DataError(
            f"{folder}: is a SavedModel, but `tfmmrec export` did not write it (no assets.extra/model.json); a query "
            "needs the schema that an export carries"
        )
    extra = os.path.join(folder, "assets.extra")
    try:
        about, signatures = read_extra(folder, "model.json"), read_extra(folder, "signatures.json")
        schema = Schema.model_validate(read_extra(folder, "schema.json"))
        with tf.io.gfile.GFile(os.path.join(extra, "candidates.parquet"), "rb") as file:
            candidates = pq.read_table(pa.BufferReader(file.read()))
    except (ValueError, OSError, tf.errors.OpError) as error:
        raise DataError(f"{extra}: cannot be read; export the model again: {error}") from error
    import tensorflow_text  # noqa: F401  (the ops of pretrained text encoders; stock servers have them too)

    try:
        module = tf.saved_model.load(folder)
    except (ValueError, OSError, tf.errors.OpError) as error:
        raise DataError(f"{folder}: cannot be loaded; export the model again: {error}") from error
    return ExportedModel(folder, module, about, schema, signatures, candidates)


def read_extra(folder: str | Path, name: str) -> Any:
    """The content of one of an export's JSON files, such as "size.json"."""
    with tf.io.gfile.GFile(os.path.join(str(folder), "assets.extra", name)) as file:
        return json.loads(file.read())


def _missing(described: Mapping[str, Any]) -> Any:
    if described["dtype"] == "string":
        return ""
    return [0.0] * described["shape"][0] if described["shape"] else float("nan")


def _as_row(key: str, value: Any, described: Mapping[str, Any]) -> tf.Tensor:
    if "list_length" in described:
        value = [value] if isinstance(value, str) else list(value)
        value = [entry for entry in value if entry != ""]
        if len(value) > described["list_length"]:
            raise UsageError(f"{key} takes at most {described['list_length']} entries, got {len(value)}")
        value += [""] * (described["list_length"] - len(value))
    try:
        tensor = tf.constant([value], tf.dtypes.as_dtype(described["dtype"]))
    except (TypeError, ValueError):
        raise UsageError(f"{key} must be {described['dtype']}, got {value!r}") from None
    if tensor.shape[1:].as_list() != described["shape"]:
        raise UsageError(f"{key} must have the shape {described['shape']}, got {tensor.shape[1:].as_list()}")
    return tensor
