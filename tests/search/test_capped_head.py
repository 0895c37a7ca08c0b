import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.search.capped_head import capped_head, rank_within
from tfmmrec.search.top_k import two_stage_top_k


def _capped(scores, first, categories, cap, min_score, wanted):
    size = tf.size(categories)
    return capped_head(
        lambda length: two_stage_top_k(scores, length), first, _of(categories), size, cap, min_score, wanted
    )


def _of(categories):
    return lambda rows: tf.gather(categories, rows)


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
    wanted = random.integers(0, 40, batch).astype(np.int32)
    least = random.choice([-np.inf, 10.0, np.nan], batch).astype(np.float32)
    top = tf.function(_capped, autograph=False, reduce_retracing=True)
    values, columns = top(scores, None, *(tf.constant(value) for value in (categories, cap, least, wanted)))
    assert values.shape == columns.shape == (batch, wanted.max())
    for row in range(batch):
        within = np.where(scores[row] < least[row], -np.inf, scores[row])  # nothing is less than NaN
        expected = _greedy(within, categories, cap[row], wanted[row])
        found = np.isfinite(values[row])
        np.testing.assert_array_equal(columns[row][found], expected)
        np.testing.assert_array_equal(values[row][found], scores[row][expected])
        assert not found[len(expected) :].any()


def test_the_head_is_lengthened_as_far_as_it_takes():
    """The best 1,000 are of one category, of which one is allowed: the second best stands at place 1,001."""
    scores = np.arange(2000, 0, -1, dtype=np.float32)[None]
    categories = np.where(np.arange(2000) < 1000, 0, np.arange(2000)).astype(np.int32)
    values, columns = _capped(scores, None, tf.constant(categories), tf.constant([1]), [-np.inf], tf.constant([3]))
    np.testing.assert_array_equal(columns, [[0, 1000, 1001]])
    np.testing.assert_array_equal(values, [[2000, 1000, 999]])


@pytest.mark.parametrize(("wanted", "asked"), [(2, []), (4, [4]), (9, [9])])
def test_what_stands_first_is_counted_and_the_rest_is_asked_for_when_it_is_needed(wanted, asked):
    lengths = []

    def head(length):
        tf.py_function(lambda asked: lengths.append(int(asked)), [length], [])  # also from inside of a graph
        return two_stage_top_k(tf.constant([[3.0, 2.0, 1.0, -np.inf, -np.inf]]), length)

    first = tf.constant([[9.0, 8.0, 7.0]]), tf.constant([[3, 4, 0]])
    categories = tf.constant([-1, 0, 0, 1, 1])
    bounds = tf.constant([0]), tf.constant([-np.inf]), tf.constant([wanted])
    values, rows = capped_head(head, first, _of(categories), 5, *bounds)
    assert lengths == asked
    best = [9, 8, 7, 3, 2, 1][:wanted]
    np.testing.assert_array_equal(values, [best + [-np.inf] * (wanted - len(best))])
    np.testing.assert_array_equal(rows[:, : len(best)], [[3, 4, 0, 0, 1, 2][:wanted]])


def test_rank_within():
    categories = tf.constant([[3, 1, 3, 3, 1, -1], [0, 0, 0, 0, 0, 0]])
    np.testing.assert_array_equal(rank_within(categories), [[0, 0, 1, 2, 1, 0], [0, 1, 2, 3, 4, 5]])
