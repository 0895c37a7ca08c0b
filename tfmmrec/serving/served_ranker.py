"""The signatures of a ranking model that is exported without a retriever.

| signature | required | optional | out |
|---|---|---|---|
| serving_default, score | both keys | other inputs of both | scores |
| embed_candidate | the candidate's key | other candidate inputs | parts |

Inputs are those of `signatures`. There is `embed_candidate` where histories are read: they pool candidates' parts, and
`index.replace(ids, parts)` gives them other candidates.
"""

from __future__ import annotations

from tfmmrec.data.statistics import Statistics
from tfmmrec.schema import Schema
from tfmmrec.search.candidate_parts import CandidateParts
from tfmmrec.search.query_histories import QueryHistories
from tfmmrec.serving import inputs as names
from tfmmrec.serving.inputs import ListLengths
from tfmmrec.serving.pair_model import PairModel
from tfmmrec.serving.saved_weights import loaded_objects, weight_paths, weights_read
from tfmmrec.serving.served_signatures import ServedSignatures, Signatures


class ServedRanker(ServedSignatures):
    """A ranking model that scores the pairs it is sent.

    Args:
        model: a ranking model, built.
        index: its candidates' parts; empty where it reads no histories.
        histories: of known queries; none where it reads no histories.
        schema: what the inputs mean.
        statistics: what the model was built from.
        lengths: of the list inputs.
    """

    def __init__(
        self,
        model,
        index: CandidateParts,
        histories: QueryHistories,
        schema: Schema,
        statistics: Statistics,
        lengths: ListLengths | None = None,
    ):
        pairs = PairModel(model, index, histories)
        features = schema.candidates.features
        query = names.query_inputs(
            schema.queries.features, statistics.queries, model.query_tower, lengths or ListLengths()
        )
        candidate = names.candidate_inputs(features, statistics.candidates, model.candidate_tower)
        key = names.candidate_key(model.candidate_tower, features)
        signatures: Signatures = {"score": (query | candidate, [names.QUERY_KEY, key], pairs.score)}
        if "history" in model.query_tower.encoders:
            signatures["embed_candidate"] = (candidate, [key], pairs.embed_candidate)
        weights = weights_read(pairs.score, query | candidate, weight_paths(model), [index, histories])
        super().__init__(signatures, "score", index, histories, weights, loaded_objects(model))
