"""The recorded requests that a version runs before it takes any."""

from __future__ import annotations

import os

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tfmmrec.serving.development_server.model_version import ModelVersion
from tfmmrec.serving.development_server.predict import predict

_FILE = "assets.extra/tf_serving_warmup_requests"
MAX_REQUESTS = 1_000
"""TensorFlow Serving refuses a version with more of them."""


def warm_up(version: ModelVersion) -> int:
    """Runs what `assets.extra/tf_serving_warmup_requests` holds.

    Returns:
        How many requests there were, 0 where there is no such file.

    Raises:
        RequestError: one of them is not answered.
        ValueError: there are too many.
        tf.errors.OpError, google.protobuf.message.DecodeError: the file is garbled.
    """
    path = os.path.join(version.folder, _FILE)
    if not os.path.exists(path):
        return 0
    logs = [prediction_log_pb2.PredictionLog.FromString(record) for record in _records(path)]
    for log in logs:
        if log.HasField("predict_log"):
            predict(version, log.predict_log.request)
    return len(logs)


def _records(path: str) -> list[bytes]:
    records = []
    for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
        records.append(record)
        if len(records) > MAX_REQUESTS:
            raise ValueError(f"{path}: holds more than {MAX_REQUESTS:,} requests, which TensorFlow Serving refuses")
    return records
