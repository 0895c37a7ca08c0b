"""How many cells a query must read to find what an exact index finds."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmmrec.search.admission import Admission, admission
from tfmmrec.search.exact_head import exact_head
from tfmmrec.search.inverted_file import InvertedFileIndex
from tfmmrec.search.question import Question, by_products
from tfmmrec.search.scann_cells import ScannCells

RECALL_OF = 100
_QUERIES_AT_ONCE = 32


def choose_probes(
    index: InvertedFileIndex, queries: np.ndarray, recall: float, probes: int | None = None, k: int = RECALL_OF
) -> tuple[int, float]:
    """Sets an index's `probes` to the fewest cells by which queries find so much of their exact best k on average.

    Where the best k lie is known from the exact ranking, so the number follows at once; it is raised where vectors of
    less precision lose something more. ScaNN does not tell in which order it reads its cells: it starts with one.

    Args:
        index: its cells' `probes` are set.
        queries: float32 `[n, dim]`, of real queries.
        recall: above 0, at most 1.
        probes: to be set and measured, where they are given.
        k: fewer where there are fewer candidates.

    Returns:
        The number of probes, and the recall at k that was measured with it; NaN without queries.
    """
    num_cells, k = index.cells.num_cells, min(k, int(index.num_candidates))
    if not len(queries):
        index.cells.probes.assign(min(probes or num_cells, num_cells))
        return int(index.cells.probes), float("nan")
    best = _found(lambda *asked: exact_head(index, *asked, k), index, queries)
    if probes is None:
        probes = _least_probes(index, queries, best, recall)
        is_given = False
    else:
        is_given = True
    head = tf.function(lambda *asked: index.head(*asked, tf.constant(k)), autograph=False)
    while True:
        index.cells.probes.assign(min(probes, num_cells))
        rows = _found(lambda *asked: head(*asked), index, queries)
        found = np.mean([np.isin(own, exact).mean() for own, exact in zip(best, rows, strict=True)])
        if is_given or found >= recall or probes >= num_cells:
            return int(index.cells.probes), float(found)
        probes += max(1, probes // 4)


def _found(head, index: InvertedFileIndex, queries: np.ndarray) -> np.ndarray:
    """The rows of the best of each query, `[n, k]`."""
    parts = []
    for start in range(0, len(queries), _QUERIES_AT_ONCE):
        part = tf.constant(queries[start : start + _QUERIES_AT_ONCE], tf.float32)
        question, admitted = _everything(index, part)
        parts.append(head(question, admitted)[1].numpy())
    return np.concatenate(parts)


def _everything(index: InvertedFileIndex, queries: tf.Tensor) -> tuple[Question, Admission]:
    batch = queries.shape[0]
    nothing = tf.fill([batch, 1], "")
    admitted = admission(index, nothing, nothing, nothing, tf.fill([batch, 1], -1))
    return by_products(queries, tf.zeros([batch], tf.bool)), admitted


def _least_probes(index: InvertedFileIndex, queries: np.ndarray, best: np.ndarray, recall: float) -> int:
    if isinstance(index.cells, ScannCells):
        return 1
    ranks = np.sort(_ranks(index, queries, best), axis=None)
    return int(ranks[max(int(np.ceil(recall * ranks.size)), 1) - 1]) + 1


def _ranks(index: InvertedFileIndex, queries: np.ndarray, best: np.ndarray) -> np.ndarray:
    """At which place a query comes to the cell of each of its best, int `[n, k]`."""
    cells = index.cells
    per_tile = np.repeat(np.arange(cells.num_cells), np.diff(cells.starts.numpy()))
    rows, owners = cells.tile_rows.numpy(), np.zeros(int(index.num_candidates), np.int64)
    owners[rows[rows >= 0]] = np.repeat(per_tile[:, None], rows.shape[1], axis=1)[rows >= 0]
    means = cells.mean_scores(tf.constant(queries, tf.float32), has_cosines=False).numpy()
    order = np.argsort(-means, axis=1, kind="stable")
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.broadcast_to(np.arange(cells.num_cells), order.shape), axis=1)
    return np.take_along_axis(places, owners[best], axis=1)
