"""The way through on whichever TensorFlow is installed: `make compat` runs this on 2.21."""

from __future__ import annotations

import importlib.metadata

import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.data.dataset import load_dataset
from tfmmrec.data.fashion import write_fashion
from tfmmrec.fusion.early import EarlyFusion
from tfmmrec.losses.full_softmax import full_softmax
from tfmmrec.run_evaluation import evaluate_run
from tfmmrec.serving.answers import answer
from tfmmrec.serving.export import export_run
from tfmmrec.serving.exported_model import load_exported
from tfmmrec.training import train
from tfmmrec.training_options import TrainingOptions


def test_keras_is_keras_2_of_the_same_release():
    assert importlib.metadata.version("tf-keras").rsplit(".", 1)[0] == tf.__version__.rsplit(".", 1)[0]
    assert tf.keras.layers.Layer.__module__.startswith("tf_keras.")


def test_the_libraries_beside_tensorflow_import():
    import tensorflow_hub
    import tensorflow_recommenders
    import tensorflow_text
    from tensorflow_serving.apis import predict_pb2

    assert issubclass(tensorflow_recommenders.Model, tf.keras.Model)
    assert issubclass(tensorflow_hub.KerasLayer, tf.keras.layers.Layer)
    assert tensorflow_text.__version__.startswith(tf.__version__.rsplit(".", 1)[0])
    assert predict_pb2.PredictRequest().ByteSize() == 0


def test_a_fusion_and_a_loss_train():
    fusion = EarlyFusion(dim=4)
    present = tf.constant([True, False, True])
    embedded = {
        "text": {"vector": tf.random.normal([3, 5], seed=1), "present": present},
        "image": {"vector": tf.random.normal([3, 6], seed=2), "present": ~present},
    }
    candidates = tf.random.normal([7, 4], seed=3)
    with tf.GradientTape() as tape:
        logits = tf.matmul(fusion(embedded, training=True), candidates, transpose_b=True)
        losses = full_softmax(logits, tf.constant([0, 3, 6]), tf.fill([7], True))
    gradients = tape.gradient(losses, fusion.trainable_variables)
    assert losses.shape == [3] and np.isfinite(losses).all()
    assert gradients and all(gradient is not None for gradient in gradients)


@pytest.mark.slow  # of the TensorFlow that all tests run on, tests/cli/test_demo.py goes this way
def test_from_a_catalogue_to_an_answer(tmp_path):
    dataset = load_dataset(write_fashion(tmp_path / "fashion", 0, 120, 60, 600))
    options = TrainingOptions(epochs=2, batch_size=32, validate_every=1, image_steps=2)
    run = train(dataset, tmp_path / "run", "two_tower", {"dim": 8}, options, progress=False)
    metrics = evaluate_run(run, ks=(20,), dataset=dataset).metrics
    assert 0.0 < metrics["all"]["recall@20"] <= 1.0 and (tmp_path / "run" / "report.html").exists()
    model = load_exported(export_run(run, dataset=dataset))
    known = answer(model, query_id=dataset.queries.ids[0].as_py(), k=5)
    assert known.source == "query" and len(known.candidates) == 5
    assert len(answer(model, text="linen for the beach", k=3).candidates) == 3
