import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.models import NUM_CANDIDATES, ModelCase, catalogue, named, ready, statistics
from tests.conformance.parts import embedded
from tfmmrec.models.alignments import ALIGNMENTS, candidate_alignments
from tfmmrec.models.two_tower_builder import build_two_tower
from tfmmrec.types import UsageError


@pytest.mark.parametrize("name", ALIGNMENTS)
def test_each_changes_what_the_fusion_gets_and_weighs_its_loss(name):
    [layer] = candidate_alignments([name], 5, 0.0)
    inputs = embedded() | {"id": embedded()["words"]}
    found = layer(inputs, training=True)
    assert layer.name == name and layer.losses == [0.0]
    shape = (8, 3) if name == "conversion" else (8, 5)
    assert found["look"]["vector"].shape == shape and np.isfinite(found["look"]["vector"]).all()
    assert found["id"]["vector"] is inputs["id"]["vector"]


def test_they_come_in_the_order_given():
    assert [layer.name for layer in candidate_alignments(("conversion", "subspace"), 2, 1.0)] == [
        "conversion",
        "subspace",
    ]
    assert candidate_alignments((), 2, 1.0) == []


def test_an_unknown_name_and_one_twice():
    with pytest.raises(
        UsageError, match="some of subspace, contrastive, adversarial, adversarial_alternating, conversion, got 'twist'"
    ):
        candidate_alignments(["subspace", "twist"], 2, 1.0)
    with pytest.raises(UsageError, match="once, got subspace, subspace"):
        candidate_alignments(["subspace", "subspace"], 2, 1.0)


@pytest.mark.parametrize("content_weight", [0.0, 0.5])
def test_a_step_over_the_catalogue_counts_each_loss_once(content_weight):
    case = named("aligned")
    model = ready(ModelCase("aligned", case.model, case.own | {"content_weight": content_weight})).model
    tower, raw = model.candidate_tower, model._catalogue[0]
    tower(raw, training=True)
    expected = [loss.numpy() for loss in tower.losses]
    assert len(expected) == 2 and min(expected) > 0.0
    batch = {"targets": tf.ones([2, NUM_CANDIDATES]), "query": {}}
    model.embed_queries = lambda *_: tf.ones([2, 8])  # of no interest here
    model.compute_loss(batch, training=True)
    np.testing.assert_allclose([loss.numpy() for loss in model.losses], expected, rtol=1e-6)
    model.compute_loss(batch, training=False)
    assert model.losses == []


@pytest.mark.parametrize("name", ["aligned in turns", "tasks aligned in turns"])
def test_a_discriminator_has_one_turn_in_a_step_of_several_calls(name):
    made = ready(named(name))
    [layer] = made.model.candidate_tower.alignments
    before = [weight.numpy() for dense in layer.discriminator for weight in dense.weights]
    made.fit(2)
    assert layer.optimizer.iterations == 2
    after = [weight for dense in layer.discriminator for weight in dense.weights]
    assert all(np.any(one != other) for one, other in zip(after, before, strict=True))


def test_they_are_hyperparameters_of_the_two_tower_model():
    schema, options = catalogue().schema, {"dim": 8, "feature_dim": 6, "image_size": 16}
    model = build_two_tower(schema, statistics(), alignment=("subspace",), alignment_weight=0.7, **options)
    [layer] = model.candidate_tower.alignments
    assert (layer.name, layer.dim, layer.weight) == ("subspace", 6, 0.7)
    assert not model.query_tower.alignments and not model.history_tower.alignments
    assert not build_two_tower(schema, statistics(), **options).candidate_tower.alignments
    alone = build_two_tower(schema, statistics(), alignment=("subspace",), content=False, **options)
    with pytest.raises(UsageError, match="subspace aligns modalities with each other and needs at least two, got none"):
        alone.build_towers()
