"""Candidates' vectors sorted by cells, over variables that can be exchanged: the nearest cells are read, not all."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfmmrec.search.exact_head import SCORES_AT_ONCE
from tfmmrec.search.filter_columns import Replacements
from tfmmrec.types import UsageError

DTYPES = ("float32", "bfloat16", "int8")
TILE_ROWS = 32


class Scanned(NamedTuple):
    """The candidates of some cells.

    Attributes:
        rows: int32 `[n]`, rows of the index, -1 where a tile is filled up.
        products: float32 `[1, n]`, with one query's vector, as precise as the cells' type.
    """

    rows: tf.Tensor
    products: tf.Tensor


class Cells(tf.Module):
    """The vectors of an inverted file (Jégou, Douze & Schmid 2011), without its product codes.

    Every candidate belongs to the cell whose centre is nearest. A cell's vectors stand side by side, in tiles of 32
    rows of which the last one is filled up, so that reading a cell is copying a few long pieces of memory. int8 has one
    scale for each dimension: the query's vector is multiplied by it, and products cost nothing more.

    The centres stay as they are when the candidates are exchanged: the new ones go to the nearest.

    Variables:
        centers: float32 `[num_cells, dim]`.
        means, directions: float32 `[num_cells, dim]`, of each cell the mean of its candidates' vectors and of the unit
            vectors of their differences from the mean of all: a cell's mean score is a product with these.
        starts: int32 `[num_cells + 1]`, the first tile of each cell, and how many there are.
        tiles: `[num_tiles, 32, dim]`; tile_rows: int32 `[num_tiles, 32]`, rows of the index, -1 = filled up.
        scale: float32 `[dim]`, what int8 values are multiplied by; ones for other types.
        probes: int32 scalar, how many cells are read at first.

    Args:
        centers: float32 `[num_cells, dim]`.
        probes: at least 1; more than there are cells counts as all.
        dtype: of the vectors: float32, bfloat16 or int8.

    Raises:
        UsageError: no such dtype, or no probes.
    """

    has_cosines = True
    """Whether cells can be read where scores are cosines."""

    are_complete = True
    """Whether every candidate is found where all cells are read."""

    num_rescored = 156
    """How many more candidates than are asked for get their exact scores."""

    def __init__(self, centers: np.ndarray, probes: int, dtype: str = "int8", name: str = "cells"):
        super().__init__(name=name)
        if dtype not in DTYPES:
            raise UsageError(f"the vectors of an ivf index can be {', '.join(DTYPES)}, got {dtype!r}")
        if probes < 1:
            raise UsageError(f"an ivf index must read at least 1 cell, got {probes} probes")
        num_cells, dim = centers.shape
        self.dtype = tf.dtypes.as_dtype(dtype)
        self.centers = tf.Variable(centers, trainable=False, dtype=tf.float32, name=f"{name}_centers")
        self.probes = tf.Variable(probes, trainable=False, dtype=tf.int32, name=f"{name}_probes")
        self.means = tf.Variable(tf.zeros([num_cells, dim]), trainable=False, name=f"{name}_means")
        self.directions = tf.Variable(tf.zeros([num_cells, dim]), trainable=False, name=f"{name}_directions")
        self.starts = tf.Variable(tf.zeros([num_cells + 1], tf.int32), trainable=False, name=f"{name}_starts")
        self.scale = tf.Variable(tf.ones([dim]), trainable=False, name=f"{name}_scale")
        tiles, rows = tf.zeros([0, TILE_ROWS, dim], self.dtype), tf.zeros([0, TILE_ROWS], tf.int32)
        self.tiles = tf.Variable(tiles, shape=[None, TILE_ROWS, dim], trainable=False, name=f"{name}_tiles")
        self.tile_rows = tf.Variable(rows, shape=[None, TILE_ROWS], trainable=False, name=f"{name}_tile_rows")

    @property
    def num_cells(self) -> int:
        """How many."""
        return self.centers.shape[0]

    def replacements(self, vectors: tf.Tensor, directions: tf.Tensor) -> Replacements:
        """What `assign_all` takes to give the cells other candidates.

        Args:
            vectors: float32 `[n, dim]`.
            directions: float32 `[n, dim]`, the unit vectors of their differences from the mean of all.
        """
        cells = self.nearest(vectors)  # [n]
        sizes = tf.math.bincount(cells, minlength=self.num_cells)
        in_tiles = -(-sizes // TILE_ROWS)
        starts = tf.concat([[0], tf.cumsum(in_tiles)], axis=0)
        order = tf.argsort(cells, stable=True)
        ordered = tf.gather(cells, order)
        within = tf.range(tf.size(order)) - tf.gather(tf.cumsum(sizes, exclusive=True), ordered)
        places = tf.gather(starts, ordered) * TILE_ROWS + within
        rows = tf.tensor_scatter_nd_update(tf.fill([starts[-1] * TILE_ROWS], -1), places[:, None], order)
        codes, scale = self._coded(vectors)
        tiles = tf.where(rows[:, None] >= 0, tf.gather(codes, tf.maximum(rows, 0)), tf.zeros([], self.dtype))
        numbers = tf.maximum(tf.cast(sizes, tf.float32), 1.0)[:, None]
        return [
            (self.means, tf.math.unsorted_segment_sum(vectors, cells, self.num_cells) / numbers),
            (self.directions, tf.math.unsorted_segment_sum(directions, cells, self.num_cells) / numbers),
            (self.starts, starts),
            (self.scale, scale),
            (self.tiles, tf.reshape(tiles, [-1, TILE_ROWS, vectors.shape[1]])),
            (self.tile_rows, tf.reshape(rows, [-1, TILE_ROWS])),
        ]

    def nearest(self, vectors: tf.Tensor) -> tf.Tensor:
        """The cell of each vector, float32 `[n, dim]` -> int32 `[n]`, some at a time."""
        halves, size = tf.reduce_sum(self.centers**2, axis=1) / 2, tf.shape(vectors)[0]
        step = max(1, SCORES_AT_ONCE // self.num_cells)

        def part(start: tf.Tensor, found: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            products = tf.matmul(vectors[start : start + step], self.centers, transpose_b=True)
            cells = tf.argmax(products - halves, axis=1, output_type=tf.int32)
            return start + step, found.write(start // step, cells)

        found = tf.TensorArray(tf.int32, -(-size // step), infer_shape=False, element_shape=[None])
        return tf.while_loop(lambda start, _: start < size, part, (0, found), parallel_iterations=1)[1].concat()

    def scan(
        self, vector: tf.Tensor, has_cosines: bool, num_cells: tf.Tensor, most: tf.Tensor | None = None
    ) -> Scanned:
        """Products with the candidates of those cells whose mean score is highest.

        Args:
            vector: float32 `[1, dim]`.
            has_cosines: whether scores are cosines.
            num_cells: int32 scalar, how many.
            most: so many of them would do; all are returned here, for choosing takes longer.
        """
        # the best first: of what comes later less is better than the best so far, and a choice among them takes less
        cells = tf.math.top_k(self.mean_scores(vector, has_cosines)[0], num_cells).indices
        pieces = tf.raw_ops.RaggedRange(
            starts=tf.gather(self.starts.value(), cells), limits=tf.gather(self.starts.value(), cells + 1), deltas=1
        )
        numbers = pieces.rt_dense_values  # of tiles
        vectors = tf.cast(tf.gather(self.tiles.value(), numbers), tf.float32)
        flat = tf.reshape(vectors, [-1, self.centers.shape[1]])
        # as `dot_products` of one query, and also traced, though not run, where a batch is known to be larger
        products = tf.linalg.matvec(flat, vector[0] * self.scale)[tf.newaxis]
        return Scanned(tf.reshape(tf.gather(self.tile_rows.value(), numbers), [-1]), products)

    def mean_scores(self, vectors: tf.Tensor, has_cosines: bool) -> tf.Tensor:
        """Of the candidates of each cell, by vectors `[n, dim]`: float32 `[n, num_cells]`, −inf where it has none."""
        table, starts = self.directions if has_cosines else self.means, self.starts.value()
        scores = tf.matmul(vectors, table, transpose_b=True)
        return tf.where(starts[1:] > starts[:-1], scores, -float("inf"))

    def arrays(self) -> dict[str, tf.Variable]:
        """Every variable by a name."""
        names = "centers", "probes", "means", "directions", "starts", "scale", "tiles", "tile_rows"
        return {f"cell_{name}": getattr(self, name) for name in names}

    def _coded(self, vectors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The vectors in the cells' type, and the scale."""
        if self.dtype != tf.int8:
            return tf.cast(vectors, self.dtype), tf.ones(vectors.shape[1])
        scale = tf.reduce_max(tf.abs(vectors), axis=0) / 127
        return tf.cast(tf.round(tf.math.divide_no_nan(vectors, scale)), tf.int8), scale
