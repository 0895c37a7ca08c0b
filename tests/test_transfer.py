import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.choices import learn
from tests.conformance.models import ModelCase, catalogue
from tfmmrec.encoders import (
    CategoryEncoder,
    HashedIdentifier,
    IdentifierEncoder,
    ImageEncoder,
    NumberEncoder,
    TextEncoder,
)
from tfmmrec.runs import read_config, read_start
from tfmmrec.transfer import describe_transfer, transfer_encoder, transfer_weights
from tfmmrec.types import DataError


def test_words_that_both_know_are_taken_and_others_begin_at_zero():
    source, target = TextEncoder(["red", "wool", "coat"], 2), TextEncoder(["coat", "silk", "red", "blue"], 2)
    assert transfer_encoder(source, target) == 0.5
    there = source.embeddings.numpy()
    np.testing.assert_array_equal(target.embeddings, [there[2], [0, 0], there[0], [0, 0]])


def test_values_that_both_know_are_taken_and_others_stay():
    source, target = CategoryEncoder(["x", "y"], 2), CategoryEncoder(["y", "z"], 2)
    before = target.embeddings.numpy()
    assert transfer_encoder(source, target) == 0.5
    np.testing.assert_array_equal(target.embeddings, [source.embeddings.numpy()[1], before[1]])


def test_ids_and_what_does_not_fit_stay():
    for source, target in (
        (IdentifierEncoder(["a"], 2), IdentifierEncoder(["a"], 2)),
        (HashedIdentifier(["a"], 2, 1), HashedIdentifier(["a"], 2, 1)),
        (TextEncoder(["red"], 3), TextEncoder(["red"], 2)),
        (TextEncoder(["red"], 2), CategoryEncoder(["red"], 2)),
        (None, TextEncoder(["red"], 2)),
        (TextEncoder(["red"], 2), TextEncoder([], 2)),
        (None, NumberEncoder([0.0, 1.0], 2)),
        (NumberEncoder([0.0, 5.0], 2), NumberEncoder([0.0, 1.0], 2)),
        (TextEncoder(["red"], 2), TextEncoder(["red", "wool", "coat"], 2)),
    ):
        for encoder in (source, target):
            if encoder is not None:
                encoder.build(None)
        before = target.get_weights()
        assert transfer_encoder(source, target) == 0.0
        for own, then in zip(target.get_weights(), before, strict=True):
            np.testing.assert_array_equal(own, then)


@pytest.mark.parametrize(("source", "target"), [("full", "none"), ("none", "crop"), ("crop", "full")])
def test_how_pictures_were_changed_in_training_does_not_matter(source, target):
    source, target = (ImageEncoder(3, 8, 8, (4, 6), augmentation=manner) for manner in (source, target))
    pixels = {"pixels": tf.fill([2, 8, 8, 3], tf.constant(9, tf.uint8)), "has_pixels": tf.ones([2], tf.bool)}
    source(pixels, training=True)
    target(pixels)
    assert transfer_encoder(source, target) == 1.0
    for own, other in zip(target.trainable_variables, source.trainable_variables, strict=True):
        np.testing.assert_array_equal(own, other)
    draws = target.augmentation.draws
    assert draws is None or draws.count == 0  # its own stream begins


def test_a_model_takes_all_but_the_ids():
    case = ModelCase("two towers", "two_tower", {})
    source, target = case.build(), case.build()
    for number, variable in enumerate(source.variables):
        if variable.dtype.is_floating:
            variable.assign_add(tf.random.stateless_normal(variable.shape, [number, 1], dtype=variable.dtype))
    ids = target.candidate_tower.encoders["id"].embeddings.numpy()
    taken = transfer_weights(source, target)
    assert taken.pop("candidate_tower/id") == taken.pop("candidate_tower/artist") == 0.0
    assert taken["candidate_tower/title"] == taken["candidate_tower/photo"] == taken["query_tower/fusion"] == 1.0
    assert set(taken[name] for name in taken if not name.endswith(("/id", "/artist"))) == {1.0}
    np.testing.assert_array_equal(target.candidate_tower.encoders["id"].embeddings, ids)
    for own, other in zip(target.candidate_tower.fusion.weights, source.candidate_tower.fusion.weights, strict=True):
        np.testing.assert_array_equal(own, other)


def test_a_fusion_of_other_modalities_stays():
    case = ModelCase("a", "two_tower", {})
    source, target = case.build(), case.build()
    source.candidate_tower.encoders = {
        f"other_{name}": encoder for name, encoder in source.candidate_tower.encoders.items()
    }
    before = target.candidate_tower.fusion.get_weights()
    assert transfer_weights(source, target)["candidate_tower/fusion"] == 0.0
    for own, then in zip(target.candidate_tower.fusion.get_weights(), before, strict=True):
        np.testing.assert_array_equal(own, then)


def test_of_a_linear_blend_what_is_trained_is_taken():
    case = ModelCase("a", "linear_blend", {"rank": 3})
    source, target = case.build(), case.build()
    assert transfer_weights(source, target)["candidate_tower/fusion"] == 1.0
    own, there = (model.candidate_tower.fusion.inner.get_weights() for model in (target, source))
    np.testing.assert_array_equal(own[0], there[0])


def test_models_that_share_nothing_take_nothing():
    taken = transfer_weights(ModelCase("a", "lightgcn", {}).build(), ModelCase("b", "two_tower", {}).build())
    assert not any(share for name, share in taken.items() if "fusion" in name)


def test_what_was_taken_is_told():
    taken = {"query_tower/age": 0.0, "candidate_tower/id": 0.0, "candidate_tower/photo": 1.0}
    taken |= {"candidate_tower/title": 0.834, "candidate_tower/genre": 0.002, "history_tower/fusion": 1.0}
    assert describe_transfer(taken) == [
        "query tower: nothing of age",
        "candidate tower: photo 100%, title 83%, genre <1%; nothing of id",
        "history tower: fusion 100%",
    ]
    assert describe_transfer({}) == []


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return learn(tmp_path_factory.mktemp("runs") / "source", "two_tower", catalogue(), epochs=2, image_steps=2)


def test_a_training_begins_with_another_run(source, tmp_path):
    known = catalogue()
    other = dataclasses.replace(known, fingerprint="other")
    run = learn(
        tmp_path / "run", "two_tower", other, epochs=1, image_steps=50, learning_rate=1e-9, start_from=source.path
    )
    assert read_config(run.path).start_from == str(source.path) and not read_start(source.path)
    taken = read_start(run.path)
    assert taken["candidate_tower/photo"] == taken["candidate_tower/title"] == taken["candidate_tower/fusion"] == 1.0
    assert taken["candidate_tower/id"] == 0.0
    for name in ("photo", "title", "genre"):
        own, there = (found.model.candidate_tower.encoders[name].get_weights() for found in (run, source))
        for weight, expected in zip(own, there, strict=True):
            np.testing.assert_allclose(weight, expected, atol=1e-5)
    ids = [found.model.candidate_tower.encoders["id"].embeddings.numpy() for found in (run, source)]
    assert np.abs(ids[0] - ids[1]).max() > 1e-2


def test_a_run_that_is_none_is_refused(tmp_path):
    with pytest.raises(DataError, match="expected a run folder with config.json, found none"):
        learn(tmp_path / "run", "two_tower", catalogue(), epochs=1, start_from=tmp_path / "nothing")
    assert not (tmp_path / "run" / "config.json").exists()
