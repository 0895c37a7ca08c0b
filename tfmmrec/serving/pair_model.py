"""A ranking model over raw inputs."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from tfmmrec.search.candidate_parts import CandidateParts, IndexedParts
from tfmmrec.search.pair_scorer import CHUNK_SIZE
from tfmmrec.search.query_histories import QueryHistories
from tfmmrec.serving.two_sides import TwoSides


class PairModel(TwoSides):
    """A ranking model and its candidates' parts, over raw inputs.

    Args:
        model: has `query_tower`, `candidate_tower`, `embed_queries`, `embed_candidates` and `score_pairs`, all built.
        parts: of its candidates; histories are gathered from them, so that refreshed candidates count.
        histories: of known queries: what one has chosen is used when a request has its id and no history.
    """

    def __init__(self, model, parts: CandidateParts | IndexedParts, histories: QueryHistories):
        super().__init__(model, parts, histories)
        self.pairs_at_once = getattr(model, "pairs_at_once", None) or CHUNK_SIZE

    def score(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The score of each row's query and candidate."""
        parts = self.queries(inputs).vectors, self.candidates(inputs).vectors
        return {"scores": self.model.score_pairs(*parts, training=False)}

    def embed_candidate(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Candidates' parts, as the index would hold them."""
        return {"parts": self.candidates(inputs).vectors}

    def pair_scores(self, query_parts: tf.Tensor, places: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Scores of pairs, some at a time, so that the memory does not grow with the batch.

        Args:
            query_parts: float32 `[batch, query_dim]`.
            places: int32 `[n]`, rows of `query_parts`.
            rows: int32 `[n]`, rows of the candidates' parts.

        Returns:
            Float32 `[n]`.
        """
        num_pairs, size = tf.shape(places)[0], self.pairs_at_once

        def step(start: tf.Tensor, found: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            part = slice(start, start + size)
            query, candidate = tf.gather(query_parts, places[part]), tf.gather(self.index.parts.value(), rows[part])
            return start + size, found.write(start // size, self.model.score_pairs(query, candidate, training=False))

        found = tf.TensorArray(tf.float32, -(-num_pairs // size), infer_shape=False, element_shape=[None])
        _, found = tf.while_loop(lambda start, _: start < num_pairs, step, (0, found), parallel_iterations=1)
        return found.concat()
