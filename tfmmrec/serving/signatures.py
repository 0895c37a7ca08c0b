"""The signatures of an exported model.

| signature | required | optional | out |
|---|---|---|---|
| serving_default, recommend | the query's key | other query inputs, filters | candidate_ids, scores, source |
| recommend_examples | examples | | the same |
| embed_query | the query's key | other query inputs | vectors |
| embed_candidate | the candidate's key | other candidate inputs | vectors, history_vectors (where they differ) |
| search | a feature | other features, filters | candidate_ids, scores |
| similar | candidate_id | filters | candidate_ids, scores |
| score | both keys | other inputs of both | scores |

Query inputs are `query_id`, `history` and `query_<feature>`; candidate inputs `candidate_id` and
`candidate_<feature>`; filters `exclude`, `allow`, `deny`, `k`, `min_score`, `cap`. Keys: `inputs.QUERY_KEY`,
`candidate_key` and `content_key`. Missing are "" for a string, NaN for a number, zeros for a vector.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfmmrec.data.statistics import Statistics
from tfmmrec.schema import Schema
from tfmmrec.search.content_sample import ContentSample
from tfmmrec.search.exact import ExactIndex
from tfmmrec.search.query_histories import QueryHistories
from tfmmrec.serving import inputs as names
from tfmmrec.serving.example_parsing import parse_examples
from tfmmrec.serving.inputs import Input, ListLengths
from tfmmrec.serving.recommender import Recommender
from tfmmrec.serving.signature_function import signature_function


class ServedModel(tf.Module):
    """What is saved: one tf.function for each signature, the index, and the weights that the signatures read.

    The model itself is not part of it: Keras layers would be saved with functions of their own, and with what only
    training needs. `weights` holds exactly the variables that embedding reads.

    Args:
        model: a retrieval model, built.
        index: of its candidates.
        histories: of known queries.
        sample: of the candidates' content.
        schema: what the inputs mean.
        statistics: what the model was built from.
        lengths: of the list inputs.
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
    ):
        super().__init__(name="served_model")
        self.index = index
        self.query_histories = histories
        self.content_sample = sample
        recommender = Recommender(model, index, histories, sample)
        described = _signatures(recommender, schema, statistics, lengths or ListLengths())
        self._described = _Untracked(described)
        for name, (inputs, required, body) in described.items():
            setattr(self, name, signature_function(name, inputs, required, body))
        self.serving_default = self.recommend
        self.weights = _weights(recommender, described["score"][0])
        # a TF-Hub encoder may capture more than variables, such as tables: they live in the object it was loaded as
        parts = (*model.query_tower.submodules, *model.candidate_tower.submodules)
        self.encoders = [part.resolved_object for part in parts if hasattr(part, "resolved_object")]

    @property
    def signatures_to_save(self) -> dict[str, Any]:
        """What `tf.saved_model.save` takes as `signatures`."""
        return {name: getattr(self, name) for name in ("serving_default", *self._described.value)}

    def description(self) -> dict[str, dict[str, Any]]:
        """Every signature's inputs for people and clients: dtype, shape without the batch, whether it is required."""
        described = {
            name: {
                "inputs": {key: _describe(made, key in required) for key, made in inputs.items()},
                "required": list(required),
            }
            for name, (inputs, required, _) in self._described.value.items()
        }
        return {"serving_default": described["recommend"]} | described

    def inputs(self, signature: str) -> dict[str, Input]:
        """The inputs of one signature."""
        return dict(self._described.value["recommend" if signature == "serving_default" else signature][0])


class _Untracked:
    """Holds what the saved model shall not hold."""

    def __init__(self, value: dict):
        self.value = value


def _signatures(recommender: Recommender, schema: Schema, statistics: Statistics, lengths: ListLengths) -> dict:
    """Name -> inputs, required ones, body."""
    query_tower, candidate_tower = recommender.model.query_tower, recommender.model.candidate_tower
    query_features, candidate_features = schema.queries.features, schema.candidates.features
    query = names.query_inputs(query_features, statistics.queries, query_tower, lengths)
    candidate = names.candidate_inputs(candidate_features, statistics.candidates, candidate_tower)
    filters = names.request_inputs(lengths)
    query_key = names.QUERY_KEY
    candidate_key = names.candidate_key(candidate_tower, candidate_features)
    examples = {"examples": names.make_input("examples", tf.string, "", "serialized tf.Example")}
    own_id = {"candidate_id": candidate["candidate_id"]}

    def recommend_examples(given: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return recommender.recommend(parse_examples(given["examples"], query | filters))

    signatures = {
        "recommend": (query | filters, [query_key], recommender.recommend),
        "recommend_examples": (examples, ["examples"], recommend_examples),
        "embed_query": (query, [query_key], recommender.embed_query),
        "embed_candidate": (candidate, [candidate_key], recommender.embed_candidate),
        "similar": (own_id | filters, ["candidate_id"], recommender.similar),
        "score": (query | candidate, [query_key, candidate_key], recommender.score),
    }
    content = {key: made for key, made in candidate.items() if key != "candidate_id"}
    if content:  # a catalogue of ids alone has nothing to be searched by
        key = names.content_key(candidate_tower, candidate_features)
        signatures["search"] = (content | filters, [key], recommender.search)
    return signatures


def _describe(made: Input, is_required: bool) -> dict[str, Any]:
    shape = made.spec.shape.as_list()[1:]
    described = {"dtype": made.spec.dtype.name, "shape": shape, "what": made.what, "required": is_required}
    if made.spec.dtype == tf.string and shape:
        described["list_length"] = shape[0]
    return described


def _weights(recommender: Recommender, inputs: Mapping[str, Input]) -> dict[str, tf.Variable]:
    """The variables that embedding a query and a candidate reads, the index and the stored histories aside, by path."""

    def embed(given: dict[str, tf.Tensor]) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        return recommender.queries(given).vectors, recommender.embed_candidate(given)

    specs = {name: made.spec for name, made in inputs.items()}
    read = tf.function(embed, autograph=False).get_concrete_function(specs).graph.variables
    paths = _paths(recommender.model)
    own = {id(variable) for part in (recommender.index, recommender.histories) for variable in part.variables}
    named = {paths.get(id(v), v.name.split(":")[0]): v for v in read if id(v) not in own}
    return dict(sorted(named.items()))


def _paths(model) -> dict[int, str]:
    """The path of every part by its identity, such as candidate_tower/encoders/id/embeddings."""
    sides = ("query_tower", "candidate_tower", "history_tower")
    waiting = [(side, getattr(model, side)) for side in sides if getattr(model, side, None) is not None]
    found: dict[int, str] = {}
    for path, parent in waiting:  # grows while it is walked, so that the shortest path is found first
        for name, child in tf.train.TrackableView.children(parent).items():
            if id(child) not in found:
                found[id(child)] = f"{path}/{name}"
                waiting.append((f"{path}/{name}", child))
    return found
