"""Against a cascade put together candidate by candidate, and against the one that evaluation measures."""

from functools import cache

import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.search.cascade import CascadeScorer
from tfmmrec.search.cell_centers import cell_centers
from tfmmrec.search.cells import Cells
from tfmmrec.search.exact import ExactIndex
from tfmmrec.search.filters import Filters
from tfmmrec.search.inverted_file import InvertedFileIndex
from tfmmrec.search.question import by_products
from tfmmrec.search.scorer import vectors_scorer
from tfmmrec.search.second_stage import second_stage

SIZE, BATCH = 60, 5
RANDOM = np.random.default_rng(0)
VECTORS, QUERIES = RANDOM.normal(size=(SIZE, 4)).astype(np.float32), RANDOM.normal(size=(BATCH, 4)).astype(np.float32)
SCORES = QUERIES @ VECTORS.T
LOGITS = RANDOM.normal(size=(BATCH, SIZE)).astype(np.float32) * 3
KINDS = RANDOM.integers(-1, 3, SIZE)  # the category of each, -1 = none
IDS = [f"c{i}" for i in range(SIZE)]
NOBODY = np.zeros(BATCH, bool)


@cache
def _index(probes=None):
    tables = {"codes": KINDS[:, None], "values": ["type=a", "type=b", "type=c"]}
    if probes is None:
        return ExactIndex(IDS, VECTORS, **tables)
    return InvertedFileIndex(IDS, VECTORS, cells=Cells(cell_centers(VECTORS, 8), probes), **tables)


def _filters(exclude=(), allow=(), deny=(), k=5, min_score=-np.inf, cap=0):
    lists = [tf.constant([[*values, ""]] * BATCH) for values in (exclude, allow, deny)]
    numbers = [np.broadcast_to(value, BATCH) for value in (k, min_score, cap)]
    types = tf.int32, tf.float32, tf.int32
    return Filters(*lists, *(tf.constant(value, dtype) for value, dtype in zip(numbers, types, strict=True)))


def _answer(filters, depth, seen=None, is_settled=NOBODY, probes=None):
    asked = []

    def pair_scores(places, rows):
        asked.extend(zip(places.numpy().tolist(), rows.numpy().tolist(), strict=True))
        return tf.constant(LOGITS[places.numpy(), rows.numpy()])

    seen = tf.fill([BATCH, 1], -1) if seen is None else tf.constant(seen, tf.int32)
    question = by_products(tf.constant(QUERIES), tf.constant(NOBODY))
    found = second_stage(_index(probes), question, filters, seen, tf.constant(is_settled), pair_scores, depth)
    ids = [[int(id[1:]) for id in row if id] for row in found["candidate_ids"].numpy()]
    return ids, found["scores"].numpy(), asked


def _expected(query, depth, k, passes=lambda c: True, cap=0, min_score=-np.inf):
    """Retrieve, cut, rank anew, let the others follow, cap."""

    def capped(order):
        kept = []
        for c in order:
            if cap <= 0 or KINDS[c] < 0 or sum(KINDS[o] == KINDS[c] for o in kept) < cap:
                kept.append(c)
        return kept

    retrieved = [c for c in np.argsort(-SCORES[query], kind="stable") if passes(c)]
    head = sorted(retrieved[:depth], key=lambda c: -LOGITS[query, c])
    rest = retrieved[depth:] if min_score == -np.inf else []  # beneath all of the head
    return capped([c for c in head if LOGITS[query, c] >= min_score] + rest)[:k]


@pytest.mark.parametrize("depth", [1, 7, 59, 60, 200])
@pytest.mark.parametrize("k", [1, 5, 30, 100])
def test_the_best_of_the_retriever_in_the_order_of_the_ranker(depth, k):
    ids, scores, asked = _answer(_filters(k=k), depth)
    for query in range(BATCH):
        expected = _expected(query, depth, k)
        assert ids[query] == expected and len(expected) == min(k, SIZE)
        head = min(depth, len(expected))
        np.testing.assert_array_equal(scores[query, :head], LOGITS[query, expected[:head]])
        assert (np.diff(scores[query, : len(expected)]) <= 0).all()
    assert len(asked) == len(set(asked)) == BATCH * min(depth, SIZE)


@pytest.mark.parametrize("k", [12, 40])
def test_what_is_measured_is_what_is_served(k):
    seen = np.array([[3, 4], [-1, -1], [0, -1], [9, 9], [59, 1]])
    pairs = np.array([(query, c) for query in range(BATCH) for c in sorted(set(seen[query])) if c >= 0], np.int32)
    scorer = CascadeScorer(vectors_scorer(QUERIES, VECTORS), lambda q, c: LOGITS[q, c], 12)
    head = scorer.ranked(np.arange(BATCH), pairs, np.zeros([0, 2], np.int32), k)
    ids, scores, _ = _answer(_filters(k=k), 12, seen)
    assert ids == head.columns.numpy().tolist()
    np.testing.assert_allclose(scores, head.scores, rtol=1e-5)


def test_what_the_filters_leave_out_costs_no_depth():
    filters = _filters(["c7", "c8"], ["type=a", "type=b"], ["type=b"], k=6)
    ids, _, asked = _answer(filters, 10, np.tile([11, 12], (BATCH, 1)))
    left = [c for c in range(SIZE) if KINDS[c] == 0 and c not in (7, 8, 11, 12)]
    assert len(left) > 6
    for query in range(BATCH):
        assert ids[query] == _expected(query, 10, 6, left.__contains__)
        assert sum(place == query for place, _ in asked) == min(10, len(left))


@pytest.mark.parametrize("cap", [1, 2, 5])
@pytest.mark.parametrize("depth", [1, 8, 40])
def test_a_cap_is_filled_from_what_was_cut_away(cap, depth):
    k = 12
    ids, _, _ = _answer(_filters(k=k, cap=cap), depth)
    free = int((KINDS < 0).sum())
    there = free + sum(min(cap, int((KINDS == kind).sum())) for kind in range(3))
    for query in range(BATCH):
        assert ids[query] == _expected(query, depth, k, cap=cap)
        assert len(ids[query]) == min(k, there), "never fewer than there are"


def test_a_cap_of_one_row_is_no_other_row_s():
    ids, _, _ = _answer(_filters(k=[4, 4, 30, 0, 4], cap=[0, 1, 0, 1, -3]), 8)
    settings = zip([4, 4, 30, 0, 4], [0, 1, 0, 1, 0], strict=True)
    assert ids == [_expected(query, 8, k, cap=cap) for query, (k, cap) in enumerate(settings)]


def test_a_least_score_is_the_ranker_s():
    ids, scores, _ = _answer(_filters(k=20, min_score=1.0), 20)
    assert ids == [_expected(query, 20, 20, min_score=1.0) for query in range(BATCH)]
    assert (scores[np.isfinite(scores)] >= 1.0).all() and any(len(row) < 20 for row in ids)


def test_settled_rows_keep_their_scores():
    is_settled = np.array([False, True, False, False, True])
    ids, scores, asked = _answer(_filters(k=9, cap=[0, 2, 0, 0, 0]), 5, is_settled=is_settled)
    assert {place for place, _ in asked} == {0, 2, 3}
    assert ids[4] == np.argsort(-SCORES[4], kind="stable")[:9].tolist()
    np.testing.assert_allclose(scores[4], SCORES[4, ids[4]], rtol=1e-5)
    assert ids[0] == _expected(0, 5, 9)


def test_what_an_inverted_file_finds_late_stands_beneath_what_was_ranked():
    depth = 3
    ids, scores, asked = _answer(_filters(k=40), depth, probes=1)
    is_late = []
    for query in range(BATCH):
        ranked = [c for place, c in asked if place == query]
        assert len(ranked) == depth and len(ids[query]) == 40
        assert ids[query][:depth] == sorted(ranked, key=lambda c: -LOGITS[query, c])
        np.testing.assert_allclose(scores[query, :depth], np.sort(LOGITS[query, ranked])[::-1], rtol=1e-5)
        assert scores[query, depth] <= scores[query, depth - 1] - 1
        is_late.append(np.delete(SCORES[query], ranked).max() > SCORES[query, ranked].min() + 1)
    assert any(is_late), "the retriever has higher scores in the cells that are read later"


def test_nothing_is_asked_for():
    ids, scores, _ = _answer(_filters(k=0), 5)
    assert ids == [[]] * BATCH and scores.shape == (BATCH, 0)
    ids, scores, asked = _answer(_filters(allow=["type=nothing"], k=3), 5)
    assert ids == [[]] * BATCH and np.isneginf(scores).all() and asked == []
