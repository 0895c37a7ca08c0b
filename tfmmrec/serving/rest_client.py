"""Asking a model server over REST; without TensorFlow."""

from __future__ import annotations

import base64
import http.client
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import requests
import urllib3

from tfmmrec.serving.server_error import IS_IT_THERE, PORTS, ServerError, WrongAddress
from tfmmrec.serving.signature_info import SignatureInfo, read_metadata

# The codes that TensorFlow Serving and what may stand before it mean.
_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_TRANSIENT = {502, 503}
_CHUNK = 1 << 16


class RestTransport:
    """Sends requests by HTTP; one for each thread.

    Args:
        address: http://HOST:8501/v1/models/NAME, possibly with /versions/N or /labels/L.
        root_certificates: a file of certificates that a server's own may be signed by; else those of this machine.
    """

    def __init__(self, address: str, root_certificates: str | Path | None = None):
        self.address = address.rstrip("/")
        self._session = requests.Session()
        # given with each request: the session's own gives way to variables of the environment
        self._verify = True if root_certificates is None else str(root_certificates)

    def predict(
        self, signature: str, inputs: Mapping[str, np.ndarray], described: SignatureInfo, seconds: float
    ) -> dict[str, np.ndarray]:
        """Runs a signature.

        Args:
            signature: its name.
            inputs: every input `[batch, ...]`; strings as bytes, which go as text, or as base64 where they are none.
            described: the signature.
            seconds: to answer in.

        Returns:
            Every output `[batch, ...]`; strings as bytes.

        Raises:
            ServerError: there is no answer.
        """
        columns = {name: _to_json(array) for name, array in inputs.items()}
        body = json.dumps({"signature_name": signature, "inputs": columns}).encode()
        content = self._ask("POST", ":predict", seconds, body)
        found = content.get("outputs")
        if len(described.outputs) == 1:
            found = {next(iter(described.outputs)): found}
        if not isinstance(found, dict) or set(found) != set(described.outputs):
            raise ServerError("INTERNAL", "its answer does not have the signature's outputs", self.address)
        return {name: _from_json(found[name], info.dtype) for name, info in described.outputs.items()}

    def metadata(self, seconds: float) -> dict[str, SignatureInfo]:
        """The signatures.

        Raises:
            ServerError: there is no answer, or it is none of a model server.
        """
        content = self._ask("GET", "/metadata", seconds)
        try:
            return read_metadata(content)
        except ValueError as error:
            raise ServerError("INTERNAL", str(error), self.address) from error

    def status(self, seconds: float) -> dict[int, str]:
        """The states of the versions by number, such as AVAILABLE.

        Raises:
            ServerError: there is no answer, or it is none of a model server.
        """
        content = self._ask("GET", "", seconds)
        try:
            return {int(entry["version"]): entry["state"] for entry in content["model_version_status"]}
        except (KeyError, TypeError, ValueError) as error:
            raise ServerError("INTERNAL", f"no status of a model: {error}", self.address) from error

    def close(self) -> None:
        """Closes the connections."""
        self._session.close()

    def _ask(self, method: str, suffix: str, seconds: float, body: bytes | None = None) -> dict[str, Any]:
        end = time.monotonic() + seconds
        try:
            with self._session.request(
                method,
                self.address + suffix,
                data=body,
                timeout=urllib3.Timeout(total=seconds),
                stream=True,
                allow_redirects=False,
                verify=self._verify,
            ) as response:
                text = self._read(response, end, seconds)
                status = response.status_code
        except requests.exceptions.SSLError as error:
            raise ServerError(
                "UNAVAILABLE", f"the connection is not trusted: {_reason(error)}", self.address
            ) from error
        except requests.exceptions.Timeout as error:
            raise self._too_late(seconds) from error
        except (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            self._refuse_other_protocols(error)
            words = f"cannot be reached: {_reason(error)}; {IS_IT_THERE}"
            raise ServerError("UNAVAILABLE", words, self.address, is_transient=True) from error
        except (requests.exceptions.RequestException, OSError) as error:
            raise ServerError("UNKNOWN", f"cannot be asked: {error}", self.address) from error
        return self._content(status, text)

    def _read(self, response: requests.Response, end: float, seconds: float) -> bytes:
        parts = []
        try:
            while part := response.raw.read1(_CHUNK, decode_content=True):  # what is there; not until it is so much
                parts.append(part)
                if time.monotonic() > end:
                    raise self._too_late(seconds)
        except urllib3.exceptions.ReadTimeoutError as error:
            raise self._too_late(seconds) from error
        except urllib3.exceptions.HTTPError as error:
            raise requests.exceptions.ConnectionError(error) from error
        return b"".join(parts)

    def _content(self, status: int, text: bytes) -> dict[str, Any]:
        try:
            content = json.loads(text)
        except ValueError:
            content = None
        if status == 200 and isinstance(content, dict):
            return content
        if isinstance(content, dict) and isinstance(content.get("error"), str):
            words = content["error"]
        else:
            words = f"HTTP status {status} and no JSON; a model is at http://HOST:8501/v1/models/NAME"
        code = _CODES.get(status, "INTERNAL" if status >= 500 or status == 200 else "UNKNOWN")
        raise ServerError(code, words, self.address, is_transient=status in _TRANSIENT)

    def _refuse_other_protocols(self, error: BaseException) -> None:
        inner = _innermost(error)
        if isinstance(inner, http.client.BadStatusLine) and not isinstance(inner, http.client.RemoteDisconnected):
            words = f"what answers there does not speak HTTP; is it the port of gRPC? {PORTS}"
            raise WrongAddress("UNAVAILABLE", words, self.address) from error

    def _too_late(self, seconds: float) -> ServerError:
        return ServerError("DEADLINE_EXCEEDED", f"no answer within {seconds:.3g} s", self.address)


def _to_json(array: np.ndarray) -> Any:
    if array.dtype != object:
        return array.tolist()
    if array.ndim:
        return [_to_json(row) if isinstance(row, np.ndarray) else _text(row) for row in array]
    return _text(array.item())


def _text(value: bytes) -> str | dict[str, str]:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}


def _from_json(value: Any, dtype: np.dtype) -> np.ndarray:
    if dtype.kind != "O":
        return np.array(value, dtype)
    shape, level = [], value
    while isinstance(level, list):
        shape.append(len(level))
        level = level[0] if level else None
    flat = np.empty(int(np.prod(shape)), object)
    for _ in shape[1:]:
        value = [entry for row in value for entry in row]
    flat[:] = [_bytes(entry) for entry in value] if shape else [_bytes(value)]
    return flat.reshape(shape)


def _bytes(value: Any) -> bytes:
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value.encode("utf-8")


def _reason(error: BaseException) -> str:
    """The innermost words of an error that is wrapped several times: "Connection refused"."""
    inner = _innermost(error)
    return getattr(inner, "strerror", None) or str(inner)


def _innermost(error: BaseException) -> BaseException:
    inner = error
    while (found := getattr(inner, "reason", None) or inner.__cause__ or inner.__context__) is not None and isinstance(
        found, BaseException
    ):
        inner = found
    return inner
