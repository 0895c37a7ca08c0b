from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.tpu import tpu_embedding_v1
from tensorflow_recommenders.layers.embedding import tpu_embedding_layer

from tests.conformance.models import SAMPLED, ModelCase, ready
from tests.conformance.serving import PythonModel, ask_stock_runtime
from tests.serving.catalogue import songs
from tfmmrec.encoders import IdentifierEncoder, TpuIdentifier
from tfmmrec.encoders.tpu_identifier import check_tpu_identifiers
from tfmmrec.run_evaluation import evaluate_run
from tfmmrec.runs import load_run
from tfmmrec.serving import export_run
from tfmmrec.static_shapes import dynamic_operations, traced_step
from tfmmrec.training import train
from tfmmrec.types import UsageError

IDS = ["a", "b", "c", "d"]


def encode(encoder, ids, **options):
    return encoder(encoder.preprocess(tf.convert_to_tensor(ids)), **options)


def test_vectors_are_rows_of_a_trainable_table_and_unknown_ids_have_no_signal():
    encoder = TpuIdentifier(IDS, 3)
    table = np.arange(12, dtype=np.float32).reshape(4, 3)
    encoder.embeddings.assign(table)
    found = encode(encoder, ["c", "x", "a", ""])
    np.testing.assert_array_equal(found["vector"], [table[2], np.zeros(3), table[0], np.zeros(3)])
    assert found["present"].numpy().tolist() == [True, False, True, False]
    (variable,) = encoder.trainable_variables
    assert variable is encoder.embeddings and isinstance(encoder.layer, tpu_embedding_layer.TPUEmbedding)
    assert [weight.shape for weight in encoder.layer.weights] == [[4, 3]]  # and no slots of an optimizer of its own
    assert not encode(TpuIdentifier([], 2), ["a", ""])["present"].numpy().any()


@pytest.mark.parametrize("optimizer", [tf.keras.optimizers.SGD, tf.keras.optimizers.Adam])
def test_a_table_s_encoder_begins_with_the_same_rows_and_takes_the_same_steps(optimizer):
    tables = []
    for made in (IdentifierEncoder, TpuIdentifier):
        tf.keras.utils.set_random_seed(3)
        encoder, rule = made(IDS, 3), optimizer(0.1)
        tables.append([encoder.embeddings.numpy()])
        for ids in (["a", "c", "a", "x"], ["b", "c", "x", "x"]):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(encode(encoder, ids, training=True)["vector"] ** 2)
            (gradient,) = tape.gradient(loss, encoder.trainable_variables)
            assert isinstance(gradient, tf.IndexedSlices)
            rule.apply_gradients([(gradient, encoder.embeddings)])
            tables[-1].append(encoder.embeddings.numpy())
    np.testing.assert_allclose(tables[1], tables[0], rtol=1e-6)
    assert np.abs(tables[0][2] - tables[0][0]).max(axis=1).tolist()[3] == 0.0  # d was in no batch
    if optimizer is tf.keras.optimizers.SGD:  # the gradient of r² is 2r, of a row that came twice 4r
        np.testing.assert_allclose(tables[1][1][[0, 2]], tables[1][0][[0, 2]] * [[0.6], [0.8]], rtol=1e-5)


def test_a_checkpoint_brings_the_rows_back_and_is_one_of_a_table(tmp_path):
    first, again, table = TpuIdentifier(IDS, 3), TpuIdentifier(IDS, 3), IdentifierEncoder(IDS, 3)
    path = tf.train.Checkpoint(encoder=first).write(str(tmp_path / "checkpoint"))
    tf.train.Checkpoint(encoder=again).read(path).assert_consumed()
    tf.train.Checkpoint(encoder=table).read(path).assert_existing_objects_matched()
    for encoder in (again, table):
        np.testing.assert_array_equal(encoder.embeddings, first.embeddings)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_a_training_step_is_a_table_s_and_has_static_shapes(policy):
    small = {"content": False, "query_features": False, "history": False, "query_id": True, "normalize": True}
    weights, losses = [], []
    tf.keras.mixed_precision.set_global_policy(policy)
    try:
        for identifier in ("table", "tpu_embedding"):
            made = ready(ModelCase(identifier, "two_tower", {**small, **SAMPLED, "identifier": identifier}))
            losses.append(made.fit(3))
            weights.append(made.model.get_weights())
        assert dynamic_operations(traced_step(made.model, made.stream.batch(0)).graph) == []
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    for found, expected in zip(*weights, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_two_replicas_share_the_table(replicas):
    with replicas(2).scope():
        encoder = TpuIdentifier(IDS, 3)
    both = tf.function(lambda: encode(encoder, ["d", "x"])["vector"])
    for vectors in encoder.embeddings.distribute_strategy.run(both).values:
        np.testing.assert_array_equal(vectors, [encoder.embeddings.numpy()[3], np.zeros(3)])


def test_a_stock_runtime_gives_the_same_vectors(tmp_path):
    module, asked = tf.Module(), np.array([b"d", b"new", b"a", b""], object)
    module.encoder = encoder = TpuIdentifier(IDS, 3)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "ids")])
    def vectors(ids):
        return {"vector": encode(encoder, ids)["vector"]}

    tf.saved_model.save(module, str(tmp_path / "model"), {"vectors": vectors})
    ((found,),) = ask_stock_runtime([(tmp_path / "model", [("vectors", {"ids": asked})])], tmp_path)
    table = encoder.embeddings.numpy()
    np.testing.assert_array_equal(found["vector"], [table[3], np.zeros(3), table[0], np.zeros(3)])


def pretend(monkeypatch, strategy):
    """Code that asks is told that it runs under a strategy, of which there is no more than its type."""
    monkeypatch.setattr(tf.distribute, "get_strategy", lambda: strategy)
    monkeypatch.setattr(tpu_embedding_layer.tf.distribute, "get_strategy", lambda: strategy)
    monkeypatch.setattr(tpu_embedding_v1.distribute_lib, "get_strategy", lambda: strategy)


def test_for_a_tpu_the_layer_is_one_without_accelerator_and_can_be_called_outside(monkeypatch):
    feature = tf.tpu.experimental.HardwareFeature.EmbeddingFeature.V1  # a TPU that has one
    strategy = object.__new__(tf.distribute.TPUStrategy)
    strategy._extended = SimpleNamespace(tpu_hardware_feature=SimpleNamespace(embedding_feature=feature))
    with monkeypatch.context() as patched:
        pretend(patched, strategy)
        encoder = TpuIdentifier(IDS, 3)
    assert isinstance(encoder.layer._tpu_embedding, tf.tpu.experimental.embedding.TPUEmbeddingV0)
    assert [weight.shape for weight in encoder.trainable_weights] == [[4, 3]]  # the model's optimizer trains it
    vectors = encode(encoder, ["b", "x"])["vector"]
    np.testing.assert_array_equal(vectors, [encoder.embeddings.numpy()[1], np.zeros(3)])


@pytest.mark.parametrize("name", ["multiworker", "parameter_server"])
def test_strategies_that_cannot_have_it_are_told(monkeypatch, name):
    kinds = {"multiworker": "MultiWorkerMirroredStrategy", "parameter_server": "ParameterServerStrategy"}
    strategy = object.__new__(getattr(tf.distribute, kinds[name]))
    with monkeypatch.context() as patched:
        patched.setattr(tf.distribute, "get_strategy", lambda: strategy)
        told = f"identifier=tpu_embedding cannot be made under strategy {name}: take "
        with pytest.raises(UsageError, match=told):
            TpuIdentifier(IDS, 3)
    module = tf.Module()
    module.encoder = IdentifierEncoder(IDS, 3)
    check_tpu_identifiers(module, strategy)
    module.encoder = TpuIdentifier(IDS, 3)
    check_tpu_identifiers(module, tf.distribute.get_strategy())
    with pytest.raises(UsageError, match=told):
        check_tpu_identifiers(module, strategy)


@pytest.mark.slow
def test_a_model_of_the_zoo_trains_evaluates_and_is_served_with_it(tmp_path):
    dataset, found = songs(query_features=False), {}
    settings, options = {"dim": 8, "content": False}, {"epochs": 2, "batch_size": 8, "seed": 3}
    for identifier in ("table", "tpu_embedding"):
        chosen = settings | {"identifier": identifier}
        train(dataset, tmp_path / identifier, "two_tower", chosen, options, progress=False)
        done = evaluate_run(tmp_path / identifier, dataset=dataset, baselines=False, report=False)
        found[identifier] = done.metrics["warm"]
    assert found["tpu_embedding"] == pytest.approx(found["table"], rel=1e-4)
    run = load_run(tmp_path / "tpu_embedding")
    assert {type(tower.encoders["id"]) for tower in (run.model.candidate_tower, run.model.history_tower)} == {
        TpuIdentifier
    }
    inputs = {"candidate_id": np.array([*dataset.candidates.ids.to_pylist()[:5], "new"], object)}
    folder = export_run(run, tmp_path / "export", dataset, evaluation=False)
    ((answer,),) = ask_stock_runtime([(folder, [("embed_candidate", inputs)])], tmp_path)
    expected = PythonModel(run, dataset).candidate(inputs, {})
    np.testing.assert_allclose(answer["vectors"], expected, rtol=1e-5, atol=1e-6)
    assert answer["history_vectors"].shape == answer["vectors"].shape  # of another table of this kind
    assert not np.allclose(answer["history_vectors"], expected)
