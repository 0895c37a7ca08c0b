import numpy as np
import pytest
import tensorflow as tf

from tests.data.clips import animation, mjpeg
from tests.encoders.reusable import write_image_model
from tfmmrec.encoders import SavedModelEncoder, VideoEncoder
from tfmmrec.types import UsageError

POOLINGS = ["mean", "attention", "gru"]


def make(pooling="mean", **options):
    tf.keras.utils.set_random_seed(0)
    return VideoEncoder(5, **({"num_frames": 3, "height": 8, "width": 8, "filters": (4, 6)} | options), pooling=pooling)


def inputs_of(frames, mask):
    mask = np.asarray(mask, bool)
    return {"frames": tf.constant(frames), "frame_mask": tf.constant(mask), "has_video": tf.constant(mask.any(axis=1))}


def random_frames(batch):
    return np.random.default_rng(0).integers(0, 256, (batch, 3, 8, 8, 3)).astype(np.uint8)


def test_shapes():
    encoder = make()
    inputs = encoder.preprocess(tf.constant([mjpeg([10, 90, 170, 250]), animation([30, 60]), b""]))
    assert inputs["frames"].shape == [3, 3, 8, 8, 3] and inputs["frames"].dtype == tf.uint8
    assert inputs["frame_mask"].numpy().tolist() == [[True] * 3, [True, True, False], [False] * 3]
    assert inputs["has_video"].numpy().tolist() == [True, True, False]
    found = encoder(inputs)
    assert found["vector"].shape == [3, 5] and found["sequence"].shape == [3, 3, 5]
    np.testing.assert_array_equal(found["sequence_mask"], inputs["frame_mask"])


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_short_video_is_pooled_over_its_own_frames(pooling):
    encoder, frames = make(pooling), random_frames(2)
    mask = [[True, True, False], [False, False, False]]
    found = encoder(inputs_of(frames, mask))["vector"]
    others = frames.copy()
    others[:, 2] = 255  # were they looked at, the vectors would differ
    np.testing.assert_allclose(encoder(inputs_of(others, mask))["vector"], found, atol=1e-6)
    assert found[0].numpy().any() and not found[1].numpy().any()


def test_the_pooled_vectors_are_what_the_docstring_says():
    frames, mask = random_frames(2), np.array([[True, True, True], [True, True, False]])
    encoder = make("attention")
    found = encoder(inputs_of(frames, mask))
    seen = found["sequence"].numpy()
    hidden = np.tanh(seen @ encoder.over_time.hidden.kernel.numpy() + encoder.over_time.hidden.bias.numpy())
    weights = np.exp(hidden @ encoder.over_time.importance.kernel.numpy())[..., 0] * mask
    weights /= weights.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found["vector"], (weights[..., None] * seen).sum(axis=1), rtol=1e-4, atol=1e-5)
    encoder = make("mean")
    found = encoder(inputs_of(frames, mask))
    seen = found["sequence"].numpy()
    expected = [seen[0].mean(axis=0), seen[1, :2].mean(axis=0)]
    np.testing.assert_allclose(found["vector"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_video_run_backwards_is_another_one(pooling):
    frames, mask = random_frames(1), [[True] * 3]
    encoder = make(pooling)
    forth, back = (encoder(inputs_of(order, mask))["vector"].numpy() for order in (frames, frames[:, ::-1]))
    assert not np.allclose(forth, back, atol=1e-2)


def test_any_encoder_of_pictures_can_look_at_the_frames(tmp_path):
    pretrained = SavedModelEncoder(write_image_model(tmp_path / "m", 5), "image", "frozen", height=8, width=6)
    encoder = VideoEncoder(5, num_frames=2, frame_encoder=pretrained)
    found = encoder(encoder.preprocess(tf.constant([mjpeg([10, 90]), b""])))
    assert (encoder.height, encoder.width) == (8, 6) and found["vector"].shape == [2, 5]
    again = VideoEncoder.from_config(encoder.get_config())
    assert type(again.frame_encoder) is SavedModelEncoder and again.get_config() == encoder.get_config()


def test_direction_can_be_learnt():
    random, rising = np.random.default_rng(0), np.arange(32) % 2 == 0
    frames = np.array([30, 120, 210]) + random.integers(-30, 31, (32, 3))
    frames[~rising] = frames[~rising, ::-1]  # fading in, or out
    pixels = np.broadcast_to(frames[:, :, None, None, None], (32, 3, 8, 8, 3)).astype(np.uint8)
    inputs = inputs_of(pixels, np.ones((32, 3)))
    encoder, optimizer = make("gru", mode="finetuned"), tf.keras.optimizers.Adam(0.02)
    for _ in range(40):
        with tf.GradientTape() as tape:
            logits = encoder(inputs, training=True)["vector"][:, :2]
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(rising.astype(int), logits))
        optimizer.minimize(loss, encoder.trainable_variables, tape)
    found = tf.argmax(encoder(inputs)["vector"][:, :2], axis=1).numpy()
    assert (found == rising).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "frozen"}, r"mode \(video_mode\) must be .* for the small video network, got 'frozen'"),
        ({"pooling": "max"}, "pooling must be mean, attention or gru, got 'max'"),
        ({"num_frames": 65}, "num_frames must lie in 1 to 64, got 65"),
        ({"height": 3}, "less than one pixel of 3×8"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        make(**options)


def test_the_frames_of_a_clip_are_changed_alike():
    frames = np.repeat(random_frames(4)[:, :1], 3, axis=1)  # nothing moves
    mask = np.ones((4, 3))
    encoder = make(augmentation="full")
    expected = encoder(inputs_of(frames, mask))["sequence"].numpy()
    changed = encoder(inputs_of(frames, mask), training=True)["sequence"].numpy()
    np.testing.assert_allclose(changed, np.repeat(changed[:, :1], 3, axis=1), atol=1e-5)
    assert (np.abs(changed - expected).max(axis=(1, 2)) > 1e-3).all()
    assert VideoEncoder.from_config(encoder.get_config()).get_config() == encoder.get_config()
