import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.search.cells import TILE_ROWS, Cells
from tfmmrec.types import UsageError

RANDOM = np.random.default_rng(0)
VECTORS, CENTERS = RANDOM.normal(size=(500, 8)).astype(np.float32), RANDOM.normal(size=(9, 8)).astype(np.float32)
NEAREST = np.linalg.norm(VECTORS[:, None] - CENTERS, axis=2).argmin(axis=1)
DIRECTIONS = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)


def _filled(dtype="float32", vectors=VECTORS, directions=DIRECTIONS):
    cells = Cells(CENTERS, 2, dtype)
    for variable, value in cells.replacements(tf.constant(vectors), tf.constant(directions)):
        variable.assign(value)
    return cells


def test_each_candidate_stands_once_in_the_tiles_of_its_cell():
    cells = _filled()
    rows, starts = cells.tile_rows.numpy(), cells.starts.numpy()
    for cell in range(9):
        own = rows[starts[cell] : starts[cell + 1]].ravel()
        assert sorted(own[own >= 0]) == np.flatnonzero(NEAREST == cell).tolist()
        assert 0 <= (own < 0).sum() < TILE_ROWS, "no tile is empty"
        mean = VECTORS[NEAREST == cell].mean(axis=0)
        np.testing.assert_allclose(cells.means[cell], mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(
            cells.directions[cell], DIRECTIONS[NEAREST == cell].mean(axis=0), rtol=1e-4, atol=1e-5
        )
    np.testing.assert_array_equal(cells.tiles.numpy()[rows >= 0], VECTORS[rows[rows >= 0]])
    assert not cells.tiles.numpy()[rows < 0].any()


@pytest.mark.parametrize(("dtype", "step"), [("float32", 1e-6), ("bfloat16", 2.0**-8), ("int8", 0.5 / 127)])
@pytest.mark.parametrize("has_cosines", [False, True])
def test_a_scan_reads_the_cells_of_the_highest_means(dtype, step, has_cosines):
    cells, query = _filled(dtype), RANDOM.normal(size=(1, 8)).astype(np.float32)
    rows, products = (tensor.numpy() for tensor in cells.scan(tf.constant(query), has_cosines, tf.constant(3)))
    table = np.stack([(DIRECTIONS if has_cosines else VECTORS)[NEAREST == cell].mean(axis=0) for cell in range(9)])
    read = np.argsort(-(table @ query[0]))[:3]
    known = rows >= 0
    assert sorted(rows[known]) == np.flatnonzero(np.isin(NEAREST, read)).tolist()
    most = np.abs(query) @ np.abs(VECTORS).max(axis=0)  # an entry is off by a step of its dimension's largest
    np.testing.assert_allclose(products[0, known], VECTORS[rows[known]] @ query[0], atol=float(most[0] * step) + 1e-5)


def test_cells_without_a_candidate():
    cells = _filled(vectors=VECTORS[:1], directions=DIRECTIONS[:1])
    assert cells.starts.numpy()[-1] == 1 and np.isfinite(cells.means).all()
    assert cells.scan(tf.ones([1, 8]), False, tf.constant(9)).rows.numpy().tolist() == [0] + [-1] * (TILE_ROWS - 1)


@pytest.mark.parametrize("has_cosines", [False, True])
def test_a_cell_without_a_candidate_takes_no_other_s_place(has_cosines):
    """All mean scores are below 0, which is what the mean of nothing gives."""
    query = np.ones((1, 8), np.float32)
    below = np.flatnonzero((VECTORS.sum(axis=1) < 0) & np.isin(NEAREST, [1, 4, 6]))
    cells, owners = _filled(vectors=VECTORS[below], directions=DIRECTIONS[below]), NEAREST[below]
    table = (DIRECTIONS if has_cosines else VECTORS)[below]
    scores = np.full((1, 9), -np.inf)
    for cell in np.unique(owners):
        scores[0, cell] = table[owners == cell].mean(axis=0) @ query[0]
    assert np.isfinite(scores).sum() == 3 and scores.max() < 0
    np.testing.assert_allclose(cells.mean_scores(tf.constant(query), has_cosines), scores, rtol=1e-4)
    rows = cells.scan(tf.constant(query), has_cosines, tf.constant(1)).rows.numpy()
    assert sorted(rows[rows >= 0]) == np.flatnonzero(owners == scores.argmax()).tolist()


def test_a_dimension_without_values_in_int8():
    cells = _filled("int8", VECTORS * np.array([0] + [1] * 7, np.float32))
    assert cells.tiles.dtype == tf.int8 and cells.scale.numpy()[0] == 0
    assert np.isfinite(cells.scan(tf.ones([1, 8]), False, tf.constant(9)).products).all()


def test_what_cannot_be():
    with pytest.raises(UsageError, match="can be float32, bfloat16, int8, got 'float16'"):
        Cells(CENTERS, 1, "float16")
    with pytest.raises(UsageError, match="at least 1 cell, got 0 probes"):
        Cells(CENTERS, 0)
