import numpy as np
import pytest

from tfmmrec.search.cell_centers import cell_centers
from tfmmrec.search.cells import Cells
from tfmmrec.search.inverted_file import InvertedFileIndex
from tfmmrec.search.probes import choose_probes

RANDOM = np.random.default_rng(0)
MIDDLES = RANDOM.normal(size=(20, 8))
VECTORS = (MIDDLES[RANDOM.integers(0, 20, 2000)] + RANDOM.normal(size=(2000, 8))).astype(np.float32)
QUERIES = (MIDDLES[RANDOM.integers(0, 20, 40)] + RANDOM.normal(size=(40, 8))).astype(np.float32)


@pytest.fixture(scope="module")
def index():
    cells = Cells(cell_centers(VECTORS, 40), 1, "float32")
    return InvertedFileIndex([str(row) for row in range(2000)], VECTORS, cells=cells)


def _recall(index, probes):
    """Which of the exact best 20 lie in the cells whose means are best, by sorting."""
    cells = index.cells.nearest(VECTORS).numpy()
    means = np.stack([VECTORS[cells == cell].mean(axis=0) for cell in range(40)])
    best = np.argsort(-(QUERIES @ VECTORS.T), axis=1)[:, :20]
    read = np.argsort(-(QUERIES @ means.T), axis=1)[:, :probes]
    return np.mean([np.isin(cells[row], own).mean() for row, own in zip(best, read, strict=True)])


@pytest.mark.parametrize("recall", [0.5, 0.95])
def test_the_fewest_by_which_enough_is_found(index, recall):
    probes, found = choose_probes(index, QUERIES, recall, k=20)
    assert int(index.cells.probes) == probes
    assert found == pytest.approx(_recall(index, probes))
    assert found >= recall > _recall(index, probes - 1)


def test_given_probes_are_measured(index):
    probes, found = choose_probes(index, QUERIES, 0.99, probes=2, k=20)
    assert probes == 2 and found == pytest.approx(_recall(index, 2))


def test_without_queries_every_cell_is_read(index):
    probes, found = choose_probes(index, QUERIES[:0], 0.95)
    assert probes == 40 and np.isnan(found)
