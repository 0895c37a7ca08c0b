import numpy as np
import pytest
import tensorflow as tf

from tests.models.whole_graph import propagated
from tfmmrec.models.content_propagation import ContentPropagation
from tfmmrec.sparse_graph import BipartiteGraph
from tfmmrec.types import UsageError


def inputs():
    random = np.random.default_rng(0)
    adjacency = (random.random((7, 5)) < 0.4).astype(np.float64)
    queries, candidates = random.normal(size=(7, 3)), random.normal(size=(5, 3))
    content = {"photo": random.normal(size=(5, 4)), "title": random.normal(size=(5, 2))}
    content["photo"][1] = 0.0  # absent
    return adjacency, queries, candidates, content


def call(layer, adjacency, queries, candidates, content, training=False):
    of = [tf.constant(values, tf.float32) for values in (queries, candidates)]
    of_content = {name: tf.constant(vectors, tf.float32) for name, vectors in content.items()}
    return layer(BipartiteGraph(*np.nonzero(adjacency), 7, 5), *of, of_content, training=training)


def test_content_is_propagated_with_the_embeddings():
    adjacency, queries, candidates, content = inputs()
    layer = ContentPropagation(3, 2)
    found, pooled = call(layer, adjacency, queries, candidates, content)
    photo, title = (weights.numpy() for weights in layer.trainable_weights)  # [4, 3], [2, 3]
    initial = candidates + content["photo"] @ photo + content["title"] @ title
    of_queries, of_candidates = propagated(adjacency, queries, initial, 2)
    np.testing.assert_allclose(found, of_candidates, rtol=1e-4, atol=1e-6)
    root = np.maximum(adjacency.sum(axis=1, keepdims=True), 1) ** -0.5
    np.testing.assert_allclose(queries / 3 + root * (adjacency @ pooled), of_queries, rtol=1e-4, atol=1e-6)


def test_content_is_dropped_in_training_alone():
    layer = ContentPropagation(3, 1, dropout=0.5)
    first, second = (call(layer, *inputs(), training=True)[0].numpy() for _ in range(2))
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(call(layer, *inputs())[0], call(layer, *inputs())[0])


def test_a_dropout_of_everything_is_refused():
    with pytest.raises(UsageError, match="1.0"):
        ContentPropagation(3, 1, dropout=1.0)
