"""A model that propagates over the graph of interactions while it trains, and is two towers with tables afterwards."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfmmrec.data.interactions import Interactions
from tfmmrec.losses.bpr import bpr
from tfmmrec.losses.full_softmax import full_softmax
from tfmmrec.losses.negative_sampler import NegativeSampler
from tfmmrec.models.content_reference import encoded
from tfmmrec.models.trainable import Trainable
from tfmmrec.replicas import of_all_replicas
from tfmmrec.sparse_graph import BipartiteGraph, inverse_root
from tfmmrec.towers import Tower
from tfmmrec.types import UsageError

LOSSES = ("bpr", "full_softmax")


class GraphModel(Trainable):
    """A propagation over the whole graph between two towers.

    The propagation gives each candidate i of the graph a vector z_i and what a history pools of it, t_i. A query's
    vector is what its tower makes of its id and of Σ_{i ∈ N_u} t_i / √|N_u|. So a query that is not in the graph but
    has a history is embedded as exactly as the graph's own, and both in training and when served the query tower does
    it. A query's history must hold all its candidates for that: `HistoryEncoder(length, exponent=0.5)` with a length
    that is the longest.

    Training needs `set_graph`, and `materialize` afterwards: it keeps [z_i ; t_i] as the candidate tower's table, which
    a checkpoint holds. A candidate outside the graph gets the vectors of its neighbours in content, `GraphCandidates`.

    A model with more of its own is a subclass: `training_graph` is what a step of training propagates over,
    `row_losses` what a row of a batch loses, `finish` what is made of a candidate's z before it is scored.

    Args:
        query_tower: of `id` and `history`.
        candidate_tower: of `id` (`GraphIdentifier`) and content that needs no training; its fusion is
            `GraphCandidates`.
        propagation: (graph, queries `[num_queries, dim]`, candidates `[num_known, dim]`, content, training) -> z
            `[num_known, dim]` and t `[num_known, history_dim]`; its attribute `dim` is the size of z. content: name ->
            float32 `[num_known, dim_m]`, unit vectors, zero where absent. Its weights are the model's.
        candidate_counts: int `[num_candidates]`, interactions of each in train; those with any are known.
        loss: bpr, −log σ(s₊ − s₋) over uniform negatives, the same for all rows of a step; or full_softmax over all
            known candidates.
        normalize: scale candidates' vectors to unit length; the query tower does so with the queries' (its own
            `normalize`).
        temperature: the score is divided by it in the loss.
        l2: weight of half the squared length of a row's embeddings before propagation (for bpr also the negatives',
            the mean over them).
        num_negatives: of bpr, drawn in a step.
        hold_out: a step propagates over the graph without its own batch's edges, as a model of links is taught (Zhang &
            Chen 2018): with them a query's vector would hold the answer already. A query without other edges is its id.

    Raises:
        UsageError: an unknown loss, or a number out of range.
    """

    known_losses = LOSSES
    needs_graph = True
    needs_catalogue = True
    history_table = None
    streaming_frequency = None

    def __init__(
        self,
        query_tower: Tower,
        candidate_tower: Tower,
        propagation: tf.keras.layers.Layer,
        *,
        candidate_counts: np.ndarray,
        loss: str = "bpr",
        normalize: bool = False,
        temperature: float = 1.0,
        l2: float = 0.0,
        num_negatives: int = 1024,
        hold_out: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if loss not in self.known_losses:
            raise UsageError(f"loss must be one of {', '.join(self.known_losses)}, got {loss!r}")
        if not temperature > 0 or not l2 >= 0:
            raise UsageError(f"temperature must be positive and l2 0 or more, got {temperature} and {l2}")
        self.query_tower = query_tower
        self.candidate_tower = candidate_tower
        self.propagation = propagation
        self.num_candidates = len(candidate_counts)
        self.loss_name = loss
        self.normalize = normalize
        self.temperature = temperature
        self.l2 = l2
        self.negative_sampler = NegativeSampler(num_negatives, candidate_counts) if loss == "bpr" else None
        counts = np.asarray(candidate_counts)
        self._catalogue_rows = np.flatnonzero(counts > 0)  # of the known
        self._known_rows = np.where(counts > 0, np.cumsum(counts > 0) - 1, -1).astype(np.int32)
        self.hold_out = hold_out
        self._graph: BipartiteGraph | None = None
        self._edge_keys: tf.Tensor | None = None  # eager, captured by the step; in order

    @property
    def history_tower(self) -> Tower:
        """What gives the vectors that histories pool: the candidate tower, whose table has them beside the others."""
        return self.candidate_tower

    def set_graph(self, interactions: Interactions) -> None:
        """Gives the model what it trains on: every different pair is an edge."""
        queries = np.repeat(np.arange(interactions.num_queries), np.diff(interactions.indptr))
        candidates = self._known_rows[interactions.indices]
        if (candidates < 0).any():
            raise UsageError("the graph has candidates that candidate_counts say are in no interaction of train")
        self._graph = BipartiteGraph(queries, candidates, interactions.num_queries, self._catalogue_rows.size)
        self._edge_keys = self._keys(self._graph.edges[:, 0], self._graph.edges[:, 1]) if self.hold_out else None

    def set_catalogue(self, tables: Mapping[str, Mapping[str, np.ndarray]], batch_size: int = 4096) -> None:
        """Keeps the known candidates' content, of preprocessed features `[num_candidates, ...]`."""
        for name in self.candidate_tower.fusion.content:
            content = encoded(self.candidate_tower, tables, name, self._catalogue_rows, batch_size)
            self.candidate_tower.fusion.set_content(name, *content)

    def training_graph(self, inputs: Mapping) -> BipartiteGraph:
        """What a step of training with this batch propagates over: all edges, or all but the global batch's own."""
        if not self.hold_out or self._graph is None:
            return self._graph
        keys = of_all_replicas(self._keys(inputs["query"]["id"]["row"], self._positives(inputs)))
        num_edges = self._graph.num_edges
        places = tf.minimum(tf.searchsorted(self._edge_keys, keys), num_edges - 1)
        is_edge = tf.cast(tf.gather(self._edge_keys, places) == keys, tf.int32)
        return self._graph.subgraph(tf.scatter_nd(places[:, None], is_edge, [num_edges]) == 0)

    def _keys(self, queries: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
        """Pairs of rows as numbers, in the order of the graph's edges, int64 `[n]`."""
        return tf.cast(queries, tf.int64) * self._catalogue_rows.size + tf.cast(candidates, tf.int64)

    def _positives(self, inputs: Mapping) -> tf.Tensor:
        """The known candidates that the batch's rows chose, int32 `[batch]`."""
        return tf.gather(self._known_rows, tf.gather(inputs["candidate_rows"], inputs["positive"]))

    def propagate(self, training: bool = False, graph: BipartiteGraph | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """The vectors of the known candidates, `[num_known, dim]` and `[num_known, history_dim]`.

        Args:
            training: as of the propagation.
            graph: to propagate over; the whole one when None.
        """
        if self._graph is None:
            raise UsageError("a graph model propagates over interactions: call set_graph before training")
        graph = self._graph if graph is None else graph
        embeddings = [tower.encoders["id"].embeddings for tower in self._towers]
        return self.propagation(graph, *embeddings, self.candidate_tower.fusion.content, training=training)

    @property
    def _towers(self) -> tuple[Tower, Tower]:
        return self.query_tower, self.candidate_tower

    def materialize(self) -> None:
        """Keeps the propagated vectors as the candidate tower's table, of which evaluation and serving read."""
        candidates = self.candidate_tower.fusion
        candidates.table.assign(tf.concat(self.propagate(), axis=1))
        if self._graph.num_edges:
            candidates.in_graph.assign(tf.cast(self._graph.candidate_degrees[:, 0] > 0.0, tf.float32))

    def embed_queries(self, inputs: Mapping, table: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        """Query features -> `[batch, dim]`. `table` holds the vectors that a history pools, see `embed_history`."""
        history = dict(inputs["history"])
        if "vector" not in history:
            history["table"] = table
        return self.query_tower(dict(inputs) | {"history": history}, training=training)

    def embed_candidates(self, inputs: Mapping, training: bool = False, rows: tf.Tensor | None = None) -> tf.Tensor:
        """Candidate features -> z, `[batch, dim]`; `rows` as in `Tower.call`."""
        return self.finish(self.candidate_tower(inputs, training=training, rows=rows)[:, : self.propagation.dim])

    def finish(self, vectors: tf.Tensor) -> tf.Tensor:
        """Candidates' z `[n, dim]` -> what is scored, of that shape: of unit length with `normalize`."""
        return _unit(vectors) if self.normalize else vectors

    def embed_history(self, inputs: Mapping, training: bool = False) -> tf.Tensor:
        """Candidate features -> t, `[batch, history_dim]`."""
        return self.candidate_tower(inputs, training=training)[:, self.propagation.dim :]

    def compute_loss(self, inputs: Mapping, training: bool = False) -> tf.Tensor:
        """A batch of `InteractionBatches` -> this replica's share of the mean loss over the global batch, scalar."""
        graph = self.training_graph(inputs) if training else self._graph
        table, pooled = self.propagate(training, graph)  # [num_known, dim], [num_known, history_dim]
        identity = inputs["query"]["id"]
        pooled = graph.sum_candidates(pooled) * inverse_root(graph.query_degrees)  # [num_queries, history_dim]
        history = {
            "vector": tf.gather(pooled, identity["row"]),
            "present": tf.gather(graph.query_degrees[:, 0] > 0.0, identity["row"]),
        }
        own = self.query_tower.encoders["id"](identity, training=training)
        query = self.query_tower({"id": own, "history": history}, training=training)  # [batch, dim]
        positives = self._positives(inputs)
        negatives = positives[:0]
        if self.negative_sampler is not None:
            negatives = tf.gather(self._known_rows, self.negative_sampler(training)[0])
        losses = self.row_losses(tf.cast(query, tf.float32), table, positives, negatives, training)
        losses += self.l2 * (_half_square(own["vector"]) + self._half_squares(positives, negatives))
        return self.share_of_mean(losses, inputs.get("weight"))

    def row_losses(
        self,
        queries: tf.Tensor,
        table: tf.Tensor,
        positives: tf.Tensor,
        negatives: tf.Tensor,
        training: bool = False,
    ) -> tf.Tensor:
        """What the rows of a batch lose, without the embeddings' squares.

        Args:
            queries: float32 `[batch, dim]`, what the query tower gives.
            table: float32 `[num_known, dim]`, the known candidates' z.
            positives: int32 `[batch]`, each row's candidate in the table.
            negatives: int32 `[num_negatives]`, rows of the table; none unless the loss draws them.
            training: for what a model leaves out at random.

        Returns:
            float32 `[batch]`.
        """
        return self.ranking_losses(queries, self.finish(table), positives, negatives)

    def ranking_losses(
        self,
        queries: tf.Tensor,
        table: tf.Tensor,
        positives: tf.Tensor,
        negatives: tf.Tensor,
        present: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """The model's loss for finished vectors, float32 `[batch]`.

        Args:
            queries: float32 `[batch, dim]`.
            table: float32 `[num_known, dim]`.
            positives: int32 `[batch]`.
            negatives: int32 `[num_negatives]`.
            present: bool `[num_known]`, which of the table's vectors are there, None for all. The others are not
                compared with, and a row whose own candidate is missing loses nothing.
        """
        if self.loss_name == "full_softmax":
            losses = full_softmax(tf.matmul(queries, table, transpose_b=True) / self.temperature, positives, present)
            return losses if present is None else tf.where(tf.gather(present, positives), losses, 0.0)
        own = tf.reduce_sum(queries * tf.gather(table, positives), axis=1)  # [batch]
        scores = tf.matmul(queries, tf.gather(table, negatives), transpose_b=True)  # [batch, num_negatives]
        mask = negatives[None, :] != positives[:, None]
        if present is not None:
            mask &= tf.gather(present, negatives) & tf.gather(present, positives)[:, None]
        return bpr(own / self.temperature, scores / self.temperature, mask)

    def _half_squares(self, positives: tf.Tensor, negatives: tf.Tensor) -> tf.Tensor:
        """Of each row's candidate and, on average, of the negatives, `[batch]`."""
        embeddings, size = self.candidate_tower.encoders["id"].embeddings, tf.size(positives)
        # one gather: with the propagation's it makes two gradients, whose sum has no order
        squares = _half_square(tf.gather(embeddings, tf.concat([positives, negatives], axis=0)))
        of_negatives = tf.reduce_sum(squares[size:]) / tf.maximum(tf.cast(tf.size(negatives), tf.float32), 1.0)
        return squares[:size] + of_negatives

    def build_towers(self) -> int:
        """Creates every weight; the table is that of a graph without edges. Returns the size of the vectors."""
        size, dim = self.candidate_tower.build_from_raw(), self.propagation.dim
        empty = {"rows": tf.fill([1, 1], -1), "table": tf.zeros([self.num_candidates, size - dim])}
        query_dim = self.query_tower.build_from_raw({"history": empty})
        if query_dim != dim:
            raise UsageError(f"both sides must give vectors of one size, got {query_dim} (query) and {dim} (candidate)")
        queries = self.query_tower.encoders["id"].embeddings.shape[0]
        self._graph = BipartiteGraph([], [], queries, self._catalogue_rows.size)
        self.materialize()
        self._graph = None
        return dim


def _unit(vectors: tf.Tensor) -> tf.Tensor:
    """Vectors of unit length; zero stays zero."""
    return tf.math.l2_normalize(vectors, axis=-1)


def _half_square(vectors: tf.Tensor) -> tf.Tensor:
    """`[n, dim]` -> `[n]`."""
    return 0.5 * tf.reduce_sum(tf.square(tf.cast(vectors, tf.float32)), axis=1)
