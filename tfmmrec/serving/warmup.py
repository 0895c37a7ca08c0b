"""Requests that a server runs before it takes any: real rows through every signature."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from tfmmrec.data.dataset import Dataset
from tfmmrec.data.histories import full_histories
from tfmmrec.embedding import raw_batch
from tfmmrec.schema import Feature
from tfmmrec.serving.inputs import Input
from tfmmrec.serving.served_signatures import ServedSignatures

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
_BATCH_SIZES = (1, 1, 2, 8)


def write_warmup(folder: Path, served: ServedSignatures, dataset: Dataset, seed: int = 0) -> int:
    """Writes four requests for each signature, of 1, 1, 2 and 8 rows drawn from a dataset.

    Args:
        folder: the exported model's.
        served: what was saved.
        dataset: where the rows come from.
        seed: of the draw.

    Returns:
        How many requests there are.
    """
    (folder / WARMUP_FILE).parent.mkdir(exist_ok=True)
    count = 0
    with tf.io.TFRecordWriter(str(folder / WARMUP_FILE)) as writer:
        for signature, inputs in warmup_requests(served, dataset, seed):
            request = predict_pb2.PredictRequest()
            request.model_spec.name = "model"  # a server does not look at it here
            request.model_spec.signature_name = signature
            for key, value in inputs.items():
                request.inputs[key].CopyFrom(value)
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString())
            count += 1
    return count


def warmup_requests(
    served: ServedSignatures, dataset: Dataset, seed: int = 0
) -> Iterator[tuple[str, dict[str, tf.compat.v1.TensorProto]]]:
    """Signature names and all of their inputs."""
    random = np.random.default_rng(seed)
    for signature in served.signatures_to_save:
        inputs = served.inputs(signature)
        for size in _BATCH_SIZES:
            rows = {
                "query": random.integers(0, len(dataset.queries), size),
                "candidate": random.integers(0, len(dataset.candidates), size),
            }
            if signature == "recommend_examples":
                wanted = served.inputs("recommend")
                values = request_values(wanted, dataset, rows)
                examples = [as_example({key: value[i] for key, value in values.items()}) for i in range(size)]
                values = {"examples": np.array(examples, object)}
            else:
                values = request_values(inputs, dataset, rows)
            yield signature, {key: tf.make_tensor_proto(value, inputs[key].spec.dtype) for key, value in values.items()}


def request_values(
    inputs: Mapping[str, Input], dataset: Dataset, rows: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Every input of a signature, from rows of a dataset; what it does not hold has its default.

    Args:
        inputs: of the signature.
        dataset: the rows' values, and the histories in train.
        rows: "query" and "candidate" -> int `[batch]`.

    Returns:
        Input name -> array `[batch, ...]`.
    """
    values = {}
    for key, made in inputs.items():
        side, _, feature = key.partition("_")
        if key == "history":
            values[key] = histories(dataset, rows["query"], made.spec.shape[1])
        elif side in rows and feature:
            entities = dataset.queries if side == "query" else dataset.candidates
            schema: Mapping[str, Feature] = getattr(
                dataset.schema, "queries" if side == "query" else "candidates"
            ).features
            is_list = made.spec.dtype == tf.string and made.spec.shape.rank == 2
            raw = raw_batch(entities, feature, schema.get(feature), rows[side], is_list)
            values[key] = np.nan_to_num(raw) if made.what == "vector" else raw
        else:
            values[key] = np.repeat(made.default, len(rows["query"]), axis=0)
    return values


def histories(dataset: Dataset, rows: np.ndarray, length: int, seed: int = 0) -> np.ndarray:
    """The histories of some queries as ids, string `[batch, length]` padded with ""."""
    ids = np.array([*dataset.candidates.ids.to_pylist(), ""], object)
    return ids[full_histories(dataset.train, rows, length, seed)]


def as_example(values: Mapping[str, np.ndarray]) -> bytes:
    """One row's inputs as a serialized tf.Example; padding is left out."""
    features = {}
    for key, value in values.items():
        flat = np.atleast_1d(value)
        if flat.dtype == object or flat.dtype.kind in "SU":
            texts = [text if isinstance(text, bytes) else text.encode() for text in flat.tolist()]
            texts = [text for text in texts if text] if np.ndim(value) else texts
            features[key] = tf.train.Feature(bytes_list=tf.train.BytesList(value=texts))
        elif flat.dtype.kind in "iu":
            features[key] = tf.train.Feature(int64_list=tf.train.Int64List(value=flat))
        else:
            features[key] = tf.train.Feature(float_list=tf.train.FloatList(value=flat))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
