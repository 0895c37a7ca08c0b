"""The graph of interactions: queries on one side, candidates on the other, an edge for each pair that was chosen."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfmmrec.memory import check_memory
from tfmmrec.types import UsageError

_BYTES = 56  # an edge: both orders of the edges as they are kept, and what sorting them takes


class BipartiteGraph:
    """Who chose what, each pair once, and sums over neighbours.

    A sum is a product with the 0/1 matrix A `[num_queries, num_candidates]` in compressed rows: forward and backward
    over 60,000 edges with vectors of 64 numbers it took 4 ms on two cores, `tf.sparse.sparse_dense_matmul` 11 ms, a
    gather with a segment sum 13 ms. What else a model weighs its edges by is a factor of the rows before or after it.
    The transposed matrix has edges of its own, in its own order: the op's `transpose_a` adds up in whatever order its
    threads come. The edges are eager tensors, captured by a step and no weights of a model: 40 bytes an edge. The need
    for memory is stated in the log before anything is allocated.

    Args:
        query_rows: int `[num_pairs]`; a pair that is there twice is one edge.
        candidate_rows: int `[num_pairs]`.
        num_queries: how many queries there are, with edges or not.
        num_candidates: how many candidates there are.
        max_bytes: refuse to need more; half of the memory that is available when None.

    Attributes:
        query_degrees: float32 `[num_queries, 1]`, candidates of each query.
        candidate_degrees: float32 `[num_candidates, 1]`, queries of each candidate.

    Raises:
        UsageError: a row outside its side, or too little memory.
    """

    def __init__(
        self,
        query_rows: np.ndarray,
        candidate_rows: np.ndarray,
        num_queries: int,
        num_candidates: int,
        max_bytes: int | None = None,
    ):
        need = _BYTES * len(query_rows)
        check_memory(f"a graph of {len(query_rows):,} edges", need, max_bytes, "train on fewer interactions")
        query_rows, candidate_rows = np.asarray(query_rows, np.int64), np.asarray(candidate_rows, np.int64)
        for side, rows, size in (("query", query_rows, num_queries), ("candidate", candidate_rows, num_candidates)):
            if rows.size and not (rows.min() >= 0 and rows.max() < size):
                raise UsageError(f"{side} rows must lie in [0, {size}), got {rows.min()} to {rows.max()}")
        pairs = np.unique(query_rows * num_candidates + candidate_rows)  # in the order of the queries
        query_rows, candidate_rows = np.divmod(pairs, num_candidates)
        self.num_queries, self.num_candidates = num_queries, num_candidates
        self.num_edges = pairs.size
        by_candidate = np.lexsort((query_rows, candidate_rows))
        self._order: tf.Tensor | None = None
        self._of_query = _edges(query_rows, candidate_rows, num_queries, num_candidates)
        self._of_candidate = _edges(candidate_rows[by_candidate], query_rows[by_candidate], num_candidates, num_queries)
        self.query_degrees = _degrees(query_rows, num_queries)
        self.candidate_degrees = _degrees(candidate_rows, num_candidates)

    @property
    def edges(self) -> tf.Tensor:
        """The rows of each edge's query and candidate, int64 `[num_edges, 2]`, in the order of the queries."""
        return self._of_query.indices

    @property
    def _by_candidate(self) -> tf.Tensor:
        """The edges' places in the order of the candidates, int32 `[num_edges]`: 4 bytes an edge, for those who ask."""
        if self._order is None:
            with tf.init_scope():
                rows = self.edges.numpy()
                self._order = tf.constant(np.lexsort((rows[:, 0], rows[:, 1])), tf.int32)
        return self._order

    def subgraph(self, kept: tf.Tensor) -> BipartiteGraph:
        """The graph of some edges of a whole graph, with the degrees that they make; it can be drawn inside a step.

        Args:
            kept: bool `[num_edges]`, in the order of `edges`.
        """
        graph = copy.copy(self)
        graph._order = None
        graph.num_edges = tf.reduce_sum(tf.cast(kept, tf.int32))
        graph._of_query = _kept(self._of_query, kept)
        graph._of_candidate = _kept(self._of_candidate, tf.gather(kept, self._by_candidate))
        graph.query_degrees = graph.sum_candidates(tf.ones([self.num_candidates, 1]))
        graph.candidate_degrees = graph.sum_queries(tf.ones([self.num_queries, 1]))
        return graph

    def sum_candidates(self, vectors: tf.Tensor) -> tf.Tensor:
        """Of candidates float32 `[num_candidates, dim]` -> for each query the sum of its own, `[num_queries, dim]`."""
        return _sums(vectors, self._of_query, self._of_candidate)

    def sum_queries(self, vectors: tf.Tensor) -> tf.Tensor:
        """Of queries float32 `[num_queries, dim]` -> for each candidate the sum of its own, `[num_candidates, dim]`."""
        return _sums(vectors, self._of_candidate, self._of_query)


class _Edges(NamedTuple):
    """A 0/1 matrix: int64 `[num_edges, 2]` in the order of its rows, float32 ones `[num_edges]`, int64 `[2]`."""

    indices: tf.Tensor
    values: tf.Tensor
    shape: tf.Tensor
    num_rows: int


def _edges(rows: np.ndarray, columns: np.ndarray, num_rows: int, num_columns: int) -> _Edges:
    indices = tf.constant(np.stack([rows, columns], axis=1))
    return _Edges(indices, tf.ones([rows.size]), tf.constant([num_rows, num_columns], tf.int64), num_rows)


def _kept(edges: _Edges, kept: tf.Tensor) -> _Edges:
    return edges._replace(indices=tf.boolean_mask(edges.indices, kept), values=tf.boolean_mask(edges.values, kept))


def _sums(vectors: tf.Tensor, edges: _Edges, transposed: _Edges) -> tf.Tensor:
    """The product with a matrix, and backward with its transpose."""

    @tf.custom_gradient
    def product(vectors):
        return _product(edges, vectors), lambda gradient: _product(transposed, gradient)

    return product(vectors)


def _product(edges: _Edges, vectors: tf.Tensor) -> tf.Tensor:
    matrix = tf.raw_ops.SparseTensorToCSRSparseMatrix(
        indices=edges.indices, values=edges.values, dense_shape=edges.shape
    )
    return tf.ensure_shape(tf.raw_ops.SparseMatrixMatMul(a=matrix, b=vectors), [edges.num_rows, vectors.shape[-1]])


def inverse_root(degrees: tf.Tensor) -> tf.Tensor:
    """1/√degree, 1 where there is no edge."""
    return tf.math.rsqrt(tf.maximum(degrees, 1.0))


def _degrees(rows: np.ndarray, size: int) -> tf.Tensor:
    return tf.constant(np.bincount(rows, minlength=size)[:, None], tf.float32)
