import numpy as np
import pytest
import tensorflow as tf

from tests.serving.catalogue import untrained_run
from tfmmrec.serving.inputs import (
    QUERY_KEY,
    ListLengths,
    candidate_inputs,
    candidate_key,
    content_key,
    make_input,
    query_inputs,
    request_inputs,
)
from tfmmrec.types import UsageError

KEYS = {
    "two_tower": ("candidate_id", "candidate_title"),
    "id_only": ("candidate_id", "candidate_title"),
    "content_only": ("candidate_title", "candidate_title"),
    "history_only": ("candidate_id", "candidate_title"),
}


def test_a_default_is_one_row_of_missing_values():
    made = make_input("allow", tf.string, "", "filters", [3])
    assert made.spec == tf.TensorSpec([None, 3], tf.string, "allow")
    assert made.default.tolist() == [["", "", ""]]
    assert np.isnan(make_input("age", tf.float32, np.nan, "number").default).tolist() == [True]


@pytest.mark.parametrize("model", KEYS)
def test_every_model_of_a_schema_takes_the_same_inputs(model, song_dataset, tmp_path):
    run = untrained_run(song_dataset, tmp_path / "run", model)
    schema, statistics, lengths = run.config.data_schema, run.statistics, ListLengths(history=5)
    queries, candidates = schema.queries.features, schema.candidates.features
    query = query_inputs(queries, statistics.queries, run.model.query_tower, lengths)
    found = {name: (made.spec.dtype.name, made.spec.shape.as_list()[1:]) for name, made in query.items()}
    assert found == {
        "query_id": ("string", []),
        "history": ("string", [5]),
        "query_about": ("string", []),
        "query_tastes": ("string", [4]),
        "query_age": ("float32", []),
        "query_face": ("float32", [3]),
    }
    assert QUERY_KEY in query
    assert np.isnan(query["query_age"].default[0]) and query["query_face"].default.tolist() == [[0.0, 0.0, 0.0]]
    candidate = candidate_inputs(candidates, statistics.candidates, run.model.candidate_tower)
    found = {name: (made.spec.dtype.name, made.spec.shape.as_list()[1:]) for name, made in candidate.items()}
    assert found == {
        "candidate_id": ("string", []),
        "candidate_title": ("string", []),
        "candidate_genre": ("string", []),
        "candidate_mood": ("string", [3]),
        "candidate_artist": ("string", []),
        "candidate_length": ("float32", []),
        "candidate_sound": ("float32", [4]),
    }
    keys = (
        candidate_key(run.model.candidate_tower, candidates),
        content_key(run.model.candidate_tower, candidates),
    )
    assert keys == KEYS[model]


def test_requests_have_all_inputs_from_the_first_day():
    made = request_inputs(ListLengths(exclude=7, allow=2, deny=3))
    shapes = {name: made[name].spec.shape.as_list() for name in made}
    assert shapes == {
        "exclude": [None, 7],
        "allow": [None, 2],
        "deny": [None, 3],
        "k": [None],
        "min_score": [None],
        "cap": [None],
    }
    assert {name: made[name].default.tolist() for name in ("k", "min_score", "cap")} == {
        "k": [10],
        "min_score": [-np.inf],
        "cap": [0],
    }


def test_a_list_is_never_empty():
    with pytest.raises(UsageError, match="the length of deny must be at least 1, got 0"):
        ListLengths(deny=0)
