import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.models.graph_candidates import GraphCandidates, GraphIdentifier
from tfmmrec.types import UsageError

TABLE = np.array([[1.0, 0.0], [0.0, 2.0], [4.0, 4.0]], np.float32)
IMAGES = np.array([[2.0, 0.0], [0.0, 0.0], [3.0, 3.0]], np.float32)  # the second has none
TEXTS = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 5.0]], np.float32)


def embedded(rows, images, texts):
    def part(values):
        values = np.array(values, np.float32)
        return {"vector": tf.constant(values), "present": tf.constant((values != 0).any(axis=1))}

    rows = tf.constant(rows, tf.int32)
    identity = {"vector": tf.zeros([len(rows), 1]), "present": rows >= 0, "row": rows}
    return {"id": identity, "image": part(images), "text": part(texts)}


def made(num_neighbors=2):
    layer = GraphCandidates(3, 2, num_neighbors)
    layer(embedded([-1], [[0, 0]], [[0, 0, 0]]))
    layer.table.assign(TABLE)
    layer.set_content("image", IMAGES, np.array([True, False, True]))
    layer.set_content("text", TEXTS, np.array([True, True, True]))
    return layer


def test_a_candidate_of_the_graph_is_looked_up_and_one_without_anything_is_zero():
    found = made()(embedded([1, -1, 2], [[1, 0], [0, 0], [0, 0]], [[0, 0, 0]] * 3))
    np.testing.assert_array_equal(found, [TABLE[1], [0, 0], TABLE[2]])


def test_one_outside_is_the_mean_of_its_neighbours_by_the_cosines_of_what_both_have():
    found = made()(embedded([-1, -1], [[5, 0], [0, 0]], [[3, 4, 0], [0, 0, -1]]))
    # with 0: (1 + .8) / 2; with 1, which has no image: .6; with 2: (√½ + 0) / 2, third
    weights = np.array([0.9, 0.6])
    np.testing.assert_allclose(found[0], weights @ TABLE[:2] / weights.sum(), rtol=1e-5)
    np.testing.assert_array_equal(found[1], [0, 0])  # nothing is nearer than a right angle


def test_known_candidates_without_an_edge_are_outside_the_graph():
    layer = made(num_neighbors=3)
    layer.in_graph.assign([0.0, 1.0, 1.0])
    found = layer(embedded([0], [[2, 0]], [[0, 1, 0]]))
    np.testing.assert_allclose(found[0], TABLE[2], rtol=1e-5)  # cosine 0 with 1, (√½ + 0) / 2 with 2


def test_neighbours_are_looked_for_some_candidates_at_a_time(monkeypatch):
    layer, random = made(), np.random.default_rng(0)
    given = embedded([-1, 1, -1, -1, -1], random.normal(size=(5, 2)), random.normal(size=(5, 3)))
    expected, look, sizes = layer(given), layer._of_neighbors, []
    monkeypatch.setattr("tfmmrec.neighbors._SIMILARITIES", 3 * 3 * 6)
    monkeypatch.setattr(layer, "_of_neighbors", lambda some: (sizes.append(len(some["text"])), look(some))[1])
    np.testing.assert_allclose(layer(given), expected, rtol=1e-6)
    assert sizes == [3, 1]


def test_ids_say_their_rows():
    encoder = GraphIdentifier(["a", "b"], 3)
    found = encoder(encoder.preprocess(tf.constant(["b", "x"])))
    assert found["row"].numpy().tolist() == [1, -1]
    assert found["present"].numpy().tolist() == [True, False]


def test_config_comes_back():
    layer = GraphCandidates(3, 2, 7, name="fusion")
    again = tf.keras.layers.deserialize(tf.keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config() and again.num_neighbors == 7


def test_sizes_are_checked():
    with pytest.raises(UsageError, match="num_known, dim and num_neighbors must be at least 1, got 3, 2, 0"):
        GraphCandidates(3, 2, 0)
