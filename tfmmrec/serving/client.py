"""A client of TensorFlow Serving, and of the development server, for the signatures of an exported model.

    with connect("http://localhost:8501/v1/models/shop") as client:
        found = client.ask("recommend", [{"query_id": "42", "k": 5}, {"query_id": "43"}])

| address | protocol |
|---|---|
| http://HOST:8501/v1/models/NAME | REST; no TensorFlow is imported |
| grpc://HOST:8500/NAME | gRPC; imports TensorFlow, of whose messages TensorFlow Serving's are made |
| https://..., grpcs://... | the same, encrypted |

`/versions/N` or `/labels/L` behind the name asks one version; else it is the newest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from tfmmrec.serving.request_filters import check_filters, takes_filters
from tfmmrec.serving.request_rows import batches, split_rows
from tfmmrec.serving.retries import Retries
from tfmmrec.serving.server_error import ServerError, WrongAddress
from tfmmrec.serving.signature_info import SignatureInfo
from tfmmrec.types import UsageError

_PATH = re.compile(r"(?:/v1/models)?/([^/:]+)(?:/versions/([0-9]+)|/labels/([^/:]+))?/?")
_OTHER_SIGNATURE = ("INVALID_ARGUMENT", "FAILED_PRECONDITION")  # what inputs that do not fit are answered with
_NO_MODEL = re.compile(r"Servable not found|Could not find any versions|HTTP status 404")
_NAMED = "`tfmmrec serve BASE/NAME` serves NAME"
_SHAPES = "http://HOST:8501/v1/models/NAME or grpc://HOST:8500/NAME (https and grpcs where encrypted)"


class Client:
    """Asks one model of a server.

    Args:
        transport: a `RestTransport` or a `GrpcTransport`.
        deadline_seconds: for one request with all of its attempts.
        retries: after errors that may pass: a server that is not there or has too much to do, and no others.
        batch_size: rows of a request.

    Raises:
        UsageError: a deadline that is not above 0, a batch size below 1.
    """

    def __init__(
        self, transport: Any, deadline_seconds: float = 10.0, retries: Retries | None = None, batch_size: int = 32
    ):
        if not deadline_seconds > 0:
            raise UsageError(f"the deadline must be above 0 seconds, got {deadline_seconds}")
        if batch_size < 1:
            raise UsageError(f"batch_size must be at least 1, got {batch_size}")
        self.address: str = transport.address
        self._transport = transport
        self._deadline_seconds = deadline_seconds
        self._retries = retries or Retries()
        self._batch_size = batch_size
        self._signatures: dict[str, SignatureInfo] | None = None

    @property
    def signatures(self) -> dict[str, SignatureInfo]:
        """The model's signatures, which the server is asked for once.

        Raises:
            ServerError: there is no answer.
        """
        if self._signatures is None:
            self._signatures = self._call(self._transport.metadata)
        return self._signatures

    def ask(self, signature: str, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Runs a signature for many rows, in as few requests as the batch size allows.

        Args:
            signature: its name, such as "recommend".
            rows: values by input, without the batch dimension; lists may be shorter than the signature's. What is left
                out has the signature's default or is sent as missing: "", NaN or zeros. Something of each query or
                candidate must be there. Pictures are bytes.

        Returns:
            Every row's outputs by name. `candidate_ids` and `scores` are as long as there are candidates, at most the
            row's own `k`; strings are str, or bytes where an output is no text.

        Raises:
            UsageError: no such signature or input, or a value that does not fit it: `k` outside 1 to 1000, `allow` or
                `deny` without the form feature=value or of a feature that candidates do not have. Nothing is sent then.
                Which strings are categories, and which values there are, a server does not tell: what no candidate has
                lets nothing through where it is allowed, and takes nothing out where it is denied.
            ServerError: a request was not answered; its message holds the server's own words. `WrongAddress` where
                there is no such model.
        """
        if signature not in self.signatures:
            raise UsageError(
                f"{self.address}: has no signature {signature!r}, only {', '.join(sorted(self.signatures))}"
            )
        described = self.signatures[signature]
        try:
            return self._ask(signature, rows)
        except ServerError as error:
            if error.code not in _OTHER_SIGNATURE:
                raise
            self._signatures = None  # perhaps another version is served by now, and wants other inputs
            now = self.signatures.get(signature)
            if now is None or _inputs(now) == _inputs(described):
                raise
        return self._ask(signature, rows)

    def _ask(self, signature: str, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        if takes_filters(self.signatures[signature].inputs):
            features = _candidate_texts(self.signatures)
            for row in rows:
                if isinstance(row, Mapping):
                    check_filters(row, features, is_certain=False)
        answers: list[dict[str, Any]] = []
        for inputs, num_rows in batches(signature, self.signatures[signature], rows, self._batch_size):
            outputs = self.predict(signature, inputs)
            answers += split_rows(outputs, num_rows, self.address)
        return answers

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Sends one request as it is: every input `[batch, ...]` -> every output `[batch, ...]`.

        Raises:
            ServerError: it was not answered.
        """
        return self._call(partial(self._transport.predict, signature, inputs, self.signatures[signature]))

    def status(self) -> dict[int, str]:
        """The states of the model's versions by number, such as AVAILABLE.

        Raises:
            ServerError: there is no answer.
        """
        return self._call(self._transport.status)

    def close(self) -> None:
        """Closes the connections; `with` does it too."""
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(self, ask: Any) -> Any:
        try:
            return self._retries.call(lambda seconds: ask(seconds=seconds), self._deadline_seconds, self.address)
        except ServerError as error:
            if error.code == "NOT_FOUND" and _NO_MODEL.search(error.message):
                words = f"{error.message}; the address names a model or a version that is not served there: {_NAMED}"
                raise WrongAddress(error.code, words, self.address) from error
            raise


def _candidate_texts(signatures: Mapping[str, SignatureInfo]) -> list[str]:
    """The candidates' features that are strings: categories and identifiers, and some that are none."""
    inputs = [entry for signature in signatures.values() for entry in signature.inputs.items()]
    texts = {key for key, info in inputs if info.is_text and key.startswith("candidate_")}
    return sorted(key.removeprefix("candidate_") for key in texts - {"candidate_id"})


def _inputs(signature: SignatureInfo) -> dict[str, tuple]:
    return {name: (info.dtype, info.shape) for name, info in signature.inputs.items()}


def connect(
    url: str,
    *,
    deadline_seconds: float = 10.0,
    retries: Retries | None = None,
    batch_size: int = 32,
    root_certificates: str | Path | None = None,
) -> Client:
    """A client of the model at an address; nothing is sent yet.

    Args:
        url: see the module's table.
        deadline_seconds, retries, batch_size: see `Client`.
        root_certificates: a file (PEM) with the certificates that an encrypted server's own may be signed by.

    Raises:
        UsageError: an address of another form, certificates for one that is not encrypted, or no such file.
    """
    parts = urlsplit(url)
    found = _PATH.fullmatch(parts.path)
    is_encrypted = parts.scheme in ("https", "grpcs")
    if parts.scheme not in ("http", "https", "grpc", "grpcs") or not parts.netloc or not found or parts.query:
        raise UsageError(f"{url}: is no address of a model; expected {_SHAPES}")
    if root_certificates is not None and not is_encrypted:
        raise UsageError(f"{url}: is not encrypted, so no certificates are looked at; write {parts.scheme}s://")
    if root_certificates is not None and not Path(root_certificates).is_file():
        raise UsageError(f"{root_certificates}: no such file; it holds the certificates that servers' are signed by")
    if parts.scheme in ("grpc", "grpcs"):
        from tfmmrec.serving.grpc_client import GrpcTransport

        name, version, label = found.groups()
        number = None if version is None else int(version)
        transport: Any = GrpcTransport(parts.netloc, name, number, label, is_encrypted, root_certificates)
    else:
        if not parts.path.startswith("/v1/models/"):
            raise UsageError(f"{url}: is no address of a model; expected {_SHAPES}")
        from tfmmrec.serving.rest_client import RestTransport

        transport = RestTransport(url, root_certificates)
    return Client(transport, deadline_seconds, retries, batch_size)
