import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.models import SAMPLED, ModelCase, ready
from tfmmrec.static_shapes import check_static_shapes, dynamic_operations, traced_step
from tfmmrec.types import UsageError

SETTINGS = {
    "multinomial": {"loss": "multinomial"},
    "full softmax": {"loss": "full_softmax", "history_tower": False},
    "sampled softmax": SAMPLED,
    "mixed negatives": {**SAMPLED, "negatives": "mixed", "num_negatives": 8},
    "bpr": {"loss": "bpr"},
}
QUICK = [("id_only", name) for name in ("multinomial", "sampled softmax")]
OTHERS = [("id_only", name) for name in SETTINGS if ("id_only", name) not in QUICK]
CONTENT = [("two_tower", name) for name in ("multinomial", "sampled softmax")]
STEPS = [*QUICK, *(pytest.param(*step, marks=pytest.mark.slow) for step in OTHERS + CONTENT)]


def made(model, **own):
    return ready(ModelCase(model, model, own).without_dropout())


def operations(function, *shapes):
    specs = [tf.TensorSpec(shape, dtype) for shape, dtype in shapes]
    return dynamic_operations(tf.function(function).get_concrete_function(*specs).graph)


def test_operations_whose_size_depends_on_values_are_found_inside_of_functions_too():
    rows = [4], tf.int32
    assert operations(lambda x: tf.matmul(x, x), ([3, 3], tf.float32)) == []
    assert "Unique" in operations(lambda x: tf.reduce_sum(tf.unique(x)[0]), rows)
    inner = tf.function(lambda x: tf.size(tf.where(x > 0)))
    assert "Where" in operations(lambda x: inner(x), rows)
    assert "StringToHashBucketFast" in operations(lambda x: tf.strings.to_hash_bucket_fast(x, 3), ([4], tf.string))
    assert "PyFunc" in operations(lambda x: tf.numpy_function(np.sum, [x], tf.int64), rows)
    assert operations(lambda x: x + 1, ([None], tf.int32)) != []  # no size at all
    part = tf.function(lambda x, size: tf.reduce_sum(x[:size]))
    in_branch = lambda x, size: tf.cond(size > 0, lambda: part(x, size), lambda: 0)  # noqa: E731
    assert operations(in_branch, rows, ([], tf.int32)) == ["StridedSlice"]
    sparse = tf.nn.sparse_softmax_cross_entropy_with_logits
    assert operations(lambda x, y: sparse(x, y), rows, ([4, 3], tf.float32)) == []


@pytest.mark.parametrize(("model", "settings"), STEPS)
def test_a_step_has_static_shapes_and_xla_computes_what_tensorflow_does(model, settings):
    own = made(model, **SETTINGS[settings])
    batch = own.stream.batch(0)
    assert dynamic_operations(traced_step(own.model, batch).graph) == []
    inputs, model = tf.nest.map_structure(tf.constant, batch), own.model
    state = model.get_weights()

    def step(inputs):
        gradients, report = model._gradients(inputs)
        return [gradient for gradient in gradients if gradient is not None], report["loss"]

    found = []
    for compiled in (False, True):
        model.set_weights(state)  # counts of draws included
        model.reset_metrics()
        gradients, loss = tf.function(step, jit_compile=compiled)(inputs)
        found.append([loss.numpy(), *(gradient.numpy() for gradient in gradients)])
    for plain, by_xla in zip(*found, strict=True):
        np.testing.assert_allclose(by_xla, plain, rtol=1e-4, atol=1e-5)
    assert max(np.abs(gradient).max() for gradient in found[0][1:]) > 1e-3  # and there is something to compare


def test_gradients_by_rows_and_whole_ones_take_the_same_step():
    weights = []
    for whole in (False, True):
        own = made("id_only", **SAMPLED)
        own.model.whole_gradients = whole
        own.model.fit(own.stream.dataset(), steps_per_epoch=3, verbose=0)
        weights.append(own.model.get_weights())
    for by_rows, whole in zip(*weights, strict=True):
        np.testing.assert_allclose(whole, by_rows, rtol=1e-4, atol=1e-6)


def test_a_model_without_static_shapes_is_refused():
    own = made("id_only", loss="sampled_softmax", count_frequencies=False)
    with pytest.raises(UsageError, match="this model has .*Unique.*: take strategy cpu .* loss=multinomial"):
        check_static_shapes(own.model, own.stream.batch(0))


def test_bfloat16_learns_as_full_precision_does():
    losses = {}
    for policy in ("float32", "mixed_bfloat16"):
        tf.keras.mixed_precision.set_global_policy(policy)
        try:
            own = made("id_only", **SAMPLED)
            losses[policy] = own.fit(8)
        finally:
            tf.keras.mixed_precision.set_global_policy("float32")
        assert all(variable.dtype == tf.float32 for variable in own.model.trainable_variables)
    np.testing.assert_allclose(losses["mixed_bfloat16"], losses["float32"], rtol=0.05)
    assert losses["mixed_bfloat16"][-1] < losses["mixed_bfloat16"][0]
