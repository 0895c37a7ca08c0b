import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.parts import MODALITIES, PATTERNS, embedded
from tfmmrec.fusion import GraphFusion
from tfmmrec.types import UsageError

DIM, NUM = 4, 8


def made(**options):
    """A fusion with graphs of `look` and `price`; `words` are direct, and say their rows."""
    options = {"graphs": ["look", "price"], "num_reference": NUM, "num_neighbors": 2, "activation": "tanh"} | options
    fusion = GraphFusion(DIM, direct=["words"], **options)
    fusion(inputs())
    content = inputs(seed=3)
    for name in fusion.graphs:
        fusion.set_content(name, content[name]["vector"].numpy(), content[name]["present"].numpy())
    return fusion


def inputs(**options):
    parts = embedded(**options)
    parts["words"]["row"] = tf.range(NUM) - 1
    return parts


def hidden(fusion, parts):
    """h_m for each modality, zero where absent; the direct one as it is."""
    found = []
    for place, name in enumerate(MODALITIES):
        x = np.where(PATTERNS[:, place, None], parts[name]["vector"], 0.0)
        if name in fusion.kernels:
            x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-6)
            if name in fusion.graphs:
                x = fusion.content_graphs[name](tf.constant(x), rows=parts["words"]["row"]).numpy()
            x = np.tanh((fusion.scale or 1.0) * x @ fusion.kernels[name].kernel.numpy())
        found.append(x)
    return found


@pytest.mark.parametrize("options", [{}, {"scale": 0.3}, {"graphs": ["look"]}])
def test_the_sum(options):
    fusion, parts = made(**options), inputs()
    np.testing.assert_allclose(fusion(parts), sum(hidden(fusion, parts)), rtol=1e-4, atol=1e-6)


def test_the_concatenation():
    fusion, parts = made(aggregation="concat"), inputs()
    look, price, words = hidden(fusion, parts)
    kernel, bias = fusion.aggregate.output_layer.get_weights()
    expected = np.concatenate([look, price, PATTERNS], axis=1) @ kernel + bias + words
    np.testing.assert_allclose(fusion(parts), expected, rtol=1e-4, atol=1e-6)


def test_the_attention():
    fusion, parts = made(aggregation="attention"), inputs()
    vectors = np.stack(hidden(fusion, parts), axis=1)  # [8, num_modalities, dim]
    attention = fusion.aggregate
    scores = np.tanh(vectors @ attention.hidden.kernel.numpy() + attention.biases.numpy()) @ attention.score.numpy()
    weights = np.exp(scores) * PATTERNS
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
    np.testing.assert_allclose(fusion(parts), (weights[:, :, None] * vectors).sum(axis=1), rtol=1e-4, atol=1e-6)


def test_neighbors_matter_once_there_are_some():
    fusion = GraphFusion(DIM, graphs=["look"], num_reference=NUM, activation="tanh")
    parts = embedded()
    alone = fusion(parts).numpy()
    assert [len(fusion.trainable_weights), len(fusion.non_trainable_weights)] == [3, 3]
    fusion.set_content("look", parts["look"]["vector"].numpy(), PATTERNS[:, 0])
    changed = np.abs(fusion(parts).numpy() - alone).max(axis=1) > 1e-3
    np.testing.assert_array_equal(changed, PATTERNS[:, 0])


def test_what_is_kept_where_content_is_absent_does_not_matter():
    fusion, other = made(), made()
    other.set_weights(fusion.get_weights())
    content = inputs(seed=3)["look"]
    other.set_content("look", np.where(PATTERNS[:, :1], content["vector"], np.nan), PATTERNS[:, 0])
    np.testing.assert_array_equal(other(inputs()), fusion(inputs()))


def test_graphs_may_be_said_later_but_not_too_late():
    fusion = GraphFusion(DIM)
    fusion.set_graphs(["price", "look"], NUM)
    assert fusion.get_config()["graphs"] == ["look", "price"] and fusion.get_config()["num_reference"] == NUM
    fusion(embedded())
    assert fusion.content_graphs["look"].num_reference == NUM
    with pytest.raises(UsageError, match="a graph fusion has its weights already; say of what it has graphs before"):
        fusion.set_graphs([], 1)


def test_what_is_refused():
    with pytest.raises(UsageError, match="aggregation must be one of sum, concat, attention, got 'max'"):
        GraphFusion(DIM, "max")
    with pytest.raises(UsageError, match="a fusion's dim must be at least 1, got 0"):
        GraphFusion(0)
    with pytest.raises(UsageError, match="a direct modality must have the result's size 4, but look has 3"):
        GraphFusion(DIM, direct=["look"])(embedded())
