"""What the signatures compute: queries' and candidates' vectors from raw inputs, and where an answer comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from tfmmrec.search.exact import ExactIndex
from tfmmrec.search.filters import Filters, best_candidates

SOURCES = ("query", "history", "features", "popular")


class AskedQueries(NamedTuple):
    """Queries as the model sees them.

    Attributes:
        vectors: float32 `[batch, dim]`.
        source: string `[batch]`, the best that the model knows of each query: its id (query), a candidate of its
            history (history), any feature (features), or nothing (popular).
        history_rows: int32 `[batch, length]`, the index's rows of the history, each once, -1 = none or unknown.
    """

    vectors: tf.Tensor
    source: tf.Tensor
    history_rows: tf.Tensor


class Recommender:
    """A retrieval model and an index of its candidates, over raw inputs.

    Args:
        model: has `query_tower`, `candidate_tower`, `embed_queries` and `embed_candidates`, all built.
        index: of its candidates' vectors. Histories are gathered from it, so that refreshed candidates count.
    """

    def __init__(self, model, index: ExactIndex):
        self.model = model
        self.index = index

    def queries(self, inputs: Mapping[str, tf.Tensor]) -> AskedQueries:
        """Raw `query_id`, `history` and `query_<feature>`, `[batch, ...]` -> the queries."""
        tower, table = self.model.query_tower, tf.convert_to_tensor(self.index.vectors)
        numeric = tower.preprocess({name: inputs[f"query_{name}"] for name in tower.encoders if name != "history"})
        rows = _each_once(self.index.rows_of(inputs["history"]))
        if "history" in tower.encoders:
            numeric["history"] = {"rows": rows, "table": table}
        embedded = tower.encode(numeric, training=False)
        vectors = tf.cast(self.model.embed_queries(embedded, table=table, training=False), tf.float32)
        return AskedQueries(vectors, _sources(embedded, tf.shape(vectors)[:1]), rows)

    def candidates(self, inputs: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Raw `candidate_id` and `candidate_<feature>`, `[batch, ...]` -> vectors and whether there is any content.

        Returns:
            Vectors float32 `[batch, dim]` and bool `[batch]`, True where any modality but the id is present.
        """
        tower = self.model.candidate_tower
        embedded = tower.encode(tower.preprocess({name: inputs[f"candidate_{name}"] for name in tower.encoders}), False)
        vectors = tf.cast(self.model.embed_candidates(embedded, training=False), tf.float32)
        present = [part["present"] for name, part in embedded.items() if name != "id"]
        has_content = tf.reduce_any(tf.stack([tf.fill(tf.shape(vectors)[:1], False), *present], axis=1), axis=1)
        return vectors, has_content

    def recommend(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The best candidates for queries, without their history; the most popular for those it knows nothing of."""
        asked = self.queries(inputs)
        is_popular = asked.source == "popular"
        scores = tf.where(is_popular[:, None], self.index.popularity, self.index.scores(asked.vectors))
        found = best_candidates(self.index, scores, _filters(inputs), asked.history_rows)
        return found | {"source": asked.source}

    def embed_query(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Queries' vectors."""
        return {"vectors": self.queries(inputs).vectors}

    def embed_candidate(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Candidates' vectors, as the index would hold them."""
        return {"vectors": self.candidates(inputs)[0]}

    def search(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The nearest candidates by cosine of content that nobody has seen; none where there is no content."""
        batch = tf.shape(inputs["k"])
        vectors, has_content = self.candidates(dict(inputs) | {"candidate_id": tf.fill(batch, "")})
        return self._nearest(vectors, has_content, inputs, tf.fill([batch[0], 1], -1))

    def similar(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The nearest candidates by cosine of candidates in the index, itself left out; none for an unknown id."""
        rows = self.index.rows_of(inputs["candidate_id"])
        vectors = tf.gather(self.index.vectors, tf.maximum(rows, 0))
        return self._nearest(vectors, rows >= 0, inputs, rows[:, None])

    def score(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The score of each row's query and candidate."""
        queries, (candidates, _) = self.queries(inputs).vectors, self.candidates(inputs)
        return {"scores": tf.reduce_sum(queries * candidates, axis=1)}

    def _nearest(self, vectors, known, inputs, excluded_rows):
        scores = tf.where(known[:, None], self.index.cosines(vectors), -float("inf"))
        return best_candidates(self.index, scores, _filters(inputs), excluded_rows)


def _filters(inputs: Mapping[str, tf.Tensor]) -> Filters:
    return Filters(**{name: inputs[name] for name in Filters._fields})


def _sources(embedded: Mapping[str, Mapping[str, tf.Tensor]], batch: tf.Tensor) -> tf.Tensor:
    """The first of `SOURCES` that a row has."""
    present = {name: part["present"] for name, part in embedded.items()}
    source = tf.fill(batch, "popular")
    for name in sorted(present, key=lambda name: {"history": 1, "id": 2}.get(name, 0)):
        source = tf.where(present[name], {"history": "history", "id": "query"}.get(name, "features"), source)
    return source


def _each_once(rows: tf.Tensor) -> tf.Tensor:
    """int32 `[batch, length]` with -1 in place of what stands further to the left already."""
    places = tf.range(tf.shape(rows)[1])
    again = (rows[:, :, None] == rows[:, None, :]) & (places[None, :] < places[:, None])  # [batch, length, length]
    return tf.where(tf.reduce_any(again, axis=2), -1, rows)
