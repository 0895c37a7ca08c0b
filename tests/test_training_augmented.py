"""Pictures that are changed at random in training, and nowhere else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tests.conformance.encoders import picture
from tfmmrec.collaborative import fit_encoder
from tfmmrec.data.dataset import Dataset, dataset_from_frames
from tfmmrec.encoders import ImageEncoder
from tfmmrec.runs import load_run
from tfmmrec.serving.export import export_run
from tfmmrec.training import train


def photos(num_candidates: int = 24, num_queries: int = 16) -> Dataset:
    random = np.random.default_rng(4)
    pictures = [picture(*random.integers(0, 255, 2)) for _ in range(num_candidates)]
    candidates = pd.DataFrame({"id": [f"c{i}" for i in range(num_candidates)], "photo": [b"", *pictures[1:]]})
    pairs = [(q, c) for q in range(num_queries) for c in random.choice(num_candidates, 5, replace=False)]
    log = pd.DataFrame({"query": [f"q{q}" for q, _ in pairs], "candidate": [f"c{c}" for _, c in pairs]})
    schema = {
        "interactions": {"query": "query", "candidate": "candidate", "split": {"method": "leave_one_out"}},
        "candidates": {"id": "id", "features": {"photo": {"kind": "image"}}},
    }
    return dataset_from_frames(schema, log, candidates)


@pytest.fixture(scope="module")
def learn(tmp_path_factory):
    def learn(manner: str):
        own = {"dim": 6, "feature_dim": 5, "image_size": 16, "image_mode": "finetuned", "image_augmentation": manner}
        options = {"epochs": 2, "batch_size": 16, "refit": False, "strategy": "cpu"}
        folder = tmp_path_factory.mktemp("runs") / manner
        return train(photos(), folder, "content_only", own, options, progress=False)

    return learn


@pytest.fixture(scope="module")
def run(learn):
    return learn("full")


def kernels(run) -> list[np.ndarray]:
    return [weight.numpy() for weight in run.model.candidate_tower.encoders["photo"].trainable_variables]


@pytest.mark.slow
def test_a_training_is_another_one_with_it_and_the_same_one_each_time(run, learn):
    assert any((one != other).any() for one, other in zip(kernels(run), kernels(learn("none")), strict=True))
    for one, other in zip(kernels(run), kernels(learn("full")), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    encoder = run.model.candidate_tower.encoders["photo"]
    assert encoder.augmentation.draws.count.numpy() > 0


@pytest.mark.slow
def test_evaluation_and_export_see_the_pictures_as_they_are(run, tmp_path):
    dataset = photos()
    expected = run.embedder(dataset).candidates()
    np.testing.assert_array_equal(load_run(run.path).embedder(dataset).candidates(), expected)
    export = tf.saved_model.load(str(export_run(run, tmp_path / "export", dataset)))
    raw = {
        "candidate_id": tf.constant(dataset.candidates.ids.to_pylist()),
        "candidate_photo": tf.constant([v or b"" for v in dataset.candidates.features["photo"].to_pylist()]),
    }
    for _ in range(2):
        served = export.signatures["embed_candidate"](**raw)["vectors"].numpy()
        np.testing.assert_allclose(served, expected, atol=1e-4)
    assert np.ptp(expected, axis=0).max() > 0.01


def test_a_network_that_is_cached_sees_them_in_its_own_training():
    random = np.random.default_rng(0)
    inputs = {"pixels": random.integers(0, 256, (48, 16, 16, 3)).astype(np.uint8), "has_pixels": np.ones(48, bool)}
    factors = random.normal(size=(48, 3)).astype(np.float32)
    none = np.zeros((48, 0), np.float32)

    def losses(manner):
        tf.keras.utils.set_random_seed(0)
        encoder = ImageEncoder(4, 16, 16, (4, 6), augmentation=manner)
        encoder.build()
        found = fit_encoder(encoder, inputs, inputs["has_pixels"], factors, none, num_steps=40, batch_size=32)
        vectors = [encoder(inputs, training=False)["vector"].numpy() for _ in range(2)]
        np.testing.assert_array_equal(*vectors)
        return np.mean(found[-10:])

    assert losses("crop") > losses("none") + 0.01  # it is harder to learn by heart
