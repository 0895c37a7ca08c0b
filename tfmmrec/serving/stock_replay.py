"""A script: loads a model as TensorFlow Serving does and answers its warmup requests; imports nothing of this package.

    python -P stock_replay.py FOLDER ANSWERS

ANSWERS becomes a pickle of one mapping (output -> array) for each record, in their order. Any failure is an exit code
that is not 0, with the error on standard error.
"""

from __future__ import annotations

import json
import os
import pickle
import sys

ABOUT = os.path.join("assets.extra", "model.json")
WARMUP = os.path.join("assets.extra", "tf_serving_warmup_requests")


def answers(folder: str) -> list:
    """What the model answers to every record, through a session, as a server's."""
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  (stock servers link its ops)
    from tensorflow_serving.apis import prediction_log_pb2

    with open(os.path.join(folder, ABOUT), encoding="utf-8") as file:
        if json.load(file).get("index", {}).get("kind") == "scann":
            import scann.scann_ops.py.scann_ops  # noqa: F401  (for servers that are built with its ops)

    found = []
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        signatures = tf.compat.v1.saved_model.load(session, ["serve"], folder).signature_def
        for record in tf.compat.v1.io.tf_record_iterator(os.path.join(folder, WARMUP)):
            request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
            signature = signatures[request.model_spec.signature_name]
            values = dict(signature.defaults) | dict(request.inputs)
            feed = {signature.inputs[name].name: tf.make_ndarray(value) for name, value in values.items()}
            found.append(session.run({name: info.name for name, info in signature.outputs.items()}, feed))
    return found


if __name__ == "__main__":
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    made = answers(sys.argv[1])
    foreign = {"tfmmrec", "tf_keras", "tensorflow_recommenders", "tensorflow_hub"} & set(sys.modules)
    if foreign:
        raise SystemExit(f"the model was to be loaded without this package, but {sorted(foreign)} were imported")
    with open(sys.argv[2], "wb") as file:
        pickle.dump(made, file)
