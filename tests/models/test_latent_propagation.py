import numpy as np
import pytest
import tensorflow as tf

from tests.models.whole_graph import content_graph, propagated
from tfmmrec.models.latent_propagation import LatentPropagation
from tfmmrec.sparse_graph import BipartiteGraph
from tfmmrec.types import UsageError

ADJACENCY = np.array([[1, 1, 0, 0, 0], [0, 1, 0, 1, 0], [0, 0, 0, 0, 0], [1, 0, 0, 1, 1]], np.float64)


def drawn(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def content():
    """Of five candidates: the second has no image, the last nothing."""
    found = {"image": drawn(5, 3), "text": drawn(5, 4)}
    found["image"][[1, 4]] = 0.0
    found["text"][4] = 0.0
    return {name: tf.constant(vectors) for name, vectors in found.items()}


def made(**options):
    layer = LatentPropagation(2, 2, num_neighbors=2, frozen_weight=0.7, projection_dim=3, **options)
    layer.create_weights(content())
    for number, variable in enumerate(layer.trainable_variables):
        variable.assign(drawn(*variable.shape) + 0.1 * number)
    layer.freeze(content())
    return layer


def graph():
    return BipartiteGraph(*np.nonzero(ADJACENCY), 4, 5)


def latent(layer):
    """The paper's matrix A."""
    logits = layer.modality_logits.numpy()
    shares = np.exp(logits) / np.exp(logits).sum()
    total = np.zeros((5, 5))
    for share, (name, vectors) in zip(shares, sorted(content().items()), strict=True):
        vectors, project = vectors.numpy(), layer.projections[name]
        projected = vectors @ project.kernel.numpy() + project.bias.numpy()
        projected[np.abs(vectors).max(axis=1) == 0] = 0.0
        frozen, learned = (content_graph(of, 2, lambda cosine: max(cosine, 0.0)) for of in (vectors, projected))
        total += share * (0.7 * frozen + 0.3 * learned)
    return total


@pytest.mark.parametrize("num_content_layers", [1, 2])
def test_z_is_lightgcn_s_and_what_the_latent_graph_brings(num_content_layers):
    layer = made(num_content_layers=num_content_layers)
    queries, candidates = drawn(4, 2), drawn(5, 2)
    found, pooled = layer(graph(), queries, candidates, content())
    of_queries, of_candidates = propagated(ADJACENCY, queries, candidates, 2)
    brought = np.linalg.matrix_power(latent(layer), num_content_layers) @ candidates
    lengths = np.linalg.norm(brought, axis=1, keepdims=True)
    assert lengths[4] == 0 and lengths[:4].min() > 0
    expected = of_candidates + brought / np.where(lengths > 0, lengths, 1.0)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    root = np.maximum(ADJACENCY.sum(axis=1, keepdims=True), 1) ** -0.5
    np.testing.assert_allclose(queries / 3 + root * (ADJACENCY @ pooled), of_queries, rtol=1e-4, atol=1e-6)


def test_gradients_reach_projections_and_modalities_by_the_weights_of_neighbours():
    layer, queries, candidates = made(num_content_layers=2), drawn(4, 2), drawn(5, 2)
    factors = drawn(5, 2) - 0.3
    project = layer.projections["text"]

    def total():
        return tf.reduce_sum(layer(graph(), queries, candidates, content())[0] * factors)

    with tf.GradientTape() as tape:
        loss = total()
    gradients = tape.gradient(loss, [project.kernel, layer.modality_logits])
    for variable, gradient in zip([project.kernel, layer.modality_logits], gradients, strict=True):
        step = 0.01 * np.sign(gradient.numpy())  # small: the neighbours stay, as they were looked up, and are positive
        variable.assign_add(step)
        above = float(total())
        variable.assign_sub(2 * step)
        slope = (above - float(total())) / 0.02
        variable.assign_add(step)
        expected = float(np.abs(gradient).sum())
        assert expected > 0.005
        assert slope == pytest.approx(expected, rel=0.05)


def test_neighbours_change_when_they_are_looked_up():
    layer = made()
    before = layer.neighbors.numpy()
    assert (before[:, 4] == -1).all() and (before[0, 1] == -1).all() and (before[:, 0] >= 0).all()
    project = layer.projections["text"]
    project.kernel.assign(-drawn(4, 3)[:, ::-1] * [[1.0], [5.0], [-2.0], [3.0]])
    np.testing.assert_array_equal(layer.neighbors, before)
    layer.refresh(content())
    after = layer.neighbors.numpy()
    assert (after[0] == before[0]).all() and (after[1] != before[1]).any()


def test_before_there_is_content_it_is_lightgcn_s():
    layer = LatentPropagation(2, 1)
    found, _ = layer(graph(), drawn(4, 2), drawn(5, 2), content())
    np.testing.assert_allclose(found, propagated(ADJACENCY, drawn(4, 2), drawn(5, 2), 1)[1], rtol=1e-4, atol=1e-6)
    assert len(layer.trainable_variables) == 5 and (layer.neighbors.numpy() == -1).all()


def test_what_is_refused(monkeypatch):
    with pytest.raises(UsageError, match="num_graph_neighbors and projection_dim must be at least 1, got 1, 0 and 64"):
        LatentPropagation(2, 2, num_neighbors=0)
    with pytest.raises(UsageError, match=r"frozen_weight must lie in \[0, 1\), got 1.0"):
        LatentPropagation(2, 2, frozen_weight=1.0)
    monkeypatch.setattr("tfmmrec.memory.available_bytes", lambda: 1000)
    with pytest.raises(UsageError, match="the latent graph of candidates needs .* take fewer num_graph_neighbors"):
        made()
