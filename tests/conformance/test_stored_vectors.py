"""Stored vectors are the encoder's own: in training, in evaluation and in a served graph."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tests.conformance.encoders import ENCODERS, picture
from tests.conformance.parts import by_name
from tests.data.clips import animation, mjpeg
from tests.data.waves import tone
from tests.encoders.reusable import (
    write_clip_model,
    write_image_model,
    write_text_halves,
    write_waveform_model,
)
from tfmmrec.data.dataset import Dataset, dataset_from_frames
from tfmmrec.encoders import SavedModelEncoder
from tfmmrec.serving.export import export_run
from tfmmrec.stored_encoding import stored_table
from tfmmrec.training import train

PRETRAINED = [part for part in ENCODERS if part.name.startswith("saved model")]
TOLERANCE = {
    "float32": {"rtol": 0.0, "atol": 1e-4},
    # a rounding to 11 bits; below 2 ** -14, where float16 has no 11 bits left, it is of 2 ** -25
    "float16": {"rtol": 2.0**-11, "atol": 2.0**-25 + 1e-6},
}
SERVED_TOLERANCE = {"float32": 1e-4, "float16": 2e-3}
"""Of vectors whose numbers are about 1. A sum over modalities adds up the roundings of each."""


def cached(part, folder) -> SavedModelEncoder:
    """A row's encoder, whatever its mode is there."""
    made = part.make(folder)
    config = made.get_config()
    own = {"pooling": "mean"} if "pooling" in config else {}  # other poolings of frames learn in every step
    return type(made).from_config(config | own | {"mode": "cached"})


@pytest.mark.parametrize("part", ENCODERS, ids=by_name)
def test_every_pretrained_encoder_is_held_to_this(part, folder):
    assert (part in PRETRAINED) == (part.make(folder).handle is not None)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("part", PRETRAINED, ids=by_name)
def test_the_store_has_what_the_encoder_says(part, dtype, folder, tmp_path):
    encoder, rows = cached(part, folder), np.array(part.rows, object)
    live = encoder(encoder.preprocess(tf.constant(part.rows)), training=False)
    assert live["vector"].numpy().any(axis=1).tolist() == live["present"].numpy().tolist()
    for _ in range(2):  # encoded, then read
        stored = stored_table(encoder, [rows[:2], rows[2:]], len(rows), tmp_path, dtype)
        np.testing.assert_array_equal(stored["present"], live["present"])
        np.testing.assert_allclose(stored["vector"], live["vector"], **TOLERANCE[dtype])


WRITERS = {"title": write_text_halves, "photo": write_image_model, "sound": write_waveform_model}
WRITERS |= {"clip": write_clip_model, "cover": write_image_model}
"""Feature -> what writes its pretrained encoder."""


def catalogue(num_candidates: int = 16, num_queries: int = 12) -> Dataset:
    """Contents of every kind that a pretrained encoder reads, each missing somewhere."""
    random = np.random.default_rng(2)
    columns = {
        "title": [f"number {i}" for i in range(num_candidates)],
        "photo": [picture(*random.integers(0, 255, 2)) for _ in range(num_candidates)],
        "sound": [
            tone(random.uniform(200, 2000), 8_000, 0.5 + 0.1 * i, loudness=0.3 + 0.04 * i)
            for i in range(num_candidates)
        ],
        "clip": [mjpeg(random.integers(0, 255, 5)) for _ in range(num_candidates)],
        "cover": [animation(random.integers(0, 255, 2)) for _ in range(num_candidates)],
    }
    for place, column in enumerate(columns.values()):
        column[place] = type(column[place])()
    candidates = pd.DataFrame({"id": [f"c{i}" for i in range(num_candidates)], **columns})
    pairs = [(q, c) for q in range(num_queries) for c in random.choice(num_candidates - 3, 5, replace=False)]
    log = pd.DataFrame({"query": [f"q{q}" for q, _ in pairs], "candidate": [f"c{c}" for _, c in pairs]})
    kinds = {"title": "text", "photo": "image", "sound": "audio", "clip": "video", "cover": "video"}
    schema = {
        "interactions": {"path": "-", "query": "query", "candidate": "candidate", "split": {"method": "leave_one_out"}},
        "candidates": {"path": "-", "id": "id", "features": {name: {"kind": kinds[name]} for name in columns}},
    }
    return dataset_from_frames(schema, log, candidates)


@dataclass
class Served:
    """A model that was trained on stored vectors, exported, and asked in a graph of its own.

    Attributes:
        stored: candidates' vectors by what the store has, `[num_candidates, dim]`.
        module: the loaded export.
        raw: the signature's inputs of all candidates.
    """

    stored: np.ndarray
    module: object
    raw: dict[str, tf.Tensor]

    def ask(self, **others) -> np.ndarray:
        """The vectors of raw contents, `[num_candidates, dim]`."""
        return self.module.signatures["embed_candidate"](**(self.raw | others))["vectors"].numpy()


@pytest.fixture(scope="module", params=["float32", pytest.param("float16", marks=pytest.mark.slow)])
def served(request, tmp_path_factory) -> tuple[Served, float]:
    """Neither the encoders' folders nor the store are there any more when the export is loaded."""
    folder, dataset = tmp_path_factory.mktemp(request.param), catalogue()
    hyperparameters = {
        "pretrained": {name: write(folder / "encoders" / name) for name, write in WRITERS.items()},
        "dim": 8,
        "feature_dim": 6,
        "audio_seconds": 2.0,
        "video_frames": 4,
        "content_scale": None,
        "pretrained_centered": True,
    }
    options = {"epochs": 2, "batch_size": 16, "learning_rate": 0.05, "store_dtype": request.param, "refit": False}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFMMREC_STORE", str(folder / "store"))
        run = train(dataset, folder / "run", "content_only", hyperparameters, options, progress=False)
        stored = run.embedder(dataset).candidates()
        assert len(list((folder / "store").glob(f"*-{request.param}"))) == len(WRITERS)
        target = export_run(run, folder / "export", dataset)
    shutil.rmtree(folder / "encoders")
    shutil.rmtree(folder / "store")
    features = dataset.candidates.features
    contents = {name: [value or b"" for value in features[name].to_pylist()] for name in WRITERS}
    raw = {f"candidate_{name}": tf.constant(values) for name, values in contents.items()}
    raw["candidate_id"] = tf.constant(dataset.candidates.ids.to_pylist())
    return Served(stored, tf.saved_model.load(str(target)), raw), SERVED_TOLERANCE[request.param]


def test_an_export_gives_raw_contents_the_vectors_that_were_trained_on(served):
    model, tolerance = served
    assert 0.1 < np.abs(model.stored).max() < 10.0
    np.testing.assert_allclose(model.ask(), model.stored, rtol=0.0, atol=tolerance)


@pytest.mark.parametrize("feature", WRITERS)
def test_each_modality_is_in_it(served, feature):
    model, tolerance = served
    without = model.ask(**{f"candidate_{feature}": tf.fill([len(model.stored)], "")})
    moved = np.abs(without - model.stored).max(axis=1) > 10 * tolerance
    absent = model.raw[f"candidate_{feature}"].numpy() == b""
    np.testing.assert_array_equal(moved, ~absent)
