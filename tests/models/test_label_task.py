import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.models.label_task import LabelTask
from tfmmrec.types import UsageError

NUM_LABELS = 4
LOGITS = np.random.default_rng(2).normal(size=(5, NUM_LABELS)).astype(np.float32)
CODES = np.array([[2, 0, -1], [-1, -1, -1], [3, 3, 1], [1, -1, -1], [0, 1, 2]], np.int32)  # 3 stands twice


def task(several=True, **options):
    return LabelTask("tags", ["title", "photo"], NUM_LABELS, several, **options)


def test_tags_are_a_sum_of_sigmoid_cross_entropies():
    truth = np.array([[1, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 1], [0, 1, 0, 0], [1, 1, 1, 0]])
    chance = 1 / (1 + np.exp(-LOGITS))
    expected = -(truth * np.log(chance) + (1 - truth) * np.log(1 - chance)).sum(axis=1)
    expected[1] = 0.0  # nothing is known of it
    np.testing.assert_allclose(task().losses(tf.constant(LOGITS), tf.constant(CODES)), expected, rtol=1e-5)


def test_a_category_is_a_softmax_cross_entropy():
    codes = np.array([2, -1, 3, 1, 0], np.int32)
    log_share = LOGITS - np.log(np.exp(LOGITS).sum(axis=1, keepdims=True))
    expected = np.where(codes >= 0, -log_share[np.arange(5), codes], 0.0)
    found = task(several=False).losses(tf.constant(LOGITS), tf.constant(codes[:, None]))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_labels_beyond_the_most_frequent_are_missing():
    found = task().codes({"tags": {"codes": tf.constant([[0, 3], [4, 9], [-1, 5]])}})
    np.testing.assert_array_equal(found, [[0, 3], [-1, -1], [-1, -1]])


def test_an_identifier_has_one_label():
    np.testing.assert_array_equal(task().codes({"tags": {"row": tf.constant([2, -1, 7])}}), [[2], [-1], [-1]])


def embedded():
    part = {"vector": tf.ones([5, 3]), "present": tf.constant([True, True, False, True, False])}
    words = {"sequence": tf.ones([5, 2, 3]), "sequence_mask": tf.ones([5, 2], tf.bool)}
    photo = part | {"present": tf.constant([True, True, True, False, False])}
    everywhere = part | {"present": tf.ones([5], tf.bool)}
    return {"title": part | words, "photo": photo, "tags": everywhere, "about": everywhere | words, "id": everywhere}


def test_all_but_the_sources_are_absent():
    given = embedded()
    found = task().only(given)
    assert set(found) == set(given) and all(set(found[name]) == set(given[name]) for name in given)
    for name in ("tags", "about", "id"):
        assert not found[name]["present"].numpy().any()
    assert not found["about"]["sequence_mask"].numpy().any() and found["title"]["sequence_mask"].numpy().all()
    np.testing.assert_array_equal(found["photo"]["present"], given["photo"]["present"])
    assert given["tags"]["present"].numpy().all()  # it leaves what it was given as it is


def test_counted_is_what_has_a_label_and_a_source():
    # labels: all but candidate 1; sources: all but candidate 4
    np.testing.assert_array_equal(task().counted(embedded(), tf.constant(CODES)), [True, False, True, True, False])


def test_logits_are_linear_in_the_vectors():
    made, vectors = task(), np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    made(tf.constant(vectors))
    made.output_layer.bias.assign([1.0, 2.0, 3.0, 4.0])
    expected = vectors @ made.output_layer.kernel.numpy() + [1.0, 2.0, 3.0, 4.0]
    np.testing.assert_allclose(made(tf.constant(vectors)), expected, rtol=1e-5)


def test_it_comes_back_from_its_config():
    made = task(several=False, name="category")
    again = tf.keras.layers.deserialize(tf.keras.layers.serialize(made))
    assert type(again) is LabelTask and again.get_config() == made.get_config()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tags", ["title"], 0), "tags: a task needs at least one label, got 0"),
        (("tags", [], 3), "tags must be predicted from other features, got none"),
        (("tags", ["title", "tags"], 3), "tags must be predicted from other features, got title, tags"),
    ],
)
def test_what_cannot_be(arguments, message):
    with pytest.raises(UsageError, match=message):
        LabelTask(*arguments)
