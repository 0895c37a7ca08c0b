"""The signatures of an exported retrieval model, and of one with a ranking model behind it.

| signature | required | optional | out |
|---|---|---|---|
| serving_default, recommend | the query's key | other query inputs, filters | candidate_ids, scores, source |
| recommend_examples | examples | | the same |
| embed_query | the query's key | other query inputs | vectors |
| embed_candidate | the candidate's key | other candidate inputs | vectors; history_vectors, parts where there are |
| search | a feature | other features, filters | candidate_ids, scores |
| similar | candidate_id | filters | candidate_ids, scores |
| score | both keys | other inputs of both | scores |

Query inputs are `query_id`, `history` and `query_<feature>`; candidate inputs `candidate_id` and
`candidate_<feature>`; filters `exclude`, `allow`, `deny`, `k`, `min_score`, `cap`. Keys: `inputs.QUERY_KEY`,
`candidate_key` and `content_key`. Missing are "" for a string, NaN for a number, zeros for a vector.

With a ranking model the scores of `recommend` and `score` are its own, all others the retriever's.
"""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from tfmmrec.data.statistics import Statistics
from tfmmrec.schema import Schema
from tfmmrec.search.candidate_parts import IndexedParts
from tfmmrec.search.content_sample import ContentSample
from tfmmrec.search.exact import ExactIndex
from tfmmrec.search.query_histories import QueryHistories
from tfmmrec.serving import inputs as names
from tfmmrec.serving.cascade_recommender import CascadeRecommender
from tfmmrec.serving.example_parsing import parse_examples
from tfmmrec.serving.inputs import ListLengths
from tfmmrec.serving.pair_model import PairModel
from tfmmrec.serving.recommender import Recommender
from tfmmrec.serving.saved_weights import loaded_objects, weight_paths, weights_read
from tfmmrec.serving.served_signatures import ServedSignatures, Signatures


class ServedModel(ServedSignatures):
    """A retrieval model and its index, possibly with a ranking model behind them.

    Args:
        model: a retrieval model, built.
        index: of its candidates, with their parts where there is a ranker.
        histories: of known queries.
        sample: of the candidates' content.
        schema: what the inputs mean.
        statistics: what the model was built from.
        lengths: of the list inputs.
        ranker: a ranking model of the same schema, built.
        ranker_histories: of known queries as it reads them, where it reads others.
    """

    def __init__(
        self,
        model,
        index: ExactIndex,
        histories: QueryHistories,
        sample: ContentSample,
        schema: Schema,
        statistics: Statistics,
        lengths: ListLengths | None = None,
        ranker=None,
        ranker_histories: QueryHistories | None = None,
    ):
        paths, encoders = weight_paths(model), loaded_objects(model)
        if ranker is None:
            recommender = Recommender(model, index, histories, sample)
        else:
            pairs = PairModel(ranker, IndexedParts(index), ranker_histories or histories)
            recommender = CascadeRecommender(model, index, histories, sample, pairs)
            paths, encoders = weight_paths(ranker, "ranker/") | paths, encoders + loaded_objects(ranker)
        signatures = _signatures(recommender, schema, statistics, lengths or ListLengths())
        others = [index, histories] + [ranker_histories] * (ranker_histories is not None)

        def read(given: dict[str, tf.Tensor]) -> tuple:
            return recommender.queries(given).vectors, recommender.embed_candidate(given), recommender.score(given)

        weights = weights_read(read, signatures["score"][0], paths, others)
        super().__init__(signatures, "recommend", index, histories, weights, encoders)
        self.content_sample = sample
        self.ranker_histories = ranker_histories

    def arrays(self) -> dict[str, dict[str, tf.Variable]]:
        """Every variable by a name, in groups."""
        groups = super().arrays() | {"content_sample": self.content_sample.arrays()}
        own = self.ranker_histories
        return groups if own is None else groups | {"ranker_histories": own.arrays()}


def _signatures(recommender: Recommender, schema: Schema, statistics: Statistics, lengths: ListLengths) -> Signatures:
    query_tower, candidate_tower = recommender.model.query_tower, recommender.model.candidate_tower
    query_features, candidate_features = schema.queries.features, schema.candidates.features
    query = names.query_inputs(query_features, statistics.queries, query_tower, lengths)
    candidate = names.candidate_inputs(candidate_features, statistics.candidates, candidate_tower)
    filters = names.request_inputs(lengths)
    query_key = names.QUERY_KEY
    candidate_key = names.candidate_key(candidate_tower, candidate_features)
    scored_by = recommender.ranker.model if isinstance(recommender, CascadeRecommender) else recommender.model
    scored_key = names.candidate_key(scored_by.candidate_tower, candidate_features)
    examples = {"examples": names.make_input("examples", tf.string, "", "serialized tf.Example")}
    own_id = {"candidate_id": candidate["candidate_id"]}

    def recommend_examples(given: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return recommender.recommend(parse_examples(given["examples"], query | filters))

    signatures: Signatures = {
        "recommend": (query | filters, [query_key], recommender.recommend),
        "recommend_examples": (examples, ["examples"], recommend_examples),
        "embed_query": (query, [query_key], recommender.embed_query),
        "embed_candidate": (candidate, [candidate_key], recommender.embed_candidate),
        "similar": (own_id | filters, ["candidate_id"], recommender.similar),
        "score": (query | candidate, [query_key, scored_key], recommender.score),
    }
    content = {key: made for key, made in candidate.items() if key != "candidate_id"}
    if content:  # a catalogue of ids alone has nothing to be searched by
        key = names.content_key(candidate_tower, candidate_features)
        signatures["search"] = (content | filters, [key], recommender.search)
    return signatures
