"""An exported model as Python asks it: one question at a time, through the signatures that a server has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfmmrec.encoders.vocabulary import fingerprints
from tfmmrec.search.scann_ops import register_ops
from tfmmrec.serving.described_model import DescribedModel, read_description
from tfmmrec.serving.described_model import read_extra as read_extra
from tfmmrec.serving.indexed_tables import indexed_tables
from tfmmrec.serving.request_filters import check_filters, takes_filters
from tfmmrec.serving.request_rows import split_rows
from tfmmrec.serving.signature_info import missing_value
from tfmmrec.types import DataError, UsageError

_MODELS = ("", "ranker/")  # before the paths of their weights: the first model's, and that of a ranking model behind it


class ExportedModel(DescribedModel):
    """A loaded export; `load_exported` makes it.

    Attributes:
        path: the folder with `saved_model.pb`.
        about: the content of `model.json`.
        schema: of the dataset it was trained on.
        signatures: the content of `signatures.json`.
        candidates: `candidate_id` and the display columns.
    """

    def __init__(self, module: Any, described: DescribedModel):
        super().__init__(**vars(described))
        self._module = module

    @property
    def module(self) -> Any:
        """What `tf.saved_model.load` gave: the signatures as functions, and the index with its `replace`."""
        return self._module

    def ask(self, signature: str, **inputs: Any) -> dict[str, Any]:
        """Runs one signature for one row.

        Args:
            signature: its name.
            inputs: values without the batch dimension; lists may be shorter than the signature's. What is left out
                is missing.

        Returns:
            The row's outputs as `Client.ask` gives them: as many candidates as were found, strings as str.

        Raises:
            UsageError: no such signature or input, a list that is too long, `k` outside 1 to 1000, or `allow` or
                `deny` of what candidates cannot be filtered by.
        """
        if signature not in self.signatures:
            raise UsageError(f"{self.path}: has no signature {signature!r}, only {', '.join(sorted(self.signatures))}")
        described = self.signatures[signature]["inputs"]
        unknown = sorted(set(inputs) - set(described))
        if unknown:
            raise UsageError(f"{signature} takes {', '.join(described)}; not {', '.join(unknown)}")
        if takes_filters(described):
            check_filters(inputs, self.filter_features)
        required = {key: entry for key, entry in described.items() if entry["required"]}
        missing = {key: missing_value(entry["dtype"] == "string", entry["shape"]) for key, entry in required.items()}
        rows = {key: _as_row(key, value, described[key]) for key, value in (missing | inputs).items()}
        outputs = getattr(self._module, signature)(**rows)
        return split_rows({name: tensor.numpy() for name, tensor in outputs.items()}, 1, self.path)[0]

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

    def absent_values(self, values: Sequence[str]) -> list[str]:
        """Those of some "feature=value" strings that no candidate has."""
        known = self._module.index.filters.values.fingerprints.numpy()
        is_known = np.isin(fingerprints(tf.constant(list(values), tf.string)).numpy(), known)
        return [value for value, found in zip(values, is_known, strict=True) if not found]

    def vectors_of(self, ids: Sequence[str]) -> np.ndarray:
        """The index's vectors of candidates that it has, float32 `[len(ids), dim]`."""
        return indexed_tables(self._module.index, ids)["vectors"]


def load_exported(path: str | Path) -> ExportedModel:
    """Loads what `export_run` wrote.

    Args:
        path: the export, or a folder of versions, of which the newest is taken.

    Raises:
        DataError: no such folder, or not written by `tfmmrec export`.
        UsageError: its index needs ScaNN, which is not installed.
    """
    described = read_description(path)
    import tensorflow_text  # noqa: F401  (the ops of pretrained text encoders; stock servers have them too)

    register_ops(described.about)

    try:
        module = tf.saved_model.load(described.path)
    except (ValueError, OSError, tf.errors.OpError) as error:
        raise DataError(f"{described.path}: cannot be loaded; export the model again: {error}") from error
    return ExportedModel(module, described)


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
