"""A model as a server would have it: in a fresh process, through the serving loader, with its warmup requests.

The answers must be sound by themselves, and those that the model gives in this process, so that neither the graph nor
what lies on the disk differs from what was evaluated.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from tfmmrec.serving.checks import Check
from tfmmrec.serving.exported_model import ExportedModel
from tfmmrec.serving.warmup import WARMUP_FILE

TOLERANCE = 1e-4
_SCRIPT = Path(__file__).with_name("stock_replay.py")
_MOST_SECONDS = 1800

Answer = dict[str, np.ndarray]


def replay_check(model: ExportedModel) -> Check:
    """Replays every warmup request in a fresh process and compares the answers."""
    requests = list(warmup_records(model.path))
    if not requests:
        return Check("replay", False, "there are no warmup requests, so nothing shows that a server can answer")
    found = answers_of_a_server(model.path)
    if isinstance(found, str):
        return Check("replay", False, f"in a fresh process the model cannot be loaded or asked: {found}")
    if len(found) != len(requests):
        return Check("replay", False, f"{len(found)} of {len(requests)} warmup requests were answered")
    for place, (request, answer) in enumerate(zip(requests, found, strict=True), start=1):
        problem = unsound(request, answer, model) or different(answer, own_answer(model, request))
        if problem:
            name = request.model_spec.signature_name
            return Check("replay", False, f"warmup request {place}, {name}: {problem}")
    return Check("replay", True, f"{len(requests)} warmup requests in a fresh process, answered as here", len(requests))


def warmup_records(folder: str) -> Iterator[predict_pb2.PredictRequest]:
    """The requests that a model carries."""
    path = os.path.join(folder, WARMUP_FILE)
    for record in tf.data.TFRecordDataset(path).as_numpy_iterator() if os.path.exists(path) else ():
        yield prediction_log_pb2.PredictionLog.FromString(record).predict_log.request


def answers_of_a_server(folder: str) -> list[Answer] | str:
    """What a fresh process without this package answers to the warmup requests; or why it does not."""
    with tempfile.TemporaryDirectory(prefix="tfmmrec-replay-") as scratch:
        made = os.path.join(scratch, "answers")
        command = [sys.executable, "-P", str(_SCRIPT), folder, made]
        plain = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}  # as a server is
        plain["CUDA_VISIBLE_DEVICES"] = "-1"  # this process has taken all of an accelerator's memory
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", env=plain, timeout=_MOST_SECONDS
            )
        except subprocess.TimeoutExpired:
            return f"it takes more than {_MOST_SECONDS} seconds"
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.strip()] or ["it says nothing"]
            return f"exit code {done.returncode}: {lines[-1]}"
        with open(made, "rb") as file:
            return pickle.load(file)


def own_answer(model: ExportedModel, request: predict_pb2.PredictRequest) -> Answer:
    """What the model answers in this process, with the whole precision of float32 on an accelerator too."""
    inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        return model.ask_many(request.model_spec.signature_name, **inputs)
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


def unsound(request: predict_pb2.PredictRequest, answer: Answer, model: ExportedModel) -> str | None:
    """What is wrong with an answer by itself: shapes, numbers that are none, order, ids that nobody knows."""
    rows = {value.tensor_shape.dim[0].size for value in request.inputs.values()}
    for name, array in answer.items():
        if array.ndim < 1 or array.shape[0] not in rows:
            return f"{name} has the shape {list(array.shape)} for requests of {sorted(rows)} rows"
        if array.dtype.kind == "f" and (np.isnan(array).any() or (array == np.inf).any()):
            return f"{name} holds numbers that are not finite"
    if "candidate_ids" in answer:
        return _unsound_list(answer["candidate_ids"], answer["scores"], model)
    if any(array.dtype.kind == "f" and not np.isfinite(array).all() for array in answer.values()):
        return "holds numbers that are not finite"
    return None


def different(one: Answer, other: Answer) -> str | None:
    """What differs between two answers by more than 1e-4; candidates whose scores differ by less may change places."""
    if set(one) != set(other):
        return f"has the outputs {sorted(one)}, and {sorted(other)} here"
    for name, array in one.items():
        if array.shape != other[name].shape:
            return f"{name} has the shape {list(array.shape)}, and {list(other[name].shape)} here"
        if array.dtype.kind == "f" and not np.allclose(array, other[name], TOLERANCE, TOLERANCE):
            with np.errstate(invalid="ignore"):
                return f"{name} differ by up to {np.nanmax(np.abs(array - other[name])):.2g}, more than {TOLERANCE:g}"
        if array.dtype.kind != "f" and name != "candidate_ids" and not np.array_equal(array, other[name]):
            return f"{name} are others than here"
    if "candidate_ids" not in one:
        return None
    for row, scores in enumerate(one["scores"]):
        mine, theirs = one["candidate_ids"][row], other["candidate_ids"][row]
        last = scores[scores > -np.inf][-1:]
        certain = scores > (last[0] + 2 * TOLERANCE * max(1.0, abs(last[0])) if last.size else np.inf)
        if not set(mine[certain]) <= set(theirs):
            return f"row {row} has other candidates than here"
    return None


def _unsound_list(ids: np.ndarray, scores: np.ndarray, model: ExportedModel) -> str | None:
    if ids.shape != scores.shape:
        return f"candidate_ids have the shape {list(ids.shape)}, scores {list(scores.shape)}"
    there = ids != b""
    if (there != (scores > -np.inf)).any():
        return "there are candidates without a score, or scores without a candidate"
    with np.errstate(invalid="ignore"):
        if (np.diff(scores, axis=1) > 0).any():
            return "the scores do not descend"
    known = model.rows_of([id.decode(errors="replace") for id in ids[there].tolist()])
    if any(row < 0 for row in known):
        return f"{known.count(-1)} of the candidates are none of candidates.parquet"
    return None
