import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.models.rating_task import RatingTask
from tfmmrec.types import UsageError

QUERY_ROWS, CANDIDATE_ROWS = np.array([1, 0, -1, 2]), np.array([0, 3, 1, -1])
RATINGS = np.array([5.0, np.nan, 3.0, 1.0], np.float32)


def made(**options):
    """A task whose weights are not the initial ones, and vectors of both sides, of different sizes."""
    random = np.random.default_rng(1)
    task = RatingTask(3, 4, **({"mean": 3.5, "stddev": 1.5, "dim": 2, "regularization": 0.1} | options))
    query, candidate = random.normal(size=(2, 4, 5)).astype(np.float32)
    vectors = [tf.constant(query), tf.constant(candidate)]
    task(vectors, tf.constant(QUERY_ROWS), tf.constant(CANDIDATE_ROWS))
    for variable in task.trainable_variables:
        variable.assign(random.normal(size=variable.shape))
    return task, vectors


def expected(task, query, candidate):
    """r̂ and what the regularization multiplies."""
    of_query = np.where(QUERY_ROWS >= 0, task.query_bias.numpy()[QUERY_ROWS], 0.0)
    of_candidate = np.where(CANDIDATE_ROWS >= 0, task.candidate_bias.numpy()[CANDIDATE_ROWS], 0.0)
    z, w = query @ task.of_query.kernel.numpy(), candidate @ task.of_candidate.kernel.numpy()
    rating = 3.5 + 1.5 * (of_query + of_candidate + (z * w).sum(axis=1))
    return rating, of_query**2 + of_candidate**2 + (z**2).sum(axis=1) + (w**2).sum(axis=1)


def test_a_rating_is_the_mean_two_biases_and_a_product_and_its_loss_the_paper_s():
    task, vectors = made()
    rating, penalty = expected(task, *(part.numpy() for part in vectors))
    rows = tf.constant(QUERY_ROWS), tf.constant(CANDIDATE_ROWS)
    found = task(vectors, *rows)
    np.testing.assert_allclose(found["rating"], rating, rtol=1e-5)
    np.testing.assert_allclose(found["penalty"], penalty, rtol=1e-5)
    losses = ((RATINGS - rating) / 1.5) ** 2 + 0.1 * penalty
    np.testing.assert_allclose(task.losses(vectors, *rows, tf.constant(RATINGS)), np.nan_to_num(losses), rtol=1e-5)


def test_at_first_a_rating_is_nearly_the_mean_and_the_biases_that_are_given():
    biases = {"query_biases": [0.5, -1.0, 0.25], "candidate_biases": [2.0, -1.0, 0.0, -0.5]}
    task = RatingTask(3, 4, mean=3.5, stddev=1.5, **biases)
    bare = RatingTask(3, 4, mean=3.5, stddev=1.5)
    vectors = [tf.random.stateless_normal([4, 64], [side, 2]) for side in range(2)]
    found = task(vectors, tf.constant(QUERY_ROWS), tf.constant(CANDIDATE_ROWS))["rating"]
    np.testing.assert_allclose(found, 3.5 + np.array([-1.0 + 2.0, 0.5 - 0.5, -1.0, 0.25]), atol=0.2)
    found = bare(vectors, tf.constant(QUERY_ROWS), tf.constant(CANDIDATE_ROWS))["rating"]
    np.testing.assert_allclose(found, 3.5, atol=0.2)


def test_gradients_reach_both_towers_and_every_weight_and_are_finite_beside_a_missing_rating():
    task, vectors = made()
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        losses = task.losses(vectors, tf.constant(QUERY_ROWS), tf.constant(CANDIDATE_ROWS), tf.constant(RATINGS))
    of_vectors, of_weights = tape.gradient(losses, (vectors, task.trainable_variables))
    for gradient in of_vectors:
        norms = np.linalg.norm(gradient, axis=1)
        assert np.isfinite(norms).all() and norms[1] == 0.0 and (norms[[0, 2, 3]] > 0).all()
    assert len(of_weights) == 4
    for gradient in of_weights:
        dense = tf.convert_to_tensor(gradient).numpy()
        assert np.isfinite(dense).all() and np.abs(dense).max() > 0.0


def test_it_computes_in_full_precision(policy_float16):
    task, vectors = made()
    halves = [tf.cast(part, tf.float16) for part in vectors]
    found = task(halves, tf.constant(QUERY_ROWS), tf.constant(CANDIDATE_ROWS))["rating"]
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, expected(task, *(part.numpy().astype("f4") for part in halves))[0], rtol=1e-4)


@pytest.fixture
def policy_float16():
    tf.keras.mixed_precision.set_global_policy("mixed_float16")
    yield
    tf.keras.mixed_precision.set_global_policy("float32")


def test_it_comes_back_from_its_config():
    task, _ = made(name="rating")
    again = tf.keras.layers.deserialize(tf.keras.layers.serialize(task))
    assert type(again) is RatingTask and again.get_config() == task.get_config()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 0}, "rating_dim must be at least 1, got 0"),
        ({"stddev": 0.0}, "standard deviation must be positive, got 0.0"),
        ({"regularization": -1.0}, "rating_regularization must be 0 or more, got -1.0"),
    ],
)
def test_numbers_out_of_range(options, message):
    with pytest.raises(UsageError, match=message):
        RatingTask(3, 4, **options)
