"""Requests and model folders that are wrong in every way that a seed can draw."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow_serving.apis import predict_pb2

_ODD_VALUES = (
    None, True, -1, 2**31, 2**63, 2**80, 1e400, float("nan"), 1.5, "", "a", "\ud800", "\x00", "é" * 500, [], [[]], {},
    [1, [2]], [[1], [2, 3]], {"b64": "?"}, {"b64": 3}, {"b64": "AAAA"}, {"b64": "AA", "c": 1}, {"": None}, ["a"] * 200,
)  # fmt: skip
_ODD_PATHS = (
    "/v1/models/{}", "/v1/models/{}/versions/99:predict", "/v1/models/{}/versions/x:predict", "/v1/models//:predict",
    "/v1/models/{}/labels/x:predict", "/v1/models/{}:classify", "/v1/models/{}:regress", "/v1/models/%00:predict",
    "/v1/models/{}/versions/" + "9" * 60 + ":predict", "/v1/", "/v1/models/" + "a" * 3_000 + ":predict",
    "/v1/models/{}:", "/v1/models/{}/versions/-1/metadata", "/v1/../../etc/passwd", "/v1/models/{}/metadata/metadata",
)  # fmt: skip
_METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")


def rest_request(draw: random.Random, model: str, rows: Mapping[str, Mapping[str, Any]]) -> tuple[str, str, bytes]:
    """A method, a path and a body.

    Args:
        draw: where everything comes from.
        model: its name.
        rows: signature -> every input of a good row.
    """
    path = f"/v1/models/{model}:predict"
    body = _good_body(draw, rows)
    kind = draw.choice(("structure", "structure", "structure", "bytes", "path", "method", "nested", "large"))
    if kind == "structure":
        for _ in range(draw.randint(1, 3)):
            body = _mutated(draw, body)
    text = json.dumps(body).encode()
    if kind == "bytes":
        text = _garbled(draw, text)
    elif kind == "nested":
        text = draw.choice((b"[", b'{"inputs":', b'{"instances":[')) * draw.randint(1, 20_000)
    elif kind == "large":
        text = json.dumps({"inputs": "a" * 300_000}).encode()
    elif kind == "path":
        path = draw.choice(_ODD_PATHS).format(model)
    return (draw.choice(_METHODS) if kind == "method" else "POST"), path, text


def grpc_request(draw: random.Random, good: Sequence[predict_pb2.PredictRequest]) -> bytes:
    """A PredictRequest's bytes.

    Args:
        draw: where everything comes from.
        good: requests that would be answered.
    """
    request = predict_pb2.PredictRequest()
    request.CopyFrom(draw.choice(good))
    if draw.random() < 0.4:
        return _garbled(draw, request.SerializeToString())
    for _ in range(draw.randint(1, 3)):
        _change(draw, request)
    return request.SerializeToString()


def is_parsed(request: bytes) -> bool:
    """Whether the bytes are a PredictRequest at all."""
    try:
        predict_pb2.PredictRequest.FromString(request)
    except DecodeError:
        return False
    return True


def break_model(draw: random.Random, folder: Path) -> None:
    """Garbles, cuts, empties or removes one or two files of a model."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for file in draw.sample(files, draw.randint(1, 2)):
        kind = draw.choice(("garble", "garble", "cut", "empty", "remove"))
        if kind == "remove":
            file.unlink()
        elif kind == "empty":
            file.write_bytes(b"")
        else:
            content = file.read_bytes()
            cut = content[: draw.randrange(len(content) or 1)]
            file.write_bytes(cut if kind == "cut" else _garbled(draw, content))


def _good_body(draw: random.Random, rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    signature = draw.choice(sorted(rows))
    row = dict(rows[signature])
    if draw.random() < 0.5:
        return {"signature_name": signature, "instances": [dict(row) for _ in range(draw.randint(1, 3))]}
    return {"signature_name": signature, "inputs": {key: [value] for key, value in row.items()}}


def _mutated(draw: random.Random, value: Any) -> Any:
    """One place of a body becomes something else."""
    if isinstance(value, dict) and value and draw.random() < 0.85:
        key = draw.choice(sorted(value))
        kind = draw.random()
        rest = {name: entry for name, entry in value.items() if name != key}
        if kind < 0.15:
            return rest
        if kind < 0.3:
            return rest | {f"{key}{draw.choice(('x', '_bytes', chr(0xD800)))}": value[key]}
        return value | {key: _mutated(draw, value[key])}
    if isinstance(value, list) and value and draw.random() < 0.7:
        place = draw.randrange(len(value))
        kind = draw.random()
        if kind < 0.2:
            return value[:place]
        if kind < 0.4:
            return value * draw.randint(2, 60)
        return [*value[:place], _mutated(draw, value[place]), *value[place + 1 :]]
    return draw.choice(_ODD_VALUES)


def _garbled(draw: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.randint(1, 8)):
        place = draw.randrange(len(changed) + 1)
        kind = draw.random()
        if kind < 0.3:
            del changed[place : place + draw.randint(1, 40)]
        elif kind < 0.6:
            changed[place:place] = draw.randbytes(draw.randint(1, 20))
        elif changed:
            changed[min(place, len(changed) - 1)] = draw.randrange(256)
    return bytes(changed)


def _change(draw: random.Random, request: predict_pb2.PredictRequest) -> None:
    spec = request.model_spec
    keys = sorted(request.inputs)
    tensor = request.inputs[draw.choice(keys)] if keys else None
    changes = [
        lambda: setattr(spec, "name", draw.choice(("", "other", "a" * 5_000))),
        lambda: setattr(spec, "signature_name", draw.choice(("other", "", "é"))),
        lambda: setattr(spec.version, "value", draw.choice((-1, 0, 99, 2**62))),
        lambda: setattr(spec, "version_label", "stable"),
        lambda: request.output_filter.append(draw.choice(("y", "other", ""))),
        lambda: request.inputs["other"].CopyFrom(tensor or request.inputs["other"]),
    ]
    if tensor is not None:
        changes += [
            lambda: request.inputs.pop(draw.choice(keys)),
            lambda: setattr(tensor, "dtype", draw.randrange(0, 130)),
            lambda: setattr(tensor, "tensor_content", draw.randbytes(draw.randint(0, 64))),
            lambda: setattr(tensor.tensor_shape, "unknown_rank", True),
            lambda: tensor.tensor_shape.dim.add(size=draw.choice((-1, 0, 1, 3, 2**20, 2**40, 2**62))),
            lambda: tensor.tensor_shape.dim and tensor.tensor_shape.dim.pop(),
            lambda: [setattr(dim, "size", draw.choice((-5, 0, 1, 2, 51, 2**33))) for dim in tensor.tensor_shape.dim],
            lambda: tensor.float_val.extend([draw.random()] * draw.randint(1, 50)),
            lambda: tensor.string_val.extend([b"\xff"] * draw.randint(1, 50)),
            lambda: tensor.Clear(),
        ]
    draw.choice(changes)()
