"""Every kind of index against brute force in NumPy, under random filters."""

from importlib.util import find_spec

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graphs import _graphs_as_saved  # noqa: F401
from tfmmrec.search.cell_centers import cell_centers
from tfmmrec.search.cells import Cells
from tfmmrec.search.exact import ExactIndex
from tfmmrec.search.filters import Filters, best_candidates
from tfmmrec.search.inverted_file import InvertedFileIndex
from tfmmrec.search.question import by_cosines, by_products
from tfmmrec.search.scann_cells import ScannCells

SIZE, DIM, BATCH, NUM_CELLS = 900, 8, 3, 24
VALUES = ["type=a", "type=b", "type=c", "colour=red", "colour=blue"]
RANDOM = np.random.default_rng(0)
MIDDLES = RANDOM.normal(size=(12, DIM))
VECTORS = (MIDDLES[RANDOM.integers(0, 12, SIZE)] + RANDOM.normal(size=(SIZE, DIM))).astype(np.float32)
CODES = np.stack([RANDOM.choice([-1, 0, 1, 1, 1, 2], SIZE), RANDOM.choice([-1, 3, 4], SIZE)], axis=1).astype(np.int32)
POPULARITY = RANDOM.permutation(SIZE).astype(np.float32)
IDS = [f"c{row}" for row in range(SIZE)]
KINDS = ["exact", "int8 1", "bfloat16 4", f"float32 {NUM_CELLS}", *(["scann 1"] if find_spec("scann") else [])]


@pytest.fixture(scope="module")
def asked():
    """Kind -> a function (vectors, is_popular, filters, excluded rows, has_cosines) that answers."""
    centers, found = cell_centers(VECTORS, NUM_CELLS), {}
    for kind in KINDS:
        arguments = IDS, VECTORS, POPULARITY, CODES, VALUES
        if kind == "exact":
            index = ExactIndex(*arguments)
        else:
            dtype, probes = kind.split()
            is_scann = dtype == "scann"
            cells = ScannCells(NUM_CELLS, int(probes)) if is_scann else Cells(centers, int(probes), dtype)
            index = InvertedFileIndex(*arguments, cells=cells)
        found[kind] = _function(index)
    return found


def _function(index):
    lists = tf.TensorSpec([None, None], tf.string)
    numbers, integers = tf.TensorSpec([None]), tf.TensorSpec([None], tf.int32)
    filters = Filters(lists, lists, lists, integers, numbers, integers)
    rest = tf.TensorSpec([None], tf.bool), filters, tf.TensorSpec([None, None], tf.int32)

    def answer(by):
        body = lambda vectors, flags, *more: best_candidates(index, by(vectors, flags), *more)  # noqa: E731
        return tf.function(body, autograph=False, input_signature=[tf.TensorSpec([None, DIM]), *rest])

    functions = answer(by_products), answer(by_cosines)
    return lambda *arguments, has_cosines=False: functions[has_cosines](*arguments)


def _scores(queries, is_popular, has_cosines):
    if not has_cosines:
        return np.where(is_popular[:, None], POPULARITY, queries @ VECTORS.T)
    others = VECTORS - VECTORS.mean(axis=0)
    lengths = np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(others, axis=1)
    return queries @ others.T / lengths


def _passes(row, exclude, allow, deny, out):
    own = {VALUES[code] for code in CODES[row] if code >= 0}
    named = {}
    for value in filter(None, allow):
        named.setdefault(value.split("=")[0], set()).add(value)
    is_out = IDS[row] in exclude or row in out
    return not is_out and all(own & values for values in named.values()) and not own & set(deny)


def _greedy(scores, passing, k, least, cap):
    answer, counts = [], {}
    for row in np.argsort(-scores, kind="stable"):
        kind = CODES[row, 0]
        if len(answer) == k or scores[row] < least:
            break
        if not passing[row] or (cap > 0 and kind >= 0 and counts.get(kind, 0) >= cap):
            continue
        counts[kind] = counts.get(kind, 0) + 1
        answer.append(row)
    return answer


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), strict=st.booleans(), has_cosines=st.booleans(), capped=st.booleans())
def test_equals_brute_force(asked, seed, strict, has_cosines, capped):
    random = np.random.default_rng(seed)
    queries = (MIDDLES[random.integers(0, 12, BATCH)] + random.normal(size=(BATCH, DIM))).astype(np.float32)
    is_popular = (random.random(BATCH) < 0.3) & (not has_cosines)
    exclude = random.choice([*IDS, ""], (BATCH, 20))
    allow = np.where(random.random((BATCH, 2)) < (0.9 if strict else 0.2), random.choice(VALUES, (BATCH, 2)), "")
    deny = np.where(random.random((BATCH, 2)) < 0.2, random.choice([*VALUES, "x=y"], (BATCH, 2)), "")
    out = random.integers(-1, SIZE, (BATCH, 60)).astype(np.int32)
    k = random.choice([0, 1, 20, 150, 1000], BATCH).astype(np.int32)
    cap = random.integers(1, 30, BATCH).astype(np.int32) * capped
    scores = _scores(queries, is_popular, has_cosines)
    bound = random.random(BATCH) < 0.2
    least = np.where(bound, np.quantile(scores, 0.9, axis=1), np.nan).astype(np.float32)
    filters = Filters(*(tf.constant(value) for value in (exclude, allow, deny, k, least, cap)))
    flags = np.ones(BATCH, bool) if has_cosines else is_popular
    passing = [[_passes(c, exclude[r], allow[r], deny[r], out[r]) for c in range(SIZE)] for r in range(BATCH)]
    bottom = np.where(np.isnan(least), -np.inf, least)
    answers = [_greedy(scores[r], passing[r], k[r], bottom[r], cap[r]) for r in range(BATCH)]
    for kind in KINDS:
        found = asked[kind](tf.constant(queries), tf.constant(flags), filters, out, has_cosines=has_cosines)
        ids, values = found["candidate_ids"].numpy().astype(str), found["scores"].numpy()
        for row in range(BATCH):
            expected = answers[row]
            rows = [int(name[1:]) for name in ids[row] if name]
            own = values[row, : len(rows)]
            np.testing.assert_allclose(own, scores[row, rows], rtol=1e-4, atol=1e-4)
            assert len(set(rows)) == len(rows) and all(passing[row][c] for c in rows) and (np.diff(own) <= 0).all()
            assert np.isneginf(values[row, len(rows) :]).all()
            assert len(rows) == len(expected), (kind, "as many as there are")
            if kind == "exact" or is_popular[row] or kind == f"float32 {NUM_CELLS}":
                np.testing.assert_allclose(own, scores[row, expected], rtol=1e-4, atol=1e-4)


def _ask(index, queries, k=5, **given):
    batch, nothing = len(queries), np.full((len(queries), 1), "")
    least = np.asarray(given.get("min_score", np.full(batch, np.nan)), np.float32)
    numbers = np.full(batch, k, np.int32), least, np.zeros(batch, np.int32)
    filters = Filters(*(tf.constant(value) for value in (nothing, given.get("allow", nothing), nothing, *numbers)))
    nobody = tf.zeros([batch], tf.bool)
    return best_candidates(index, by_products(tf.constant(queries), nobody), filters, tf.fill([batch, 1], -1))


def _index(probes=2, dtype="int8"):
    cells = Cells(cell_centers(VECTORS, NUM_CELLS), probes, dtype)
    return InvertedFileIndex(IDS, VECTORS, POPULARITY, CODES, VALUES, cells=cells)


def test_only_so_many_cells_are_read():
    """With one probe all answers lie in the cell of the highest mean, unless it has too few."""
    index, queries = _index(probes=1), MIDDLES[:4].astype(np.float32)
    cells = index.cells.nearest(tf.constant(VECTORS)).numpy()
    means = np.stack([VECTORS[cells == cell].mean(axis=0) for cell in range(NUM_CELLS)])
    for row, names in enumerate(_ask(index, queries)["candidate_ids"].numpy().astype(str)):
        rows = [int(name[1:]) for name in names]
        best = np.argmax(means @ queries[row])
        assert set(cells[rows]) == {best}
        inside = np.flatnonzero(cells == best)
        assert rows == inside[np.argsort(-(VECTORS[inside] @ queries[row]))[:5]].tolist()


def test_what_reaches_the_least_score_in_unread_cells_is_found():
    """The first cell holds enough candidates for k, but some of them are below the bound."""
    index, queries = _index(probes=1), MIDDLES[:4].astype(np.float32)
    scores = queries @ VECTORS.T
    bounds = np.sort(scores, axis=1)[:, -60:-58].mean(axis=1)  # 59 candidates are above it
    cells = index.cells.nearest(tf.constant(VECTORS)).numpy()
    means = np.stack([VECTORS[cells == cell].mean(axis=0) for cell in range(NUM_CELLS)])
    in_cell = cells == np.argmax(queries @ means.T, axis=1)[:, None]
    k = 20
    is_hidden = (in_cell.sum(axis=1) >= k) & ((in_cell & (scores > bounds[:, None])).sum(axis=1) < k)
    assert is_hidden.any(), "what the other cells have is not asked for otherwise"
    found = _ask(index, queries, k=k, min_score=bounds)["scores"].numpy()
    assert (found >= bounds[:, None]).all()


def test_a_row_s_answer_is_its_own():
    index, queries = _index(), RANDOM.normal(size=(7, DIM)).astype(np.float32)
    whole = _ask(index, queries)
    for row in range(7):
        one = _ask(index, queries[row : row + 1])
        np.testing.assert_array_equal(one["candidate_ids"][0], whole["candidate_ids"][row])
    assert _ask(index, queries[:0])["scores"].shape == (0, 0)


def test_other_candidates_go_to_the_cells_that_are_there():
    index, size = _index(probes=NUM_CELLS, dtype="float32"), 1700
    vectors = np.random.default_rng(5).normal(size=(size, DIM)).astype(np.float32)
    ids = [f"n{row}" for row in range(size)]
    codes = np.full((size, 1), -1, np.int32)
    index.replace(tf.constant(ids), vectors, np.zeros(size, np.float32), codes, tf.zeros([0], tf.string))
    found = _ask(index, VECTORS[:2], k=50)["candidate_ids"].numpy().astype(str)
    for row in range(2):
        expected = np.argsort(-(vectors @ VECTORS[row]))[:50]
        assert [int(name[1:]) for name in found[row]] == expected.tolist()
    assert {"cell_tiles", "cell_starts", "vectors", "ids"} <= set(index.arrays())


def test_the_plain_head_is_right_where_the_cells_that_are_read_have_enough():
    index, queries = _index(probes=NUM_CELLS, dtype="float32"), MIDDLES[:3].astype(np.float32)
    out = np.array([[4, -1], [-1, 7], [-1, -1]], np.int32)
    scores = queries @ VECTORS.T
    scores[0, 4] = scores[1, 7] = -np.inf
    for chosen in (slice(0, 3), slice(1, 2)):
        question = by_products(tf.constant(queries[chosen]), tf.zeros([len(queries[chosen])], tf.bool))
        values, rows, is_right = index.plain_head(question, tf.constant(out[chosen]), tf.constant(30))
        order = np.argsort(-scores[chosen], axis=1)[:, :30]
        assert bool(is_right)
        np.testing.assert_array_equal(rows, order)
        np.testing.assert_allclose(values, np.take_along_axis(scores[chosen], order, axis=1), rtol=1e-5, atol=1e-5)
        assert not bool(index.plain_head(question, tf.constant(out[chosen]), tf.constant(SIZE))[2])  # one is left out
    few = _index(probes=1)
    assert not bool(few.plain_head(question, tf.constant(out[1:2]), tf.constant(SIZE // 2))[2])
