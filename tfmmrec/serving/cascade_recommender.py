"""What the signatures of a retrieval model and a ranking model behind it compute."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from tfmmrec.search.cascade import DEPTH
from tfmmrec.search.content_sample import ContentSample
from tfmmrec.search.exact import ExactIndex
from tfmmrec.search.query_histories import QueryHistories
from tfmmrec.search.question import by_products
from tfmmrec.search.second_stage import second_stage
from tfmmrec.serving.pair_model import PairModel
from tfmmrec.serving.recommender import Recommender, filters_of


class CascadeRecommender(Recommender):
    """The retriever, whose best candidates for a query are put in the order of the ranker.

    Args:
        model: the retriever's.
        index: of its candidates' vectors, with their parts for the ranker.
        histories: see `Recommender`.
        sample: see `Recommender`.
        ranker: the ranking model, over the same index.
        depth: how many candidates of a query it looks at.
    """

    def __init__(
        self,
        model,
        index: ExactIndex,
        histories: QueryHistories,
        sample: ContentSample,
        ranker: PairModel,
        depth: int = DEPTH,
    ):
        super().__init__(model, index, histories, sample)
        self.ranker = ranker
        self.depth = depth
        self._ranked = tf.function(self._ranked_candidates, autograph=False)

    def recommend(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The best candidates for queries, without their history; the most popular for those of whom neither model
        knows anything. Scores are the ranker's. Where it alone knows a query, it orders the most popular.
        """
        asked, asked_of_ranker = self.queries(inputs), self.ranker.queries(inputs)
        source = tf.where(asked.source == "popular", asked_of_ranker.source, asked.source)
        is_popular = source == "popular"
        asked_for = asked.vectors, filters_of(inputs), asked.history_rows
        found = self._ranked(*asked_for, is_popular, asked_of_ranker.vectors)
        return found | {"source": source}

    def embed_candidate(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Candidates' vectors and parts, as the index would hold them."""
        return super().embed_candidate(inputs) | self.ranker.embed_candidate(inputs)

    def score(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The ranker's score of each row's query and candidate."""
        return self.ranker.score(inputs)

    def _ranked_candidates(self, vectors, filters, excluded_rows, is_popular, parts) -> dict[str, tf.Tensor]:
        def pair_scores(places: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
            return self.ranker.pair_scores(parts, places, rows)

        question = by_products(vectors, is_popular | ~self.index.tells_apart(vectors))
        return second_stage(self.index, question, filters, excluded_rows, is_popular, pair_scores, self.depth)
