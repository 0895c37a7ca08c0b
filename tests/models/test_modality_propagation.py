import numpy as np
import pytest
import tensorflow as tf

from tests.models.modality_graph import propagated, weights_of
from tfmmrec.models.modality_propagation import ModalityLayer, ModalityPropagation, PropagatedQuery
from tfmmrec.sparse_graph import BipartiteGraph
from tfmmrec.types import UsageError

SIZES = {"look": 4, "words": 2}  # of two modalities
DIM = 3


def nodes():
    """Who chose what, with a query and a candidate without any, and embeddings and content of both sides."""
    random = np.random.default_rng(0)
    adjacency = (random.random((7, 5)) < 0.4).astype(np.float32)
    adjacency[3] = 0.0
    adjacency[:, 2] = 0.0
    content = {name: random.normal(size=(5, size)).astype(np.float32) for name, size in SIZES.items()}
    content["words"][1] = 0.0  # absent
    queries, candidates = random.normal(size=(7, 3 * DIM)), random.normal(size=(5, DIM))
    return adjacency, queries.astype(np.float32), candidates.astype(np.float32), content


@pytest.mark.parametrize("combination", ["sum", "concat"])
@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_propagation_is_the_paper_s_and_a_history_gives_a_query_what_its_edges_give(num_layers, combination):
    adjacency, queries, candidates, content = nodes()
    of_query = PropagatedQuery(len(SIZES), DIM, num_layers, combination)
    propagation = ModalityPropagation(of_query)
    graph = BipartiteGraph(*np.nonzero(adjacency), 7, 5)
    as_tensors = tf.nest.map_structure(tf.constant, (queries, candidates, content))
    found, pooled = propagation(graph, *as_tensors)
    of_queries, of_candidates = propagated(adjacency, queries, candidates, content, weights_of(propagation))
    np.testing.assert_allclose(found, of_candidates, rtol=1e-4, atol=1e-5)
    root = np.maximum(adjacency.sum(axis=1, keepdims=True), 1) ** -0.5
    embedded = {
        "id": {"vector": queries, "present": np.ones(7, bool)},
        "history": {"vector": root * (adjacency @ pooled.numpy()), "present": adjacency.any(axis=1)},
    }
    assert pooled.shape[1] == of_query.history_dim and queries.shape[1] == of_query.query_dim
    np.testing.assert_allclose(of_query(tf.nest.map_structure(tf.constant, embedded)), of_queries, rtol=1e-4, atol=1e-5)


def test_gradients_are_those_of_the_formula():
    tf.keras.utils.set_random_seed(0)
    adjacency, queries, candidates, content = nodes()
    graph = BipartiteGraph(*np.nonzero(adjacency), 7, 5)
    propagation = ModalityPropagation(PropagatedQuery(len(SIZES), DIM, 2))
    embeddings = [tf.Variable(queries), tf.Variable(candidates)]
    content = tf.nest.map_structure(tf.constant, content)

    def loss():
        return sum(tf.reduce_sum(vectors**2) for vectors in propagation(graph, *embeddings, content))

    loss()  # creates the weights
    variables = embeddings + propagation.trainable_weights
    assert len(variables) == 2 + 2 * 3 + 2
    with tf.GradientTape() as tape:
        value = loss()
    for variable, gradient in zip(variables, tape.gradient(value, variables), strict=True):
        before, step = variable.numpy(), 1e-3 * np.sign(np.random.default_rng(1).normal(size=variable.shape))
        around = []
        for sign in (1, -1):
            variable.assign(before + sign * step.astype(np.float32))
            around.append(float(loss()))
        variable.assign(before)
        np.testing.assert_allclose((gradient.numpy() * step).sum(), (around[0] - around[1]) / 2, rtol=0.05, atol=2e-4)


def test_a_query_without_a_history_or_an_id_is_a_node_without():
    layer = PropagatedQuery(2, DIM, 2)
    size, history = layer.query_dim, layer.history_dim
    embedded = {
        "id": {"vector": tf.fill([2, size], 9.0), "present": tf.constant([False, False])},
        "history": {"vector": tf.ones([2, history]), "present": tf.constant([True, False])},
    }
    found = layer(embedded).numpy()
    assert np.abs(found[0]).max() > 0
    np.testing.assert_array_equal(found[1], np.zeros(DIM))


def test_weights_begin_as_glorot_has_it():
    tf.keras.utils.set_random_seed(0)
    layer = ModalityLayer(3, 64, "concat")
    np.testing.assert_allclose(np.std(layer.of_mean, axis=(1, 2)), (2 / 128) ** 0.5, rtol=0.05)
    np.testing.assert_allclose(np.std(layer.of_both, axis=(1, 2)), (2 / 192) ** 0.5, rtol=0.05)


@pytest.mark.parametrize(("kind", "arguments"), [(ModalityLayer, (2, 3)), (PropagatedQuery, (2, 3, 2))])
def test_config(kind, arguments):
    layer = kind(*arguments, "concat", name="fusion")
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config() and again.name == layer.name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2, 3, 2, "max"), "combination must be one of sum, concat, got 'max'"),
        ((0, 3, 2), "num_modalities and dim must be at least 1, got 0 and 3"),
        ((2, 3, 0), "num_layers must be at least 1, got 0; without propagation take vbpr"),
    ],
)
def test_what_is_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        PropagatedQuery(*arguments)
