import pytest
import tensorflow as tf

from tests.encoders.reusable import write_clip_model, write_image_model, write_text_model
from tfmmrec.encoders.taken_inputs import clips_among, pictures_among, taken_inputs, takes_training


def test_what_models_take(tmp_path):
    texts, pictures, clips = (
        taken_inputs(tf.saved_model.load(write(tmp_path / write.__name__)))
        for write in (write_text_model, write_image_model, write_clip_model)
    )
    assert [(way.spec.dtype, way.spec.shape.rank, way.key) for way in texts] == [(tf.string, 1, None)]
    assert pictures_among(pictures) == pictures and clips_among(clips) == clips
    assert not clips_among(pictures) and not pictures_among(clips) and not clips_among(texts)


@pytest.mark.parametrize("key", [None, "image"])
def test_what_is_passed_is_what_is_taken(tmp_path, key):
    model = tf.saved_model.load(write_clip_model(tmp_path / "m", (2, 4, 6), key))
    (way,) = taken_inputs(model)
    assert way.key == key and way.spec.shape[1:] == [2, 4, 6, 3]
    assert model(way.passed(tf.zeros([5, 2, 4, 6, 3]))).shape == [5, 3]


def test_models_of_several_inputs_have_none_that_is_one(tmp_path):
    module = tf.Module()
    two = {name: tf.TensorSpec([None], tf.float32) for name in ("a", "b")}
    module.__call__ = tf.function(lambda given: given["a"] + given["b"], input_signature=[two])
    tf.saved_model.save(module, str(tmp_path / "m"))
    assert taken_inputs(tf.saved_model.load(str(tmp_path / "m"))) == []


def test_whether_training_is_told(tmp_path):
    module = tf.Module()
    call = tf.function(lambda x, training=False: x + 1.0 if training else x)
    for training in (True, False):
        call.get_concrete_function(tf.TensorSpec([None], tf.float32), training=training)
    module.__call__ = call
    tf.saved_model.save(module, str(tmp_path / "m"))
    assert takes_training(tf.saved_model.load(str(tmp_path / "m")))
    assert not takes_training(tf.saved_model.load(write_text_model(tmp_path / "texts")))
