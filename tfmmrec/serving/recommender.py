"""What the signatures compute: queries' and candidates' vectors from raw inputs, and where an answer comes from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import tensorflow as tf

from tfmmrec.search.content_sample import ContentSample
from tfmmrec.search.exact import ExactIndex
from tfmmrec.search.filters import Filters, best_candidates
from tfmmrec.search.query_histories import QueryHistories

SOURCES = ("query", "history", "features", "popular")
_LISTS = tf.TensorSpec([None, None], tf.string)
_INTEGERS, _NUMBERS = tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.float32)
_BEST = [
    tf.TensorSpec([None, None], tf.float32),
    Filters(exclude=_LISTS, allow=_LISTS, deny=_LISTS, k=_INTEGERS, min_score=_NUMBERS, cap=_INTEGERS),
    tf.TensorSpec([None, None], tf.int32),
]


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


class Recommender:
    """A retrieval model and an index of its candidates, over raw inputs.

    Args:
        model: has `query_tower`, `candidate_tower`, `embed_queries` and `embed_candidates`, all built.
        index: of its candidates' vectors. Histories are gathered from it, so that refreshed candidates count.
        histories: of known queries: what one has chosen is used when a request has its id and no history, and is never
            recommended to it.
        sample: of candidates' content, so that what is sent to `search` is compared by what distinguishes it.
    """

    def __init__(self, model, index: ExactIndex, histories: QueryHistories, sample: ContentSample):
        self.model = model
        self.index = index
        self.histories = histories
        self.sample = sample
        # functions of their own in the graph: several signatures share them
        self._queries = tf.function(self._embed_queries, autograph=False)
        self._candidates = tf.function(self._embed_candidates, autograph=False)
        self._best = tf.function(self._best_candidates, autograph=False, input_signature=_BEST)

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
        rows, uses_stored = _own_or_stored(each_once(given), stored)
        if "history" in tower.encoders:
            numeric["history"] = {"rows": rows, "table": table}
        embedded = tower.encode(numeric, training=False)
        vectors = tf.cast(self.model.embed_queries(embedded, table=table, training=False), tf.float32)
        source = _sources(embedded, tf.shape(vectors)[:1])
        if "history" in tower.encoders:
            source = tf.where(uses_stored, "query", source)
        return AskedQueries(vectors, source, tf.concat([rows, stored], axis=1))

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

    def recommend(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The best candidates for queries, without their history; the most popular for those it knows nothing of."""
        asked = self.queries(inputs)
        is_popular = asked.source == "popular"
        scores = tf.where(is_popular[:, None], self.index.popularity, self.index.scores(asked.vectors))
        return self._found(scores, inputs, asked.history_rows) | {"source": asked.source}

    def embed_query(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Queries' vectors."""
        return {"vectors": self.queries(inputs).vectors}

    def embed_candidate(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Candidates' vectors, as the index would hold them."""
        made = self.candidates(inputs)
        history = {} if made.history_vectors is None else {"history_vectors": made.history_vectors}
        return {"vectors": made.vectors} | history

    def search(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The nearest candidates by cosine of content that nobody has seen; none where there is no content."""
        batch = tf.shape(inputs["k"])
        made = self.candidates(dict(inputs) | {"candidate_id": tf.fill(batch, "")})
        present = [tf.fill(batch, False), *(part for name, part in made.present.items() if name != "id")]
        has_content = tf.reduce_any(tf.stack(present, axis=1), axis=1)
        mean = self.sample.means(partial(self.model.embed_candidates, training=False), made.present)
        return self._nearest(made.vectors - mean, has_content, inputs, tf.fill([batch[0], 1], -1))

    def similar(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The nearest candidates by cosine of candidates in the index, itself left out; none for an unknown id."""
        rows = self.index.rows_of(inputs["candidate_id"])
        differences = self.index.differences(tf.maximum(rows, 0))
        return self._nearest(differences, rows >= 0, inputs, rows[:, None])

    def score(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The score of each row's query and candidate."""
        products = self.queries(inputs).vectors * self.candidates(inputs).vectors
        return {"scores": tf.reduce_sum(products, axis=1)}

    def _nearest(self, differences, known, inputs, excluded_rows):
        scores = tf.where(known[:, None], self.index.cosines(differences), -float("inf"))
        return self._found(scores, inputs, excluded_rows)

    def _found(self, scores, inputs, excluded_rows) -> dict[str, tf.Tensor]:
        return self._best(scores, Filters(**{name: inputs[name] for name in Filters._fields}), excluded_rows)

    def _best_candidates(self, scores, filters, excluded_rows) -> dict[str, tf.Tensor]:
        return best_candidates(self.index, scores, filters, excluded_rows)


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


def _own_or_stored(given: tf.Tensor, stored: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
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
