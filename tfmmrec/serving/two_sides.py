"""A model's two towers over raw inputs: queries, with what is known of their histories, and candidates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from tfmmrec.search.query_histories import QueryHistories

SOURCES = ("query", "history", "features", "popular")


class AskedQueries(NamedTuple):
    """Queries as the model sees them.

    Attributes:
        vectors: float32 `[batch, dim]`.
        source: string `[batch]`, the best that the model knows of each query: its id (query), a candidate of its
            history (history), any feature (features), or nothing (popular).
        history_rows: int32 `[batch, any]`, the index's rows of all that it is known to have chosen, -1 = none.
    """

    vectors: tf.Tensor
    source: tf.Tensor
    history_rows: tf.Tensor


class EmbeddedCandidates(NamedTuple):
    """Candidates as the model sees them.

    Attributes:
        vectors: float32 `[batch, dim]`.
        history_vectors: float32 `[batch, history_dim]`, what histories pool; None where that is `vectors`.
        present: modality -> bool `[batch]`.
    """

    vectors: tf.Tensor
    history_vectors: tf.Tensor | None
    present: dict[str, tf.Tensor]


class TwoSides:
    """Raw inputs of queries and candidates -> their vectors, or the parts that a ranking model scores.

    Args:
        model: has `query_tower`, `candidate_tower`, `embed_queries` and `embed_candidates`, all built.
        index: of its candidates: `lookup`, `rows_of`, and `pooled`, which histories are gathered from.
        histories: of known queries: what one has chosen is used when a request has its id and no history.
    """

    def __init__(self, model, index, histories: QueryHistories):
        self.model = model
        self.index = index
        self.histories = histories
        # functions of their own in the graph: several signatures share them
        self._queries = tf.function(self._embed_queries, autograph=False)
        self._candidates = tf.function(self._embed_candidates, autograph=False)

    def queries(self, inputs: Mapping[str, tf.Tensor]) -> AskedQueries:
        """Raw `query_id`, `history` and `query_<feature>`, `[batch, ...]` -> the queries."""
        names = [f"query_{name}" for name in self.model.query_tower.encoders if name != "history"]
        return self._queries({name: inputs[name] for name in dict.fromkeys([*names, "query_id", "history"])})

    def candidates(self, inputs: Mapping[str, tf.Tensor]) -> EmbeddedCandidates:
        """Raw `candidate_id` and `candidate_<feature>`, `[batch, ...]` -> the candidates."""
        names = [f"candidate_{name}" for name in self.model.candidate_tower.encoders]
        return self._candidates({name: inputs[name] for name in names})

    def _embed_queries(self, inputs: Mapping[str, tf.Tensor]) -> AskedQueries:
        tower, table = self.model.query_tower, self.index.pooled
        numeric = tower.preprocess({name: inputs[f"query_{name}"] for name in tower.encoders if name != "history"})
        given, stored = self.index.rows_of(inputs["history"]), self.histories(inputs["query_id"], self.index.lookup)
        given.set_shape(inputs["history"].shape)
        length = tower.encoders["history"].length if "history" in tower.encoders else given.shape[1]
        rows, uses_stored = own_or_stored(first_known(each_once(given), length), stored)
        if "history" in tower.encoders:
            numeric["history"] = {"rows": rows, "table": table}
        embedded = tower.encode(numeric, training=False)
        vectors = tf.cast(self.model.embed_queries(embedded, table=table, training=False), tf.float32)
        source = _sources(embedded, tf.shape(vectors)[:1])
        if "history" in tower.encoders:
            source = tf.where(uses_stored, "query", source)
        return AskedQueries(vectors, source, tf.concat([given, stored], axis=1))

    def _embed_candidates(self, inputs: Mapping[str, tf.Tensor]) -> EmbeddedCandidates:
        tower = self.model.candidate_tower
        numeric = tower.preprocess({name: inputs[f"candidate_{name}"] for name in tower.encoders})
        embedded = tower.encode(numeric, training=False)
        vectors = tf.cast(self.model.embed_candidates(embedded, training=False), tf.float32)
        present = {name: part["present"] for name, part in embedded.items()}
        history_vectors = None
        if self.index.history_vectors is not None:
            # the content is encoded once for both; the id has another embedding here
            own = embedded | ({"id": numeric["id"]} if "id" in numeric else {})
            history_vectors = tf.cast(self.model.embed_history(own, training=False), tf.float32)
        return EmbeddedCandidates(vectors, history_vectors, present)


def _sources(embedded: Mapping[str, Mapping[str, tf.Tensor]], batch: tf.Tensor) -> tf.Tensor:
    """The first of `SOURCES` that a row has."""
    present = {name: part["present"] for name, part in embedded.items()}
    source = tf.fill(batch, "popular")
    for name in sorted(present, key=lambda name: {"history": 1, "id": 2}.get(name, 0)):
        source = tf.where(present[name], {"history": "history", "id": "query"}.get(name, "features"), source)
    return source


def each_once(rows: tf.Tensor) -> tf.Tensor:
    """int32 `[batch, length]` with -1 in place of what stands further to the left already."""
    order = tf.argsort(rows, axis=1, stable=True)
    ordered = tf.gather(rows, order, batch_dims=1)
    again = tf.concat([tf.zeros_like(ordered[:, :1]) > 0, ordered[:, 1:] == ordered[:, :-1]], axis=1)
    return tf.where(tf.gather(again, tf.argsort(order, axis=1), batch_dims=1), -1, rows)


def first_known(rows: tf.Tensor, length: int) -> tf.Tensor:
    """int32 `[batch, any]` -> `[batch, at most length]`: where there are more, the first that are no -1."""
    if rows.shape[1] <= length:
        return rows
    return tf.ragged.boolean_mask(rows, rows >= 0).to_tensor(-1, shape=[tf.shape(rows)[0], length])


def own_or_stored(given: tf.Tensor, stored: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The history that counts, int32 `[batch, length]`: the one that was sent, or else the stored one.

    What the index no longer has makes room for what was stored after it.

    Returns:
        The rows, and bool `[batch]`, where they are stored ones.
    """
    length = tf.shape(given)[1]
    kept = tf.ragged.boolean_mask(stored, stored >= 0).to_tensor(-1, shape=[tf.shape(stored)[0], length])
    uses_stored = ~tf.reduce_any(given >= 0, axis=1) & tf.reduce_any(kept >= 0, axis=1)
    rows = tf.where(uses_stored[:, None], kept, given)
    rows.set_shape(given.shape)
    return rows, uses_stored
