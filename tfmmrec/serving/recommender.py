"""What the signatures of a retrieval model compute."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import tensorflow as tf

from tfmmrec.search.content_sample import ContentSample
from tfmmrec.search.exact import ExactIndex
from tfmmrec.search.filters import Filters, best_candidates
from tfmmrec.search.query_histories import QueryHistories
from tfmmrec.search.question import by_cosines, by_products
from tfmmrec.serving.two_sides import TwoSides

_LISTS = tf.TensorSpec([None, None], tf.string)
_INTEGERS, _NUMBERS = tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.float32)
_BEST = [
    tf.TensorSpec([None, None], tf.float32),
    tf.TensorSpec([None], tf.bool),
    Filters(exclude=_LISTS, allow=_LISTS, deny=_LISTS, k=_INTEGERS, min_score=_NUMBERS, cap=_INTEGERS),
    tf.TensorSpec([None, None], tf.int32),
]


class Recommender(TwoSides):
    """A retrieval model and an index of its candidates, over raw inputs.

    Args:
        model: has `query_tower`, `candidate_tower`, `embed_queries` and `embed_candidates`, all built.
        index: of its candidates' vectors, of any kind. Histories are gathered from it, so that refreshed candidates
            count.
        histories: of known queries: what one has chosen is used when a request has its id and no history, and is never
            recommended to it.
        sample: of candidates' content, so that what is sent to `search` is compared by what distinguishes it.
    """

    def __init__(self, model, index: ExactIndex, histories: QueryHistories, sample: ContentSample):
        super().__init__(model, index, histories)
        self.sample = sample
        # functions of their own in the graph: several signatures share them
        self._best = tf.function(self._best_by_products, autograph=False, input_signature=_BEST)
        self._nearest = tf.function(self._best_by_cosines, autograph=False, input_signature=_BEST)

    def recommend(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The best candidates for queries, without their history; the most popular for those it knows nothing of."""
        asked = self.queries(inputs)
        is_popular = asked.source == "popular"
        return self._best(asked.vectors, is_popular, filters_of(inputs), asked.history_rows) | {"source": asked.source}

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
        return self._nearest(made.vectors - mean, has_content, filters_of(inputs), tf.fill([batch[0], 1], -1))

    def similar(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The nearest candidates by cosine of candidates in the index, itself left out; none for an unknown id."""
        rows = self.index.rows_of(inputs["candidate_id"])
        differences = self.index.differences(tf.maximum(rows, 0))
        return self._nearest(differences, rows >= 0, filters_of(inputs), rows[:, None])

    def score(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The score of each row's query and candidate."""
        products = self.queries(inputs).vectors * self.candidates(inputs).vectors
        return {"scores": tf.reduce_sum(products, axis=1)}

    def _best_by_products(self, vectors, is_popular, filters, excluded_rows) -> dict[str, tf.Tensor]:
        return best_candidates(self.index, by_products(vectors, is_popular), filters, excluded_rows)

    def _best_by_cosines(self, differences, is_known, filters, excluded_rows) -> dict[str, tf.Tensor]:
        return best_candidates(self.index, by_cosines(differences, is_known), filters, excluded_rows)


def filters_of(inputs: Mapping[str, tf.Tensor]) -> Filters:
    """Those of a request."""
    return Filters(**{name: inputs[name] for name in Filters._fields})
