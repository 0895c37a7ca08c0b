"""What all exported models have: signatures over variables, which are described to clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfmmrec.search.candidate_parts import CandidateParts
from tfmmrec.search.exact import ExactIndex
from tfmmrec.search.query_histories import QueryHistories
from tfmmrec.serving.inputs import Input
from tfmmrec.serving.signature_function import Body, signature_function

Signatures = dict[str, tuple[Mapping[str, Input], Sequence[str], Body]]
"""Name -> inputs, required ones, body."""


class ServedSignatures(tf.Module):
    """One tf.function for each signature, the index, and the weights that the signatures read.

    The models themselves are not part of it: Keras layers would be saved with functions of their own, and with what
    only training needs.

    Args:
        signatures: see `Signatures`.
        default: the one that is served where a request names none.
        index: of the candidates.
        histories: of known queries.
        weights: exactly the variables that the signatures read beside these, by their paths.
        encoders: objects that own what else they read.
    """

    def __init__(
        self,
        signatures: Signatures,
        default: str,
        index: ExactIndex | CandidateParts,
        histories: QueryHistories,
        weights: dict[str, tf.Variable],
        encoders: list[Any],
    ):
        super().__init__(name="served_model")
        self.index = index
        self.index_arrays = index.arrays()  # by their names in size.json, for whoever gives the index other candidates
        self.query_histories = histories
        self._described = _Untracked(signatures)
        self._default = default
        self._index_description = _Untracked({})
        for name, (inputs, required, body) in signatures.items():
            setattr(self, name, signature_function(name, inputs, required, body))
        self.serving_default = getattr(self, default)
        self.weights = weights
        self.encoders = encoders

    @property
    def signatures_to_save(self) -> dict[str, Any]:
        """What `tf.saved_model.save` takes as `signatures`."""
        return {name: getattr(self, name) for name in ("serving_default", *self._described.value)}

    def description(self) -> dict[str, dict[str, Any]]:
        """Every signature's inputs for people and clients: dtype, shape without the batch, whether it is required."""
        described = {
            name: {
                "inputs": {key: _describe(made, key in required) for key, made in inputs.items()},
                "required": list(required),
            }
            for name, (inputs, required, _) in self._described.value.items()
        }
        return {"serving_default": described[self._default]} | described

    @property
    def index_description(self) -> dict[str, Any]:
        """The kind of index, and how it was chosen; nothing where candidates are only looked up."""
        return self._index_description.value

    def describe_index(self, description: dict[str, Any]) -> None:
        """Sets `index_description`."""
        self._index_description = _Untracked(description)

    def inputs(self, signature: str) -> dict[str, Input]:
        """The inputs of one signature."""
        return dict(self._described.value[self._default if signature == "serving_default" else signature][0])

    def arrays(self) -> dict[str, dict[str, tf.Variable]]:
        """Every variable by a name, in groups."""
        return {
            "weights": dict(self.weights),
            "index": self.index.arrays(),
            "query_histories": self.query_histories.arrays(),
        }


class _Untracked:
    """Holds what the saved model shall not hold."""

    def __init__(self, value: Any):
        self.value = value


def _describe(made: Input, is_required: bool) -> dict[str, Any]:
    shape = made.spec.shape.as_list()[1:]
    described = {"dtype": made.spec.dtype.name, "shape": shape, "what": made.what, "required": is_required}
    if made.spec.dtype == tf.string and shape:
        described["list_length"] = shape[0]
    return described
