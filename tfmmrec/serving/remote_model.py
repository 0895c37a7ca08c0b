"""A model on a server, for answers: the same questions as to an exported model in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pyarrow as pa

from tfmmrec.schema import Feature
from tfmmrec.serving.client import Client
from tfmmrec.serving.described_model import DescribedModel, read_extra
from tfmmrec.serving.request_filters import check_filters, takes_filters
from tfmmrec.serving.signature_info import SignatureInfo, TensorInfo, missing_value

_SIDES = {"queries": "query_", "candidates": "candidate_"}


class RemoteModel(DescribedModel):
    """Asks a server, and what the signatures do not tell the model's folder, where there is one.

    Without the folder nothing is known of what inputs mean: strings are categories, and there are no display columns.
    What only the weights tell, which ids and values the model knows, is taken for known.

    Args:
        client: of the model.
        described: the model's folder, possibly of another version.
    """

    def __init__(self, client: Client, described: DescribedModel | None = None):
        found = described or _from_signatures(client.signatures)
        super().__init__(client.address, found.about, found.schema, found.signatures, found.candidates)
        self._client = client
        self._described = described
        self._is_described = described is not None
        self._weights = [] if described is None else list(read_extra(described.path, "size.json")["weights"])

    def ask(self, signature: str, **inputs: Any) -> dict[str, Any]:
        """Runs one signature for one row; what is left out is missing. See `ExportedModel.ask`.

        Raises:
            UsageError: no such signature or input, or a value that does not fit it.
            ServerError: the server does not answer.
        """
        described = self.signatures.get(signature, {"inputs": {}})["inputs"]
        if self._is_described and takes_filters(described):  # else the client checks what the signatures tell
            check_filters(inputs, self.filter_features)
        required = {key: entry for key, entry in described.items() if entry["required"]}
        missing = {key: missing_value(entry["dtype"] == "string", entry["shape"]) for key, entry in required.items()}
        return self._client.ask(signature, [missing | inputs])[0]

    def rows_of(self, ids: Sequence[str]) -> list[int]:
        """The rows of some ids in the folder's index, -1 for unknown ones; without a folder all count as known."""
        return super().rows_of(ids) if self._is_described else [0] * len(ids)

    def display_of(self, ids: Sequence[str]) -> list[dict[str, str | None]]:
        """The folder's display columns of some candidates; empty for those that it does not have."""
        return super().display_of(ids) if self._is_described else [{} for _ in ids]

    def absent_values(self, values: Sequence[str]) -> list[str]:
        """Those of some "feature=value" strings that no candidate of the folder has; none without a folder."""
        return [] if self._described is None else self._described.absent_values(values)

    def knows_query(self, query_id: str) -> bool:
        """True: a server does not tell whose histories it has."""
        return bool(query_id)

    def looks_at(self, side: str, name: str) -> bool:
        """Whether a tower of a side, "query" or "candidate", has weights for a feature, by the folder."""
        own = f"{side}_tower/encoders/{name}/"
        return any(path.removeprefix("ranker/").startswith(own) for path in self._weights)

    def knows_value(self, side: str, name: str, value: str) -> bool:
        """True: a server does not tell its vocabularies."""
        return True


def _from_signatures(signatures: Mapping[str, SignatureInfo]) -> SimpleNamespace:
    """What the signatures alone tell, in the form of a folder's description."""
    inputs = {key: info for signature in signatures.values() for key, info in signature.inputs.items()}
    schema = SimpleNamespace(
        **{
            side: SimpleNamespace(
                features={
                    key.removeprefix(prefix): Feature(kind=_kind(info))
                    for key, info in inputs.items()
                    if key.startswith(prefix) and key != f"{prefix}id"
                }
            )
            for side, prefix in _SIDES.items()
        }
    )
    described = {
        name: {"inputs": {key: _described(info) for key, info in signature.inputs.items()}}
        for name, signature in signatures.items()
    }
    about = {"model": "the server's model", "seed": 0}
    return SimpleNamespace(about=about, schema=schema, signatures=described, candidates=pa.table({"candidate_id": []}))


def _kind(info: TensorInfo) -> str:
    if info.is_text:
        return "category"
    return "vector" if info.shape else "number"


def _described(info: TensorInfo) -> dict[str, Any]:
    described = {
        "dtype": "string" if info.is_text else info.dtype.name,
        "shape": list(info.shape),
        "required": info.default is None,
    }
    if info.is_text and info.shape:
        described["list_length"] = info.shape[0]
    return described
