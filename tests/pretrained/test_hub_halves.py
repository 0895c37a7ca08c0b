import numpy as np
import pytest
import tensorflow as tf

from tests.data.clips import animation, mjpeg
from tests.encoders.reusable import (
    NUM_BUCKETS,
    seen_of_clips,
    text_table,
    write_clip_model,
    write_image_model,
    write_text_model,
    write_unusable_model,
)
from tests.pretrained.inputs import pixels, png
from tfmmrec.pretrained import ExportRequest
from tfmmrec.pretrained.halves import write_halves
from tfmmrec.pretrained.hub_halves import hub_halves
from tfmmrec.types import DataError, UsageError

TEXTS = ["red", "", "Käse mit Löchern"]


def exported(folder, source, **options):
    card = write_halves(hub_halves(ExportRequest(source, **options)), folder)
    return tf.saved_model.load(str(folder)), card


@pytest.mark.parametrize("key", [None, "default", "pooled_output"])
def test_texts(tmp_path, key):
    model, card = exported(tmp_path / "out", write_text_model(tmp_path / "m", key=key))
    rows = tf.strings.to_hash_bucket_fast(tf.constant(TEXTS), NUM_BUCKETS).numpy()
    np.testing.assert_allclose(model(tf.constant(TEXTS)), text_table(4)[rows])
    tensors = model.preprocess(tf.constant(TEXTS))
    assert tensors["bytes"].dtype == tf.uint8 and tensors["bytes"].shape == [3, 512]
    np.testing.assert_allclose(model.encode(tensors), text_table(4)[rows])
    assert (card["input_kind"], card["dim"], card["max_length"], len(model.trainable_variables)) == ("text", 4, 512, 1)


def test_what_stands_behind_the_length_is_not_read(tmp_path):
    model, _ = exported(tmp_path / "out", write_text_model(tmp_path / "m"), max_length=3)
    np.testing.assert_array_equal(*model(tf.constant(["red", "redder"])).numpy())


def test_pictures_of_any_size(tmp_path):
    model, card = exported(tmp_path / "out", write_image_model(tmp_path / "m"), image_size=20)
    kernel, bias = (variable.numpy() for variable in model.variables)
    expected = (pixels(20) / 255.0).mean((0, 1)) @ kernel + bias
    np.testing.assert_allclose(model(tf.constant([png(pixels(20))]))[0], expected, rtol=1e-5)
    assert model(tf.constant([png(pixels(33)), b""])).shape == [2, 3]
    assert card["image_size"] == [20, 20] and card["tensors"] == {"pixels": ["uint8", [None, 20, 20, 3]]}


def test_gradients_reach_the_weights(tmp_path):
    model, _ = exported(tmp_path / "out", write_image_model(tmp_path / "m"), image_size=8)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model.encode(model.preprocess(tf.constant([png(pixels(8))]))))
    kernel, bias = tape.gradient(loss, model.trainable_variables)
    np.testing.assert_allclose(kernel, np.repeat((pixels(8) / 255.0).mean((0, 1))[:, None], 3, 1), rtol=1e-5)
    np.testing.assert_array_equal(bias, np.ones(3))


def test_what_is_told_of_training_is_told_not_to(tmp_path):
    module = tf.train.Checkpoint()
    specs = [tf.TensorSpec([None], tf.string), True]
    call = tf.function(lambda texts, training=False: tf.fill([tf.size(texts), 2], 1.0 if training else 3.0))
    for training in (True, False):
        call.get_concrete_function(specs[0], training=training)
    module.__call__, module.variables, module.trainable_variables = call, [], []
    tf.saved_model.save(module, str(tmp_path / "m"))
    model, _ = exported(tmp_path / "out", str(tmp_path / "m"))
    np.testing.assert_array_equal(model(tf.constant(["a"])), [[3.0, 3.0]])


def greys(*rows, size=(6, 6)):
    """Frames of one grey each."""
    return np.broadcast_to(np.array(rows)[..., None, None, None], (*np.shape(rows), *size, 3))


@pytest.mark.parametrize("key", [None, "image"])
def test_clips(tmp_path, key):
    source = write_clip_model(tmp_path / "m", key=key)
    model, card = exported(tmp_path / "out", source, image_size=6, num_frames=4)
    assert (card["input_kind"], card["dim"], card["num_frames"], card["image_size"]) == ("video", 3, 4, [6, 6])
    assert card["tensors"] == {"clip": ["uint8", [None, 4, 6, 6, 3]]} and len(model.trainable_variables) == 1
    videos = tf.constant([mjpeg([10, 60, 110, 160, 210, 250, 20, 30]), animation([200, 40]), b""])
    frames = greys([60, 160, 250, 30], [200, 200, 40, 40], [0, 0, 0, 0])  # the middles of four parts
    np.testing.assert_allclose(model(videos), seen_of_clips(frames), atol=0.01)
    np.testing.assert_array_equal(model.encode(model.preprocess(videos)), model(videos))


def test_a_clip_s_own_size(tmp_path):
    source = write_clip_model(tmp_path / "m", (3, 6, 8))
    model, card = exported(tmp_path / "out", source)
    assert card["num_frames"] == 3 and card["image_size"] == [6, 8]
    expected = seen_of_clips(greys([20, 220, 220], size=(6, 8)))
    np.testing.assert_allclose(model(tf.constant([mjpeg([20, 220])])), expected, atol=0.01)
    with pytest.raises(UsageError, match="takes clips of 3 frames only; leave out num_frames"):
        hub_halves(ExportRequest(source, num_frames=4))
    with pytest.raises(UsageError, match="takes pictures of 6×8 pixels only; leave out image_size"):
        hub_halves(ExportRequest(source, image_size=8))


def write_other(folder, spec):
    module = tf.train.Checkpoint()
    module.__call__ = tf.function(lambda x: x, input_signature=[spec])
    module.variables = []
    tf.saved_model.save(module, str(folder))
    return str(folder)


def test_what_is_not_reusable(tmp_path):
    with pytest.raises(DataError, match="served: expected a reusable TF2 SavedModel .* found signatures alone"):
        hub_halves(ExportRequest(write_unusable_model(tmp_path / "served")))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "saved_model.pb").write_bytes(b"\xff nothing")
    with pytest.raises(DataError, match="broken: cannot be loaded as a TF-Hub model: "):
        hub_halves(ExportRequest(str(tmp_path / "broken")))
    numbers = write_other(tmp_path / "numbers", tf.TensorSpec([None, 3], tf.int32))
    with pytest.raises(DataError, match=r"numbers: expected a model of strings .* its inputs are int32 \(None, 3\)"):
        hub_halves(ExportRequest(numbers))


def test_options_that_it_does_not_take(tmp_path):
    texts, pictures = write_text_model(tmp_path / "texts"), write_image_model(tmp_path / "pictures")
    for source, options, message in (
        (texts, {"pooling": "mean"}, "a TF-Hub model pools by itself, so --pooling has no meaning"),
        (texts, {"image_size": 9}, "it reads texts, so --image-size has no meaning"),
        (texts, {"half": "image"}, "is no model of image; leave out half"),
        (pictures, {"max_length": 9}, "it reads pictures, so --max-length has no meaning"),
        (texts, {"num_frames": 9}, "it reads texts, so --num-frames has no meaning"),
        (pictures, {"num_frames": 9}, "it reads pictures, so --num-frames has no meaning"),
        (write_clip_model(tmp_path / "clips"), {"max_length": 9}, "it reads videos, so --max-length has no meaning"),
        (pictures, {"untrained": True}, "brings its weights, so --untrained has no meaning"),
    ):
        with pytest.raises(UsageError, match=message):
            hub_halves(ExportRequest(source, **options))


def test_a_size_of_its_own(tmp_path):
    module = tf.train.Checkpoint()
    spec = tf.TensorSpec([None, 6, 6, 3], tf.float32)
    module.__call__ = tf.function(lambda x: tf.reduce_mean(x, [1, 2]), input_signature=[spec])
    module.variables = []
    tf.saved_model.save(module, str(tmp_path / "m"))
    model, card = exported(tmp_path / "out", str(tmp_path / "m"))
    assert card["image_size"] == [6, 6]
    np.testing.assert_allclose(model(tf.constant([png(pixels(6))]))[0], (pixels(6) / 255.0).mean((0, 1)), rtol=1e-5)
    with pytest.raises(UsageError, match="takes pictures of 6×6 pixels only; leave out image_size"):
        hub_halves(ExportRequest(str(tmp_path / "m"), image_size=9))
