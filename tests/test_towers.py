import json

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.encoders import picture
from tfmmrec.encoders import HistoryEncoder, IdentifierEncoder, ImageEncoder, NumberEncoder, TextEncoder
from tfmmrec.fusion import CrossAttentionFusion, EarlyFusion, HybridFusion, LateFusion, LateQueryHead
from tfmmrec.towers import Tower, _unit
from tfmmrec.types import UsageError


def encoders(mode="finetuned"):
    return {
        "title": TextEncoder(["red", "dress", "hat"], 3, name="title"),
        "id": IdentifierEncoder(["a", "b"], 4, name="id"),
        "price": NumberEncoder([0.0, 10.0, 2000.0], 2, name="price"),
        "photo": ImageEncoder(3, 8, 8, filters=(4,), mode=mode, name="photo"),
    }


def raw(photo=None):
    return {
        "title": tf.constant(["red dress", "", "hat"]),
        "id": tf.constant(["a", "b", "unknown"]),
        "price": tf.constant([5.0, float("nan"), 1500.0]),
        "photo": tf.constant([picture(9, 200), picture(200, 9), b""] if photo is None else photo),
    }


def make(fusion=None, **options):
    tf.keras.utils.set_random_seed(0)
    return Tower(encoders(), fusion or EarlyFusion(5), name="candidate_tower", **options)


def embed(tower, values=None):
    return tower(tower.preprocess(values or raw())).numpy()


def test_it_is_encoders_then_fusion_then_head():
    tower = make(head=tf.keras.layers.Dense(2))
    inputs = tower.preprocess(raw())
    embedded = {name: encoder(inputs[name]) for name, encoder in tower.encoders.items()}
    np.testing.assert_allclose(tower(inputs), tower.head(tower.fusion(embedded)), rtol=1e-5, atol=1e-6)
    assert tower(inputs).shape == [3, 2]


def test_normalised_vectors_have_unit_length():
    plain, normalised = make(), make(normalize=True)
    vectors = embed(plain)
    normalised.build_from_raw()
    normalised.set_weights(plain.get_weights())
    np.testing.assert_allclose(
        embed(normalised), vectors / np.linalg.norm(vectors, axis=1, keepdims=True), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_a_row_without_anything_has_a_finite_vector(policy):
    tf.keras.mixed_precision.set_global_policy(policy)
    try:
        tower = make(normalize=True)
        nothing = {
            "title": tf.constant([""]),
            "id": tf.constant(["?"]),
            "price": tf.constant([float("nan")]),
            "photo": tf.constant([""]),
        }
        found = embed(tower, nothing)
        vectors = embed(tower)
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    np.testing.assert_array_equal(found, np.zeros((1, 5)))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-3)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_numbers_are_read_whole_under_mixed_precision(policy):
    tf.keras.mixed_precision.set_global_policy(policy)
    try:
        tower = Tower({"year": NumberEncoder([2000.0, 2001.0, 1e6], 2)}, EarlyFusion(2))
        inputs = tower.preprocess({"year": tf.constant([2000.5, 2001.0, 9e5])})
        present = tower.encode(inputs)["year"]["present"]
        vectors = tf.cast(tower(inputs), tf.float32).numpy()
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    assert present.numpy().all()
    assert (vectors[0] != vectors[1]).any()  # half precision would read 2000.5 as 2000 or 2001


@pytest.mark.parametrize("fusion", [EarlyFusion, LateFusion, HybridFusion])
@pytest.mark.parametrize("name", ["title", "id", "price", "photo"])
def test_each_modality_may_be_missing(fusion, name):
    """What is raw in a row that lacks a modality makes no difference, and the row still has a vector."""
    missing = {
        "title": ["", "?!", "never seen"],
        "id": ["", "?", "A"],
        "price": [float("nan"), float("inf"), -float("inf")],
        "photo": ["", "", ""],
    }
    tower = make(fusion(5))
    whole = {feature: tf.repeat(values[:1], 3, axis=0) for feature, values in raw().items()}
    lacking = embed(tower, whole | {name: tf.constant(missing[name])})
    assert np.isfinite(lacking).all()
    np.testing.assert_allclose(lacking, lacking[[0, 0, 0]], atol=1e-6)
    assert np.abs(lacking - embed(tower, whole)).max() > 1e-3


def test_cached_vectors_take_the_place_of_an_encoder():
    tower = make()
    inputs = tower.preprocess(raw())
    photo = tower.encoders["photo"](inputs["photo"])
    cached = dict(inputs) | {"photo": {"vector": photo["vector"], "present": photo["present"]}}
    np.testing.assert_allclose(tower(cached), tower(inputs), rtol=1e-5, atol=1e-6)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tower(cached) ** 2)
    convolution = tower.encoders["photo"].trainable_variables
    assert tape.gradient(loss, convolution) == [None] * len(convolution)


def test_a_fusion_of_sequences_is_served_what_it_was_trained_on():
    tower = Tower(encoders("cached"), CrossAttentionFusion(4), name="candidate_tower")
    inputs = tower.preprocess(raw())
    photo = tower.encoders["photo"](inputs["photo"])
    assert "sequence" in photo  # of the encoder that runs when served, not of the store that training reads
    stored = dict(inputs) | {"photo": {"vector": photo["vector"], "present": photo["present"]}}
    tower.build_from_raw()
    np.testing.assert_allclose(tower(inputs), tower(stored), rtol=1e-5, atol=1e-6)
    assert set(tower.encode(inputs)["photo"]) == {"vector", "present"}
    assert set(tower.fusion.within) == {"title"}  # finetuned


def test_terms_are_for_fusions_that_read_them():
    inputs = make().preprocess(raw())
    assert not any(key.startswith("term") for part in make().encode(inputs).values() for key in part)
    fusion = EarlyFusion(2)
    fusion.reads_terms = True
    tower = Tower(encoders("cached"), fusion, name="candidate_tower")
    found = tower.encode(inputs)["title"]
    assert tower.reads_terms and not make().reads_terms
    expected = tower.encoders["title"](inputs["title"])
    np.testing.assert_array_equal(found["terms"], expected["terms"])
    np.testing.assert_array_equal(found["term_weights"], expected["term_weights"])


def test_features_that_are_cached_are_named():
    assert Tower(encoders("cached"), EarlyFusion(2)).cached_features == ("photo",)
    assert make().cached_features == ()


def test_its_raw_signature():
    assert make().raw_signature() == {
        "id": tf.TensorSpec([None], tf.string),
        "photo": tf.TensorSpec([None], tf.string),
        "price": tf.TensorSpec([None], tf.float32),
        "title": tf.TensorSpec([None], tf.string),
    }


def test_building_creates_every_weight_and_tells_the_size():
    tower = make(head=tf.keras.layers.Dense(7))
    assert tower.build_from_raw() == 7
    names = {id(variable) for variable in tower.variables}
    embed(tower)
    assert {id(variable) for variable in tower.variables} == names


def test_building_with_a_history_takes_its_tensors():
    tower = Tower({"id": IdentifierEncoder(["q"], 2), "history": HistoryEncoder(3)}, EarlyFusion(4))
    history = {"rows": tf.fill([1, 1], -1), "table": tf.zeros([5, 2])}
    assert tower.build_from_raw({"history": history}) == 4
    assert any(variable.shape == [2 + 2 + 2, 4] for variable in tower.trainable_variables)


def test_weights_follow_the_config():
    tower = make(head=tf.keras.layers.Dense(3, name="head"), normalize=True)
    expected = embed(tower)
    again = Tower.from_config(json.loads(json.dumps(tower.get_config())))
    again.build_from_raw()
    again.set_weights(tower.get_weights())
    np.testing.assert_allclose(embed(again), expected, rtol=1e-5, atol=1e-6)
    assert again.name == "candidate_tower" and again.normalize


@pytest.mark.parametrize("fusion", [LateFusion, HybridFusion])
def test_nothing_may_follow_a_fusion_that_stands_last(fusion):
    message = f"{fusion.__name__} gives one block per modality whose weighted sum is the score"
    with pytest.raises(UsageError, match=message):
        make(fusion(4), normalize=True)
    with pytest.raises(UsageError, match="leave out head and set normalize=False"):
        make(fusion(4), head=tf.keras.layers.Dense(4))
    make(fusion(4))


def test_a_query_under_late_fusion_has_a_head():
    tower = Tower({"id": IdentifierEncoder(["q"], 2)}, EarlyFusion(6), head=LateQueryHead(3, 4))
    assert tower.build_from_raw() == 12


def test_no_encoder_is_refused():
    with pytest.raises(UsageError, match="lonely needs at least one encoder; give the side an id or a feature"):
        Tower({}, EarlyFusion(3), name="lonely")


def test_features_that_are_missing_are_named():
    tower = make()
    inputs = tower.preprocess({"id": tf.constant(["a"]), "price": tf.constant([1.0])})
    with pytest.raises(UsageError, match=r"expects the features .* these are missing: \['photo', 'title'\]"):
        tower(inputs)


def test_raw_tensors_are_refused():
    tower = Tower({"id": IdentifierEncoder(["a"], 3, name="id")}, EarlyFusion(3), name="query_tower")
    with pytest.raises(UsageError, match=r"but id is raw: pass query_tower.preprocess\(...\) of them"):
        tower({"id": tf.constant(["a"])})


def test_a_row_of_zeros_has_unit_length_s_gradient_nowhere():
    vectors = tf.constant([[0.0, 0.0], [3.0, 4.0]])
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        unit = _unit(vectors)
        total = tf.reduce_sum(unit * [[5.0, 5.0], [1.0, 0.0]])
    np.testing.assert_allclose(unit, [[0, 0], [0.6, 0.8]], rtol=1e-6)
    np.testing.assert_allclose(tape.gradient(total, vectors), [[0, 0], [0.128, -0.096]], rtol=1e-5)
