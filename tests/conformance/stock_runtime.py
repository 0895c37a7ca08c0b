"""Loads exported models as TensorFlow Serving does and runs their signatures; imports nothing of this project.

    python stock_runtime.py REQUESTS ANSWERS

REQUESTS is a pickle of (folder, [(signature, inputs)], rewritten); inputs are arrays by name, and `rewritten` says
whether TensorFlow rewrites the graph first, as a server's does, which takes as long as all else together. Inputs that a
request leaves out are taken from the SignatureDef's defaults, and a request that lacks any other is an error, as it is
for a server. ANSWERS becomes a pickle of lists of outputs by name, in the same order.
"""

from __future__ import annotations

import os
import pickle
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import tensorflow as tf  # noqa: E402
import tensorflow_text  # noqa: E402, F401  (stock servers link its ops)


def answers(folder: str, requests: list, rewritten: bool) -> list:
    """The outputs of some requests to one model."""
    config = tf.compat.v1.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = not rewritten
    with tf.Graph().as_default(), tf.compat.v1.Session(config=config) as session:
        signatures = tf.compat.v1.saved_model.load(session, ["serve"], folder).signature_def
        return [_run(session, signatures[signature], inputs) for signature, inputs in requests]


def _run(session, signature, inputs: dict) -> dict:
    missing = set(signature.inputs) - set(inputs) - set(signature.defaults)
    unknown = set(inputs) - set(signature.inputs)
    if missing or unknown:
        raise ValueError(f"missing but required: {sorted(missing)}; unknown: {sorted(unknown)}")
    values = {name: tf.make_ndarray(value) for name, value in signature.defaults.items()} | inputs
    feed = {signature.inputs[name].name: value for name, value in values.items()}
    return session.run({name: info.name for name, info in signature.outputs.items()}, feed)


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as file:
        found = [answers(*question) for question in pickle.load(file)]
    foreign = {"tfmmrec", "tf_keras", "tensorflow_recommenders", "tensorflow_hub"} & set(sys.modules)
    assert not foreign, f"the stock runtime imported {foreign}"
    with open(sys.argv[2], "wb") as file:
        pickle.dump(found, file)
