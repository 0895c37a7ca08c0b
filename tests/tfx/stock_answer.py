"""A script: what a model answers to serialized tf.Examples, through the serving loader; imports nothing of ours.

    python -P stock_answer.py MODEL SIGNATURE < EXAMPLES

EXAMPLES is a JSON list of base64 texts; prints the outputs as JSON.
"""

import base64
import json
import sys

import tensorflow as tf
import tensorflow_text  # noqa: F401  (stock servers link its ops)

serialized = [base64.b64decode(text) for text in json.load(sys.stdin)]
with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    signature = tf.compat.v1.saved_model.load(session, ["serve"], sys.argv[1]).signature_def[sys.argv[2]]
    (only,) = signature.inputs.values()
    found = session.run({name: info.name for name, info in signature.outputs.items()}, {only.name: serialized})
foreign = {"tfmmrec", "tf_keras", "tensorflow_recommenders", "tensorflow_hub", "tfx"} & set(sys.modules)
if foreign:
    raise SystemExit(f"a server has none of {sorted(foreign)}, but they were imported")
print(json.dumps({name: value.astype(str).tolist() for name, value in found.items()}))
