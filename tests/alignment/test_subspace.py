import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.alignments import loss_of
from tests.conformance.parts import PATTERNS, embedded
from tfmmrec.alignment import SubspaceAlignment
from tfmmrec.types import UsageError


def test_the_formula():
    layer, parts = SubspaceAlignment(4, orthogonality=0.3, weight=0.5), embedded()
    layer(parts)
    for number, kernel in enumerate(layer.kernels):
        kernel.assign_add(tf.random.stateless_normal(kernel.shape, [number, 1]))
    projections = [kernel.numpy().T for kernel in layer.kernels]  # P_m [dim, dim_m]
    distances = []
    for row in range(8):
        present = [m for m in range(3) if PATTERNS[row, m]]
        if not present:
            continue
        vectors = [list(parts.values())[m]["vector"].numpy()[row] for m in present]
        points = [projections[m] @ vector for m, vector in zip(present, vectors, strict=True)]
        shared = np.mean(points, axis=0)
        distances.append(sum(np.sum((point - shared) ** 2) for point in points))
    assert len(distances) == 7
    uneven = sum(np.sum((projection @ projection.T - np.eye(4)) ** 2) for projection in projections)
    expected = 0.5 * (np.mean(distances) + 0.3 * uneven)
    np.testing.assert_allclose(loss_of(layer), expected, rtol=1e-5)


def test_the_shared_point_has_no_gradient():
    layer, parts = SubspaceAlignment(2, orthogonality=0.0, weight=1.0), embedded(patterns=np.ones((8, 3), bool))
    layer(parts)
    vectors = [part["vector"].numpy() for part in parts.values()]
    points = [vector @ kernel.numpy() for vector, kernel in zip(vectors, layer.kernels, strict=True)]
    shared = np.mean(points, axis=0)
    with tf.GradientTape() as tape:
        loss = loss_of(layer, parts)
    for place, gradient in enumerate(tape.gradient(loss, layer.kernels)):
        # of mean_i ‖x_i K − z_i‖² with z held still
        expected = 2.0 * vectors[place].T @ (points[place] - shared) / 8
        np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5)


def test_training_brings_views_of_one_thing_together_and_keeps_them_spread():
    tf.keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    thing = random.normal(size=(200, 3))
    views = {
        name: {
            "vector": tf.constant(thing @ random.normal(size=(3, size)), tf.float32),
            "present": tf.constant(random.random(200) < 0.8),
        }
        for name, size in {"a": 4, "b": 5, "c": 6}.items()
    }
    layer, optimizer = SubspaceAlignment(2, weight=1.0), tf.keras.optimizers.Adam(0.02)
    layer(views)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = loss_of(layer, views)
        optimizer.apply_gradients(zip(tape.gradient(loss, layer.kernels), layer.kernels, strict=True))

    both = views["a"]["present"].numpy() & views["b"]["present"].numpy()

    def apart():
        points = layer.project(views).numpy()[both]
        return np.mean((points[:, 0] - points[:, 1]) ** 2) / np.mean(points[:, :2].var(axis=0))

    before = apart()
    for _ in range(400):
        step()
    assert before > 0.5 and apart() < 0.1 * before
    assert np.linalg.norm(layer.kernels[0].numpy()) > 0.8


def test_a_negative_orthogonality():
    with pytest.raises(UsageError, match="orthogonality must be at least 0, got -0.1"):
        SubspaceAlignment(2, -0.1)
