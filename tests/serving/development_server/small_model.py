"""A model of a few ops, exported as ours are: quick to write, to load and to break."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from tfmmrec.serving.inputs import make_input
from tfmmrec.serving.signature_function import signature_function

X = make_input("x", tf.float32, 0.0, "", [2])
NAME = make_input("name", tf.string, "?", "")
TIMES = make_input("times", tf.int32, 1, "")
WORDS = make_input("words", tf.string, "", "", [3])
SHOT = make_input("shot", tf.string, "", "")


class Small(tf.Module):
    """y = factor · times · x, a greeting, and what it makes of bytes.

    Args:
        factor: by which the versions differ.
    """

    def __init__(self, factor: float):
        super().__init__()
        self.factor = tf.Variable(factor)
        scale = {"x": X, "name": NAME, "times": TIMES, "words": WORDS}
        self.scale = signature_function("scale", scale, ["x"], self._scale)
        self.double = signature_function("double", {"x": X}, ["x"], lambda given: {"y": given["x"] * 2.0})
        self.look = signature_function("look", {"shot": SHOT}, ["shot"], self._look)
        self.work = signature_function("work", {"times": TIMES}, ["times"], self._work)

    def _scale(self, given):
        times = tf.cast(given["times"], tf.float32)[:, None]
        greeting = tf.strings.reduce_join(tf.concat([given["name"][:, None], given["words"]], 1), axis=1)
        return {"y": given["x"] * self.factor * times, "greeting": greeting}

    def _look(self, given):
        return {"size": tf.strings.length(given["shot"]), "shot_bytes": given["shot"]}

    def _work(self, given):
        """Takes about 10 ms for each of the times."""

        def step(place, value):
            return place + 1, tf.math.tanh(tf.linalg.matmul(value, value))

        start = (tf.constant(0), tf.ones([400, 400]) * 0.01)
        _, value = tf.while_loop(lambda place, _: place < tf.reduce_max(given["times"]), step, start)
        return {"done": tf.zeros_like(given["times"], tf.float32) + value[0, 0]}


def write_small(folder: Path, factor: float = 3.0, warmup: int = 2) -> Path:
    """Writes the model, with some warmup requests."""
    model = Small(factor)
    signatures = {"serving_default": model.scale, "scale": model.scale, "double": model.double, "look": model.look}
    tf.saved_model.save(model, str(folder), signatures=signatures | {"work": model.work})
    if warmup:
        (folder / "assets.extra").mkdir()
        with tf.io.TFRecordWriter(str(folder / "assets.extra" / "tf_serving_warmup_requests")) as writer:
            for _ in range(warmup):
                request = predict_request("any", "scale", x=np.ones([1, 2], np.float32))
                log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
                writer.write(log.SerializeToString())
    return folder


def predict_request(model: str, signature: str, **inputs) -> predict_pb2.PredictRequest:
    """A request as gRPC clients send it."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return request
