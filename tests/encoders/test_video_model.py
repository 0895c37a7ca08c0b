import shutil

import numpy as np
import pytest
import tensorflow as tf

from tests.data.clips import animation, mjpeg
from tests.encoders.reusable import (
    seen_of_clips,
    write_clip_model,
    write_image_halves,
    write_image_model,
    write_text_halves,
    write_text_model,
    write_waveform_model,
)
from tfmmrec.encoders import SavedModelEncoder, VideoModelEncoder
from tfmmrec.encoders.frames import decode_frames
from tfmmrec.pretrained import ExportRequest
from tfmmrec.pretrained.halves import write_halves
from tfmmrec.pretrained.hub_halves import hub_halves
from tfmmrec.stored_encoding import encoder_fingerprint
from tfmmrec.types import DataError, UsageError

VIDEOS = [mjpeg([10, 60, 110, 160, 210, 250]), b"", animation([200, 40]), mjpeg([90])]
MODES = ["frozen", "cached", "finetuned"]
SMALL = {"num_frames": 3, "height": 6, "width": 8}


def exported(folder, source, **options):
    write_halves(hub_halves(ExportRequest(source, **options)), folder)
    return str(folder)


def clips(repeat=True):
    frames, mask = decode_frames(tf.constant(VIDEOS), 3, 6, 8, repeat=repeat)
    return frames.numpy(), mask.numpy()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("key", [None, "image"])
def test_whole_clips(tmp_path, mode, key):
    encoder = VideoModelEncoder(write_clip_model(tmp_path / "m", key=key), mode=mode, **SMALL)
    inputs = encoder.preprocess(tf.constant(VIDEOS))
    assert inputs["clip"].shape == [4, 3, 6, 8, 3] and inputs["clip"].dtype == tf.uint8
    found = encoder(inputs)
    assert found["present"].numpy().tolist() == [True, False, True, True] and "sequence" not in found
    expected = seen_of_clips(clips()[0]) * found["present"].numpy()[:, None]
    np.testing.assert_allclose(found["vector"], expected, rtol=1e-4, atol=1e-4)
    assert bool(encoder.trainable_variables) == (mode == "finetuned")


def test_a_model_s_own_size_counts(tmp_path):
    handle = write_clip_model(tmp_path / "m", (3, 6, 8))
    encoder = VideoModelEncoder(handle, num_frames=8)
    assert (encoder.num_frames, encoder.height, encoder.width, encoder.dim) == (3, 6, 8, 3)
    np.testing.assert_allclose(
        encoder(encoder.preprocess(tf.constant(VIDEOS)))["vector"][0],
        seen_of_clips(clips()[0])[0],
        rtol=1e-4,
        atol=1e-4,
    )


def test_an_exported_model_of_clips(tmp_path):
    source = write_clip_model(tmp_path / "m")
    handle = exported(tmp_path / "out", source, num_frames=3, image_size=6)
    encoder = VideoModelEncoder(handle, num_frames=5)
    assert (encoder.num_frames, encoder.height, encoder.width) == (3, 6, 6)
    inputs = encoder.preprocess(tf.constant(VIDEOS))
    expected = tf.saved_model.load(handle)(tf.constant(VIDEOS)).numpy() * [[1], [0], [1], [1]]
    np.testing.assert_allclose(encoder(inputs)["vector"], expected, atol=1e-6)
    with pytest.raises(DataError, match="reads videos, but is given a feature of kind image; name the encoder for"):
        SavedModelEncoder(handle, "image")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("write", [write_image_model, write_image_halves])
def test_a_model_of_pictures_looks_at_each_frame(tmp_path, mode, write):
    handle = write(tmp_path / "m", 5)
    encoder = VideoModelEncoder(handle, mode=mode, **SMALL)
    found = encoder(encoder.preprocess(tf.constant(VIDEOS)))
    of_pictures = SavedModelEncoder(handle, "image", "frozen", height=6, width=8)
    frames, mask = clips(repeat=False)
    kernel, bias = (*(variable.numpy() for variable in of_pictures.module.variables), 0.0)[:2]
    seen = (frames.mean(axis=(2, 3)) / 255.0 @ kernel + bias) * mask[..., None]
    np.testing.assert_allclose(found["sequence"], seen, atol=1e-3)
    np.testing.assert_array_equal(found["sequence_mask"], mask)
    expected = seen.sum(axis=1) / np.maximum(mask.sum(axis=1, keepdims=True), 1)
    np.testing.assert_allclose(found["vector"], expected, atol=1e-3)
    assert found["present"].numpy().tolist() == [True, False, True, True]


@pytest.mark.parametrize("pooling", ["attention", "gru"])
def test_what_pools_the_frames_of_a_frozen_model_is_trained(tmp_path, pooling):
    encoder = VideoModelEncoder(write_image_model(tmp_path / "m"), pooling=pooling, mode="frozen", **SMALL)
    inputs = encoder.preprocess(tf.constant(VIDEOS))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(encoder(inputs, training=True)["vector"] ** 2)
    own = encoder.trainable_variables
    assert own and {v.ref() for v in own} == {v.ref() for v in encoder.over_time.trainable_variables}
    assert all(gradient is not None for gradient in tape.gradient(loss, own))


def test_a_training_step_changes_all_frames_alike(tmp_path):
    encoder = VideoModelEncoder(write_image_model(tmp_path / "m"), mode="finetuned", augmentation="full", **SMALL)
    still = encoder.preprocess(tf.constant([mjpeg([120, 120, 120])]))
    steps = [encoder(still, training=True)["sequence"].numpy()[0] for _ in range(8)]
    for frames in steps:
        np.testing.assert_allclose(frames, np.repeat(frames[:1], 3, axis=0), atol=1e-5)
    plain = encoder(still, training=False)["sequence"].numpy()[0, 0]
    assert max(np.abs(frames[0] - plain).max() for frames in steps) > 1e-3  # a fifth of the steps leaves colours alone
    with pytest.raises(UsageError, match="reads video and has mode='frozen'"):
        VideoModelEncoder(encoder.handle, mode="frozen", augmentation="full", **SMALL)


def test_the_store_tells_numbers_of_frames_apart(tmp_path):
    handle = write_image_model(tmp_path / "m")
    same, other = (VideoModelEncoder(handle, frames, height=6, width=8) for frames in (3, 4))
    assert encoder_fingerprint(same) != encoder_fingerprint(other)
    copied = VideoModelEncoder(shutil.copytree(handle, tmp_path / "copy"), 3, height=6, width=8)
    assert encoder_fingerprint(same) == encoder_fingerprint(copied)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (write_text_model, r"expected a model of clips, .* or of pictures, .*; its inputs are string \(None,\)"),
        (write_waveform_model, r"its inputs are float32 \(None,\)"),
        (write_text_halves, "reads texts, but is given a feature of kind video"),
    ],
)
def test_models_of_something_else_are_refused(tmp_path, write, message):
    with pytest.raises(DataError, match=message):
        VideoModelEncoder(write(tmp_path / "m"))


def test_a_model_without_vectors_is_refused(tmp_path):
    module = tf.train.Checkpoint()
    spec = tf.TensorSpec([None, None, None, None, 3], tf.float32)
    module.__call__ = tf.function(lambda clips: tf.reduce_mean(clips, axis=[2, 3]), input_signature=[spec])
    module.variables, module.trainable_variables, module.regularization_losses = [], [], []
    tf.saved_model.save(module, str(tmp_path / "m"))
    with pytest.raises(DataError, match=r"expected \[batch, dim\] of clips, found the shape \(1, 8, 3\)"):
        VideoModelEncoder(str(tmp_path / "m"))


@pytest.mark.parametrize(
    ("write", "options", "message"),
    [
        (write_image_model, {"num_frames": 65}, "num_frames must lie in 1 to 64, got 65"),
        (write_image_model, {"pooling": "max", "mode": "frozen"}, "pooling must be mean, attention or gru, got 'max'"),
        (
            write_image_model,
            {"pooling": "gru"},
            "use mode 'frozen' or 'finetuned' .pretrained_mode., or pooling='mean'",
        ),
        (write_clip_model, {"pooling": "gru"}, "takes whole clips and pools over time by itself, so pooling='gru'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(tmp_path, write, options, message):
    with pytest.raises(UsageError, match=message):
        VideoModelEncoder(write(tmp_path / "m"), **options)


@pytest.mark.parametrize("num_replicas", [None, 2])
@pytest.mark.parametrize(
    ("write", "mode", "pooling"), [(write_clip_model, "cached", "mean"), (write_image_halves, "finetuned", "gru")]
)
def test_it_runs_inside_of_replicas_and_outside_of_them(tmp_path, replicas, num_replicas, write, mode, pooling):
    handle = write(tmp_path / "m")
    strategy = replicas(num_replicas) if num_replicas else tf.distribute.OneDeviceStrategy("/cpu:0")
    alone = VideoModelEncoder(handle, mode=mode, pooling=pooling, **SMALL)
    expected = alone(alone.preprocess(tf.constant(VIDEOS)))["vector"]
    with strategy.scope():
        encoder = VideoModelEncoder(handle, mode=mode, pooling=pooling, **SMALL)

        def encoded():
            return encoder(encoder.preprocess(tf.constant(VIDEOS)))["vector"]

        encoded()  # creates the weights
        encoder.set_weights(alone.get_weights())
        np.testing.assert_allclose(encoded(), expected, atol=1e-6)
    for found in strategy.experimental_local_results(tf.function(lambda: strategy.run(encoded))()):
        np.testing.assert_allclose(found, expected, atol=1e-6)
