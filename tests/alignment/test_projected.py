import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.parts import MODALITIES, PATTERNS, embedded
from tfmmrec.alignment import ContrastiveAlignment, SubspaceAlignment
from tfmmrec.alignment.projected import ProjectedAlignment
from tfmmrec.types import UsageError


def test_each_modality_has_its_own_projection_and_is_zero_where_absent():
    layer, parts = SubspaceAlignment(5), embedded(absent=np.nan)
    layer(parts)
    found = layer.project(parts).numpy()
    assert found.shape == (8, 3, 5) and len(layer.trainable_weights) == 3
    for place, name in enumerate(MODALITIES):
        vectors = np.where(PATTERNS[:, place, None], parts[name]["vector"], 0.0)
        np.testing.assert_allclose(found[:, place], vectors @ layer.kernels[place].numpy(), atol=1e-6)


@pytest.mark.parametrize("training", [False, True])
def test_the_fusion_gets_the_projections_where_they_replace_the_vectors(training):
    parts = embedded() | {"id": embedded()["words"]}
    parts["look"]["sequence"] = tf.ones([8, 2, 3])
    kept, replaced = ContrastiveAlignment(2), ContrastiveAlignment(2, replace=True)
    for name, part in kept(parts, training=training).items():
        assert part.keys() == parts[name].keys()
        assert all(part[key] is parts[name][key] for key in part)
    found = replaced(parts, training=training)
    for place, name in enumerate(MODALITIES):
        np.testing.assert_array_equal(found[name]["vector"], replaced.project(parts)[:, place])
        assert found[name]["present"] is parts[name]["present"]
    assert found["look"]["sequence"] is parts["look"]["sequence"] and found["id"]["vector"] is parts["id"]["vector"]
    assert parts["look"]["vector"].shape[-1] == 3  # what was given stays


def test_the_loss_weighs_what_it_shall():
    losses = []
    for weight in (1.0, 0.25):
        tf.keras.utils.set_random_seed(0)
        layer = ContrastiveAlignment(3, weight=weight)
        layer(embedded(), training=True)
        losses += layer.losses
    np.testing.assert_allclose(losses[1], 0.25 * losses[0], rtol=1e-6)


def test_a_size_below_one():
    with pytest.raises(UsageError, match="an alignment's dim must be at least 1, got 0"):
        ProjectedAlignment(0)
