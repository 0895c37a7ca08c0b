import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.search.capped_top_k import capped_top_k, rank_within


def _greedy(scores, categories, cap, k):
    """One row: takes what is best and skips what is full."""
    taken, counts = [], {}
    for column in np.argsort(-scores, kind="stable"):
        category = categories[column]
        if scores[column] == -np.inf or len(taken) == k:
            break
        if cap > 0 and category >= 0 and counts.get(category, 0) >= cap:
            continue
        counts[category] = counts.get(category, 0) + 1
        taken.append(column)
    return taken


@pytest.mark.parametrize("seed", range(8))
def test_equals_taking_one_after_the_other(seed):
    random = np.random.default_rng(seed)
    batch, num_candidates, num_categories = 7, int(random.integers(1, 300)), int(random.integers(1, 6))
    scores = random.integers(0, 50, (batch, num_candidates)).astype(np.float32)  # with many ties
    scores[random.random(scores.shape) < 0.2] = -np.inf
    categories = random.integers(-1, num_categories, num_candidates).astype(np.int32)
    cap = random.integers(-1, 4, batch).astype(np.int32)
    k = int(random.integers(1, 40))
    top = tf.function(capped_top_k, autograph=False, reduce_retracing=True)
    values, columns = top(scores, tf.constant(categories), tf.constant(cap), tf.constant(k))
    assert values.shape == columns.shape == (batch, k)
    for row in range(batch):
        expected = _greedy(scores[row], categories, cap[row], k)
        found = np.isfinite(values[row])
        np.testing.assert_array_equal(columns[row][found], expected)
        np.testing.assert_array_equal(values[row][found], scores[row][expected])
        assert not found[len(expected) :].any()


def test_the_head_is_lengthened_as_far_as_it_takes():
    """The best 1,000 are of one category, of which one is allowed: the second best stands at place 1,001."""
    scores = np.arange(2000, 0, -1, dtype=np.float32)[None]
    categories = np.where(np.arange(2000) < 1000, 0, np.arange(2000)).astype(np.int32)
    values, columns = capped_top_k(scores, tf.constant(categories), tf.constant([1]), tf.constant(3))
    np.testing.assert_array_equal(columns, [[0, 1000, 1001]])
    np.testing.assert_array_equal(values, [[2000, 1000, 999]])


def test_rank_within():
    categories = tf.constant([[3, 1, 3, 3, 1, -1], [0, 0, 0, 0, 0, 0]])
    np.testing.assert_array_equal(rank_within(categories), [[0, 0, 1, 2, 1, 0], [0, 1, 2, 3, 4, 5]])
