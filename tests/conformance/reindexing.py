"""An exported model is given other candidates from raw content and saved again, in a process without this project."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np

from tfmmrec.data.dataset import Dataset
from tfmmrec.runs import Run
from tfmmrec.serving.index import filter_codes
from tfmmrec.serving.inputs import candidate_inputs
from tfmmrec.serving.warmup import request_values

# The procedure that ExactIndex documents, with vectors that the export itself makes of raw content.
REINDEX = """
import os, pickle, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf

model = tf.saved_model.load(sys.argv[1])
with open(sys.argv[2], "rb") as file:
    raw, popularity, codes, values = pickle.load(file)
made = model.embed_candidate(**{name: tf.constant(value) for name, value in raw.items()})
arrays = [raw["candidate_id"]]
if "vectors" in made:  # a ranking model alone has none
    arrays += [made["vectors"], popularity, codes, values]
more = [made[name] for name in ("history_vectors", "parts") if name in made]
model.index.replace(*map(tf.constant, arrays), *more)
signatures = {name: getattr(model, name) for name in model.signatures}
tf.saved_model.save(model, sys.argv[3], signatures=signatures)
assert not {"tfmmrec", "tf_keras", "tensorflow_recommenders"} & set(sys.modules)
"""


def reindex(old: Path, new: Path, run: Run, dataset: Dataset) -> None:
    """Saves the export `old` of a run as `new`, with the candidates of a dataset."""
    signature = json.loads((old / "assets.extra" / "signatures.json").read_text())["embed_candidate"]
    raw = _raw(dataset, run, signature["inputs"])
    codes, values = filter_codes(dataset.candidates, dataset.schema.candidates.features)
    arrays = new.with_suffix(".pickle")
    arrays.write_bytes(pickle.dumps((raw, dataset.train.counts().astype(np.float32), codes, np.array(values))))
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "TF_USE_LEGACY_KERAS")
    }
    command = [sys.executable, "-c", REINDEX, str(old), str(arrays), str(new)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=new.parent, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]


def _raw(dataset: Dataset, run: Run, inputs) -> dict[str, np.ndarray]:
    made = candidate_inputs(dataset.schema.candidates.features, run.statistics.candidates, run.model.candidate_tower)
    assert set(made) == set(inputs)
    rows = np.arange(len(dataset.candidates))
    return request_values(made, dataset, {"query": rows, "candidate": rows})
