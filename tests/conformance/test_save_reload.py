"""A part comes back from a checkpoint, and from a SavedModel that holds it."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.encoders import ENCODERS, HistoryPart
from tests.conformance.parts import FUSIONS, arrays, by_name


def disturbed(part):
    """Changes what is trained, so that initial weights do not do."""
    for number, variable in enumerate(part.trainable_variables):
        variable.assign_add(tf.random.stateless_normal(variable.shape, [number, 7], dtype=variable.dtype))
    return part


def same(one, other):
    tf.nest.map_structure(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), one, other)


def check_checkpoint(part, fresh, inputs_of, folder):
    inputs = inputs_of(part)
    part(inputs, training=True)
    expected = arrays(disturbed(part)(inputs, training=False))
    tf.train.Checkpoint(part=part).write(str(folder / "checkpoint"))
    inputs = inputs_of(fresh)
    fresh(inputs, training=False)  # creates the weights
    restored = tf.train.Checkpoint(part=fresh).read(str(folder / "checkpoint"))
    restored.assert_consumed()  # nothing in the file is left over, and no weight of the new part
    same(arrays(fresh(inputs, training=False)), expected)


@pytest.mark.parametrize("part", ENCODERS, ids=by_name)
def test_encoder_from_a_checkpoint(part, folder, tmp_path):
    check_checkpoint(part.make(folder), part.make(folder), lambda e: part.inputs(e, part.rows), tmp_path)


@pytest.mark.parametrize("part", FUSIONS, ids=by_name)
def test_fusion_from_a_checkpoint(part, tmp_path):
    check_checkpoint(part.make(), part.make(), lambda _: part.inputs(), tmp_path)


@pytest.mark.parametrize("part", ENCODERS, ids=by_name)
def test_encoder_in_a_saved_model(part, folder, tmp_path):
    encoder = part.make(folder)
    if isinstance(part, HistoryPart):
        raw = part.inputs(encoder, part.rows)
        signature = {name: tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype) for name, tensor in raw.items()}
    else:
        raw, signature = tf.constant(part.rows, part.raw_dtype), encoder.raw_spec()

    def serve(raw):
        inputs = raw if isinstance(part, HistoryPart) else encoder.preprocess(raw)
        embedded = encoder(inputs, training=False)
        return {"vector": embedded["vector"], "present": embedded["present"]}

    encoder(part.inputs(encoder, part.rows))
    check_saved_model(disturbed(encoder), serve, signature, raw, tmp_path)


@pytest.mark.parametrize("part", FUSIONS, ids=by_name)
def test_fusion_in_a_saved_model(part, tmp_path):
    fusion, inputs = part.make(), part.inputs()
    fusion(inputs)
    signature = tf.nest.map_structure(lambda tensor: tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype), inputs)
    check_saved_model(disturbed(fusion), lambda inputs: fusion(inputs, training=False), signature, inputs, tmp_path)


def check_saved_model(part, serve, signature, raw, folder):
    module = tf.Module()
    module.part = part
    module.serve = tf.function(serve, input_signature=[signature])
    expected = arrays(module.serve(raw))
    tf.saved_model.save(module, str(folder / "model"))
    loaded = tf.saved_model.load(str(folder / "model"))
    same(arrays(loaded.serve(raw)), expected)
