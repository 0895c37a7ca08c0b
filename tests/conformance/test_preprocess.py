"""`preprocess` is stock TensorFlow ops with static shapes, numbers and no trained weight: it runs anywhere."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.encoders import ENCODERS, HistoryPart
from tests.conformance.parts import by_name

WITH_RAW = [part for part in ENCODERS if not isinstance(part, HistoryPart)]
PYTHON = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}


@pytest.mark.parametrize("part", WITH_RAW, ids=by_name)
def test_its_graph_has_static_shapes_numbers_no_trained_weight_and_stock_ops(part, folder):
    encoder = part.make(folder)
    spec = encoder.raw_spec()
    assert spec.shape[0] is None and spec.dtype == part.raw_dtype
    assert spec.is_compatible_with(tf.constant(part.rows, part.raw_dtype))
    encoder(part.inputs(encoder, part.rows))
    traced = tf.function(encoder.preprocess, input_signature=[spec]).get_concrete_function()
    for name, tensor in traced.structured_outputs.items():
        assert tensor.shape[0] is None and tensor.shape[1:].is_fully_defined(), f"{name} is {tensor.shape}"
        assert (tensor.dtype == tf.string) == (name in part.strings), f"{name} is {tensor.dtype.name}"
    used = {variable.ref() for variable in traced.graph.variables}
    assert not used & {variable.ref() for variable in encoder.trainable_variables}
    graph = traced.graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    own = {function.signature.name for function in graph.library.function}
    ops = {node.op for node in nodes} - own
    assert ops and not ops & PYTHON
    assert all(hasattr(tf.raw_ops, op) for op in ops), sorted(op for op in ops if not hasattr(tf.raw_ops, op))


@pytest.mark.parametrize("part", WITH_RAW, ids=by_name)
def test_it_gives_in_a_pipeline_what_it_gives_at_once(part, folder):
    encoder = part.make(folder)
    raw = tf.constant(part.rows, part.raw_dtype)
    expected = encoder.preprocess(raw)
    pipeline = tf.data.Dataset.from_tensor_slices(raw).batch(2).map(encoder.preprocess, num_parallel_calls=2)
    batches = list(pipeline.as_numpy_iterator())
    for name, tensor in expected.items():
        found = np.concatenate([batch[name] for batch in batches])
        if tensor.dtype == tf.float16:  # sums over a batch of another size may be rounded otherwise, in the last bit
            np.testing.assert_allclose(found, tensor.numpy(), rtol=2**-9)
        else:
            np.testing.assert_array_equal(found, tensor.numpy())
