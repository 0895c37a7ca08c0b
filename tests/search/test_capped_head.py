import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.search.capped_head import capped_head, rank_within, room
from tfmmrec.search.top_k import two_stage_top_k


def _capped(scores, first, categories, cap, min_score, wanted, **given):
    size = tf.size(categories)
    return capped_head(_head(scores), first, _of(categories), size, cap, min_score, wanted, **given)


def _head(scores, asked=None):
    """Of whole rows; `asked` gets the length and the places of every call, also from inside of a graph."""

    def head(length, places):
        own = tf.range(tf.shape(scores)[0]) if places is None else places
        if asked is not None:
            tf.py_function(lambda *now: asked.append((int(now[0]), now[1].numpy().tolist())), [length, own], [])
        return two_stage_top_k(tf.gather(scores, own), length)

    return head


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
    at_once = int(random.choice([1, 500, 10**6]))
    top = tf.function(lambda *given: _capped(*given, scores_at_once=at_once), autograph=False)
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


@pytest.mark.parametrize(("wanted", "asked"), [(2, []), (4, [(4, [0])]), (9, [(5, [0])])])
def test_what_stands_first_is_counted_and_the_rest_is_asked_for_when_it_is_needed(wanted, asked):
    lengths = []
    head = _head(tf.constant([[3.0, 2.0, 1.0, -np.inf, -np.inf]]), lengths)
    first = tf.constant([[9.0, 8.0, 7.0]]), tf.constant([[3, 4, 0]])
    categories = tf.constant([-1, 0, 0, 1, 1])
    bounds = tf.constant([0]), tf.constant([-np.inf]), tf.constant([wanted])
    values, rows = capped_head(head, first, _of(categories), 5, *bounds)
    assert lengths == asked
    best = [9, 8, 7, 3, 2, 1][:wanted]
    np.testing.assert_array_equal(values, [best + [-np.inf] * (wanted - len(best))])
    np.testing.assert_array_equal(rows[:, : len(best)], [[3, 4, 0, 0, 1, 2][:wanted]])


def test_a_cap_that_cannot_be_filled_is_not_looked_for_in_the_whole_catalogue():
    """Ten are wanted, one of each of eight categories, which the best 40 of 5,000 have all: nothing more is asked."""
    asked, size = [], 5000
    categories = np.arange(size, dtype=np.int32) % 8
    scores = np.tile(np.arange(size, 0, -1, dtype=np.float32), (2, 1))
    bounds = tf.constant([1, 0]), tf.constant([np.nan, np.nan]), tf.constant([10, 10])
    values, rows = capped_head(_head(scores, asked), None, _of(categories), size, *bounds)
    assert asked == [(40, [0, 1])]
    np.testing.assert_array_equal(rows[0, :8], np.arange(8))
    assert np.isneginf(values[0, 8:]).all()
    np.testing.assert_array_equal(rows[1], np.arange(10))


def test_only_short_rows_get_longer_heads_some_at_a_time_and_none_beyond_the_catalogue():
    asked, size = [], 300
    categories = np.where(np.arange(size) < 299, 0, 1).astype(np.int32)
    scores = np.tile(np.arange(size, 0, -1, dtype=np.float32), (4, 1))
    bounds = tf.constant([1, 0, 1, 1]), tf.fill([4], np.nan), tf.fill([4], 2)
    values, rows = capped_head(_head(scores, asked), None, _of(categories), size, *bounds, scores_at_once=64)
    # 64 scores are two heads of 32, and less than one of 128
    assert asked[:3] == [(8, [0, 1, 2, 3]), (32, [0, 2]), (32, [3])]
    assert asked[3:] == [(length, [place]) for length in (128, 300) for place in (0, 2, 3)]
    np.testing.assert_array_equal(rows, [[0, 299], [0, 1], [0, 299], [0, 299]])
    np.testing.assert_array_equal(values, [[300, 1], [300, 299], [300, 1], [300, 1]])


def test_room():
    categories = tf.constant([-1, 0, 0, 0, 2, -1, 2])  # 2 without a category, 3 of one, 2 of another
    np.testing.assert_array_equal(room(categories, tf.constant([0, 1, 2, 3, 9, -1])), [7, 4, 6, 7, 7, 7])
    np.testing.assert_array_equal(room(tf.constant([-1, -1]), tf.constant([1, 0])), [2, 2])


def test_rank_within():
    categories = tf.constant([[3, 1, 3, 3, 1, -1], [0, 0, 0, 0, 0, 0]])
    np.testing.assert_array_equal(rank_within(categories), [[0, 0, 1, 2, 1, 0], [0, 1, 2, 3, 4, 5]])
