import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.encoders.reusable import (
    NUM_BUCKETS,
    text_table,
    write_image_halves,
    write_image_model,
    write_text_halves,
    write_text_model,
    write_unusable_model,
)
from tfmmrec.encoders import SavedModelEncoder
from tfmmrec.fusion import EarlyFusion
from tfmmrec.towers import Tower
from tfmmrec.types import DataError, UsageError

TEXTS = ["red", "blue", "", "  ", "a long one"]


def text_rows(texts):
    return tf.strings.to_hash_bucket_fast(tf.constant(texts), NUM_BUCKETS).numpy()


def png(colour):
    file = io.BytesIO()
    Image.fromarray(np.full((9, 7, 3), colour, np.uint8)).save(file, "PNG")
    return file.getvalue()


def encode(encoder, raw, **options):
    return encoder(encoder.preprocess(tf.constant(raw)), **options)


@pytest.mark.parametrize("write", [write_text_model, write_text_halves])
@pytest.mark.parametrize("mode", ["frozen", "cached", "finetuned"])
def test_texts(tmp_path, mode, write):
    encoder = SavedModelEncoder(write(tmp_path / "m"), "text", mode=mode)
    found = encode(encoder, TEXTS)
    given = np.array([True, True, False, False, True])
    np.testing.assert_array_equal(found["present"], given)
    np.testing.assert_allclose(found["vector"], text_table(4)[text_rows(TEXTS)] * given[:, None])


@pytest.mark.parametrize("key", ["default", "pooled_output"])
def test_text_models_that_answer_with_a_dict(tmp_path, key):
    encoder = SavedModelEncoder(write_text_model(tmp_path / "m", key=key), "text")
    np.testing.assert_allclose(encode(encoder, ["red"])["vector"], text_table(4)[text_rows(["red"])])


def test_pictures_come_as_floats_from_zero_to_one(tmp_path):
    encoder = SavedModelEncoder(write_image_model(tmp_path / "m"), "image", height=8, width=6)
    raw = [png((255, 0, 51)), b""]
    assert encoder.preprocess(tf.constant(raw))["pixels"].shape == [2, 8, 6, 3]
    kernel, bias = (variable.numpy() for variable in encoder.module.variables)
    found = encode(encoder, raw)
    np.testing.assert_allclose(found["vector"], [np.array([1.0, 0.0, 0.2]) @ kernel + bias, np.zeros(3)], rtol=1e-5)
    assert found["present"].numpy().tolist() == [True, False]


def test_the_halves_of_a_model_are_used_where_it_has_them(tmp_path):
    texts = SavedModelEncoder(write_text_halves(tmp_path / "texts"), "text")
    tensors = texts.preprocess(tf.constant(TEXTS))
    assert {name: tensor.dtype for name, tensor in tensors.items()} == {"rows": tf.int32, "given": tf.bool}
    np.testing.assert_array_equal(tensors["rows"], text_rows(TEXTS))
    pictures = SavedModelEncoder(write_image_halves(tmp_path / "pictures", size=5), "image")
    raw = [png((255, 0, 51)), b""]
    assert pictures.preprocess(tf.constant(raw))["pixels"].shape == [2, 5, 5, 3], "of the size that the model says"
    expected = [np.array([1.0, 0.0, 0.2]) @ pictures.module.variables[0].numpy(), np.zeros(3)]
    np.testing.assert_allclose(encode(pictures, raw)["vector"], expected, rtol=1e-5)


def test_a_model_that_reads_the_other_kind_is_refused(tmp_path):
    with pytest.raises(DataError, match="texts: reads texts, but is given a feature of kind image"):
        SavedModelEncoder(write_text_halves(tmp_path / "texts"), "image")
    with pytest.raises(DataError, match="pictures: reads pictures, but is given a feature of kind text"):
        SavedModelEncoder(write_image_halves(tmp_path / "pictures"), "text")


def step(tower, texts):
    """One step towards vectors of zeros; every variable that there is may be moved by it."""
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tower(tower.preprocess({"text": tf.constant(texts)}), training=True) ** 2)
    tf.keras.optimizers.SGD(0.1).minimize(loss, tower.trainable_variables, tape)


@pytest.mark.parametrize("write", [write_text_model, write_text_halves])
@pytest.mark.parametrize("mode", ["frozen", "cached", "finetuned"])
def test_only_finetuning_moves_the_weights(tmp_path, mode, write):
    encoder = SavedModelEncoder(write(tmp_path / "m"), "text", mode=mode)
    tower = Tower({"text": encoder}, EarlyFusion(3))
    assert tower.cached_features == (("text",) if mode == "cached" else ())
    tower.build_from_raw()
    num_trained = len(tower.fusion.trainable_variables) + (mode == "finetuned")
    assert len(tower.trainable_variables) == num_trained
    before = tower.fusion.get_weights()[0].copy()
    step(tower, TEXTS)
    table = encoder.module.variables[0].numpy()
    moved = np.flatnonzero((table != text_table(4)).any(axis=1))
    # an empty text gives its row of the table no gradient
    expected = sorted(set(text_rows(["red", "blue", "a long one"]))) if mode == "finetuned" else []
    assert moved.tolist() == expected
    assert (tower.fusion.get_weights()[0] != before).any()


@pytest.mark.parametrize("write", [write_text_model, write_text_halves])
def test_finetuned_weights_are_saved_with_the_model(tmp_path, write):
    handle = write(tmp_path / "m")
    encoder = SavedModelEncoder(handle, "text", mode="finetuned")
    tower = Tower({"text": encoder}, EarlyFusion(3))
    tower.build_from_raw()
    step(tower, TEXTS)
    module = tf.Module()
    module.tower = tower
    module.embed = tf.function(
        lambda text: tower(tower.preprocess({"text": text})), input_signature=[tf.TensorSpec([None], tf.string)]
    )
    expected = module.embed(tf.constant(TEXTS)).numpy()
    tf.saved_model.save(module, str(tmp_path / "whole"))
    loaded = tf.saved_model.load(str(tmp_path / "whole"))
    np.testing.assert_allclose(loaded.embed(tf.constant(TEXTS)), expected, rtol=1e-5)
    # and with a checkpoint, over the weights that came with the SavedModel
    tf.train.Checkpoint(encoder=encoder).write(str(tmp_path / "checkpoint"))
    other = SavedModelEncoder(handle, "text", mode="finetuned")
    tf.train.Checkpoint(encoder=other).read(str(tmp_path / "checkpoint")).assert_existing_objects_matched()
    np.testing.assert_array_equal(other.module.variables[0], encoder.module.variables[0])


def test_what_cannot_be_loaded_is_refused(tmp_path):
    with pytest.raises(DataError, match="nowhere: expected a TF-Hub handle or a directory with saved_model.pb"):
        SavedModelEncoder(str(tmp_path / "nowhere"), "text")
    with pytest.raises(DataError, match="not a reusable TF2 SavedModel .an object with __call__"):
        SavedModelEncoder(write_unusable_model(tmp_path / "served"), "text")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "saved_model.pb").write_bytes(b"\xff nothing")
    with pytest.raises(DataError, match="not a reusable TF2 SavedModel"):
        SavedModelEncoder(str(tmp_path / "broken"), "text")


def test_what_has_nothing_to_train_cannot_be_finetuned(tmp_path):
    handle = write_text_model(tmp_path / "m", trainable=False)
    with pytest.raises(DataError, match="has no trainable_variables, so it cannot be finetuned; use mode='cached'"):
        SavedModelEncoder(handle, "text", mode="finetuned")
    assert not SavedModelEncoder(handle, "text", mode="frozen").trainable_variables


def test_arguments_that_are_none_are_refused(tmp_path):
    handle = write_text_model(tmp_path / "m")
    with pytest.raises(UsageError, match=r"mode \(pretrained_mode\) must be frozen, cached or finetuned, got 'warm'"):
        SavedModelEncoder(handle, "text", mode="warm")
    with pytest.raises(UsageError, match="input_kind must be text or image, got 'audio'"):
        SavedModelEncoder(handle, "audio")


@pytest.mark.parametrize("key", [None, "default", "halves"])
@pytest.mark.parametrize("num_replicas", [None, 2])
def test_it_runs_inside_of_replicas_and_outside_of_them(key, num_replicas, tmp_path, replicas):
    """A training's callbacks, such as its validation, run under the strategy but in none of its replicas."""
    handle = write_text_halves(tmp_path / "m") if key == "halves" else write_text_model(tmp_path / "m", key=key)
    strategy = replicas(num_replicas) if num_replicas else tf.distribute.OneDeviceStrategy("/cpu:0")
    texts, expected = tf.constant(["red", "blue"]), text_table(4)[text_rows(["red", "blue"])]
    with strategy.scope():
        encoder = SavedModelEncoder(handle, "text", mode="finetuned")

        def encoded():
            return encoder(encoder.preprocess(texts))["vector"]

        np.testing.assert_array_equal(encoded(), expected)
        np.testing.assert_array_equal(tf.function(encoded)(), expected)
    for found in strategy.experimental_local_results(tf.function(lambda: strategy.run(encoded))()):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(encoded(), expected)


def stripes(width=8):
    """Left half white, right half black: a flip exchanges them, and so no mean colour changes."""
    pixels = np.zeros((8, width, 3), np.uint8)
    pixels[:, : width // 2] = 255
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("write", [write_image_model, write_image_halves])
def test_pictures_are_changed_in_the_steps_that_finetune_alone(tmp_path, write):
    options = {"height": 8, "width": 8, "mode": "finetuned"}
    handle = write(tmp_path / "m")
    plain = SavedModelEncoder(handle, "image", **options)
    raw = [stripes()] * 6 + [b""]
    expected = encode(plain, raw, training=True)["vector"].numpy()
    for manner, changes in (("flip", False), ("crop", True), ("full", True)):
        encoder = SavedModelEncoder(handle, "image", augmentation=manner, **options)
        np.testing.assert_array_equal(encode(encoder, raw)["vector"], expected)
        found = encode(encoder, raw, training=True)["vector"].numpy()
        assert (np.abs(found[:6] - expected[:6]).max() > 0.01) == changes, manner
        assert not found[6].any()
        assert SavedModelEncoder.from_config(encoder.get_config()).get_config() == encoder.get_config()


def write_float_halves(folder):
    """Halves whose pixels are normalised before `encode` gets them, as no export of ours does."""
    module, halves = tf.train.Checkpoint(), tf.saved_model.load(write_image_halves(folder / "inner"))
    module.inner = halves

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def preprocess(raw):
        return {"pixels": tf.cast(halves.preprocess(raw)["pixels"], tf.float32) / 100.0 - 1.0}

    @tf.function(input_signature=[{"pixels": tf.TensorSpec([None, 8, 8, 3], tf.float32)}])
    def code(tensors):
        return halves.encode({"pixels": tf.cast(tf.round((tensors["pixels"] + 1.0) * 100.0), tf.uint8)})

    module.preprocess, module.encode = preprocess, code
    module.__call__ = tf.function(lambda raw: code(preprocess(raw)), input_signature=preprocess.input_signature)
    module.variables, module.trainable_variables = list(halves.variables), list(halves.trainable_variables)
    module.regularization_losses = []
    tf.saved_model.save(module, str(folder / "outer"))
    return str(folder / "outer")


def test_of_normalised_pixels_the_colours_stay(tmp_path):
    handle = write_float_halves(tmp_path)
    raw = [stripes()] * 6
    cropped = SavedModelEncoder(handle, "image", mode="finetuned", augmentation="crop")
    assert np.ptp(encode(cropped, raw, training=True)["vector"].numpy(), axis=0).max() > 0.01
    coloured = SavedModelEncoder(handle, "image", mode="finetuned", augmentation="full")
    with pytest.raises(UsageError, match="of float32 pixels it is not known"):
        encode(coloured, raw, training=True)


@pytest.mark.parametrize(("kind", "mode"), [("image", "cached"), ("image", "frozen"), ("text", "finetuned")])
def test_an_augmentation_that_would_have_no_effect_is_refused(tmp_path, kind, mode):
    handle = (write_image_model if kind == "image" else write_text_model)(tmp_path / "m")
    with pytest.raises(
        UsageError, match=f"augmentation='flip' .image_augmentation. .* reads {kind} and has mode='{mode}'"
    ):
        SavedModelEncoder(handle, kind, mode, augmentation="flip")
