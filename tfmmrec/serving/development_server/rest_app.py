"""The REST side: predict, status and metadata under /v1/models/NAME."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from anyio import to_thread
from fastapi import FastAPI, Request, Response
from starlette.requests import ClientDisconnect

from tfmmrec.serving.development_server.admission import Admission
from tfmmrec.serving.development_server.json_request import read_inputs, read_json, signature_name
from tfmmrec.serving.development_server.json_tensor import columns_to_json, rows_to_json
from tfmmrec.serving.development_server.model_messages import as_json, model_metadata, model_status
from tfmmrec.serving.development_server.predict import run
from tfmmrec.serving.development_server.request_error import RequestError, invalid
from tfmmrec.serving.development_server.served_versions import ServedVersions

_LOG = logging.getLogger(__name__)
_WHICH = r"(?:/versions/(\d+)|/labels/([^/:]+))?"
_PREDICT = re.compile(rf"/v1/models/([^/:]+){_WHICH}:(classify|regress|predict)", re.ASCII | re.IGNORECASE)
_ABOUT = re.compile(rf"/v1/models(?:/([^/:]+))?{_WHICH}(/metadata)?", re.ASCII | re.IGNORECASE)
_MAX_VERSION = 2**63 - 1


class RestHandlers:
    """Answers what comes by HTTP.

    Args:
        versions: of the model.
        admission: how many requests at once.
        max_batch_size: rows that a request may have.
    """

    def __init__(self, versions: ServedVersions, admission: Admission, max_batch_size: int):
        self._versions = versions
        self._admission = admission
        self._max_batch_size = max_batch_size

    def answer(self, method: str, path: str, body: bytes) -> dict[str, Any]:
        """The answer's JSON.

        Raises:
            RequestError: whatever is wrong with the request.
        """
        if method == "POST" and (found := _PREDICT.fullmatch(path)):
            name, number, label, verb = found.groups()
            if verb.lower() != "predict":
                raise RequestError("UNIMPLEMENTED", f"the development server has no {verb.lower()}")
            with self._admission.enter():
                return self._predict(name, _version(number), label, body)
        if method == "GET" and (found := _ABOUT.fullmatch(path)):
            name, number, label, metadata = found.groups()
            if not name:
                raise invalid("Missing model name in request.")
            if not metadata:
                return as_json(model_status(self._versions, name, _version(number), label))
            with self._versions.lease(name, _version(number), label) as version:
                return as_json(model_metadata(name, version))
        raise invalid(f"Malformed request: {method} {path}")

    def _predict(self, name: str, number: int | None, label: str | None, body: bytes) -> dict[str, Any]:
        content = read_json(body)
        signature = signature_name(content) or "serving_default"
        with self._versions.lease(name, number, label) as version:
            if signature not in version.signatures:
                raise invalid(f'Serving signature name: "{signature}" not found in signature def')
            described = version.signatures[signature].inputs
            dtypes = {key: tf.dtypes.as_dtype(described[key].dtype).name for key in sorted(described)}
            inputs, are_rows = read_inputs(content, dtypes)
            outputs = run(version, signature, inputs, self._max_batch_size)
        return rows_to_json(outputs) if are_rows else columns_to_json(outputs)


def make_app(handlers: RestHandlers, max_request_bytes: int, max_threads: int) -> FastAPI:
    """The application that a web server runs.

    Args:
        handlers: which answer.
        max_request_bytes: of a body; a larger one is refused before it has been read.
        max_threads: that answer at once.
    """
    from anyio import CapacityLimiter

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    limiters: list[CapacityLimiter] = []  # one can only be made within the event loop

    @app.api_route("/v1/{rest:path}", methods=["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
    async def under_v1(request: Request) -> Response:
        if not limiters:
            limiters.append(CapacityLimiter(max_threads))
        try:
            body = await _read_body(request, max_request_bytes)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        except RequestError as error:
            return _response(413, {"error": error.message})
        status, text = await to_thread.run_sync(
            _answered, lambda: handlers.answer(request.method, request.url.path, body), limiter=limiters[0]
        )
        return Response(text, status, media_type="application/json")

    @app.exception_handler(404)
    async def elsewhere(request: Request, error: Exception) -> Response:
        return Response(status_code=404)

    return app


async def _read_body(request: Request, max_bytes: int) -> bytes:
    declared = request.headers.get("content-length", "0")
    parts, size = [], int(declared) if declared.isdecimal() else 0
    if size <= max_bytes:
        size = 0
        async for part in request.stream():
            parts.append(part)
            size += len(part)
            if size > max_bytes:
                break
    if size > max_bytes:
        raise RequestError("RESOURCE_EXHAUSTED", f"the request has more than {max_bytes:,} bytes, as many as are taken")
    return b"".join(parts)


def _answered(answer: Callable[[], dict[str, Any]]) -> tuple[int, str]:
    try:
        return 200, json.dumps(answer())
    except RequestError as error:
        return error.http_status, json.dumps({"error": error.message})
    except Exception:
        _LOG.exception("a request failed")
        return 500, json.dumps({"error": "the server failed; its log says more"})


def _response(status: int, content: dict[str, Any]) -> Response:
    return Response(json.dumps(content), status, media_type="application/json", headers={"Connection": "close"})


def _version(digits: str | None) -> int | None:
    if digits is None:
        return None
    if len(digits) > 19 or int(digits) > _MAX_VERSION:
        raise invalid(f"Failed to convert version: {digits[:40]} to numeric.")
    return int(digits)
