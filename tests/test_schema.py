import pytest
from pydantic import ValidationError

from tfmmrec.schema import Feature, InteractionsSchema, Schema, Split
from tfmmrec.types import DataError

LOG = {"train": "train.csv", "query": "user", "candidate": "thing"}


def test_a_whole_schema_round_trips():
    schema = Schema.model_validate(
        {
            "interactions": {"path": "log.csv", "query": "u", "candidate": "i", "positive": "rating >= 4"},
            "candidates": {
                "path": "i.csv",
                "id": "i",
                "features": {"tags": {"kind": "category", "separator": "|"}},
            },
            "queries": {"ids": {"range": 5}, "features": {"face": {"kind": "vector", "path": "face.npy"}}},
        }
    )
    assert Schema.model_validate_json(schema.model_dump_json()) == schema
    assert schema.interactions.split is None
    assert schema.interactions.split_or_default == Split(method="ratio", valid=0.1, test=0.1)
    assert schema.queries.history.length == 50


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("rating >= 4", ("rating", ">=", 4.0)),
        (" stars>3.5 ", ("stars", ">", 3.5)),
        ("seconds watched != -1e3", ("seconds watched", "!=", -1000.0)),
    ],
)
def test_positive_is_a_comparison(text, rule):
    assert InteractionsSchema(**LOG, positive=text).positive_rule == rule


@pytest.mark.parametrize("text", ["rating", "rating >= four", "__import__('os')", "a >= 1 or b >= 2", ">= 4"])
def test_anything_else_is_no_comparison(text):
    with pytest.raises(ValidationError, match="expected COLUMN OPERATOR NUMBER such as 'rating >= 4', found"):
        InteractionsSchema(**LOG, positive=text)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"path": "log.csv"}, "exclude each other; keep one form"),
        ({"train": None, "test": "test.csv"}, "`valid` and `test` need `train` beside them"),
        ({"split": {"method": "ratio"}}, "`split` parts one `path`; with ready-made files leave it out"),
        ({"candidate": "user"}, "`query` and `candidate` name the same column 'user'; name two"),
        ({"features": {"look": {"kind": "image"}}}, "an interaction has no features of kind: image"),
        ({"features": {"weight": {"kind": "number"}}}, "give `weight: COLUMN` instead"),
        ({"train": None, "path": "l.csv", "split": {"method": "time"}}, "method: time needs `timestamp`"),
        ({"cold_candidates": 1.0}, "less than 1"),
    ],
)
def test_contradictions_of_interactions_are_refused(keys, message):
    with pytest.raises(ValidationError) as caught:
        InteractionsSchema(**(LOG | keys))
    assert message in str(caught.value)


def test_a_split_leaves_something_to_train_on():
    with pytest.raises(ValidationError, match="must leave something to train on, got 0.5 [+] 0.5"):
        Split(method="ratio", valid=0.5, test=0.5)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"kind": "text", "separator": "|"}, "separator is for kind: category, not for kind: text"),
        ({"kind": "category", "separator": ""}, "separator must not be empty"),
        ({"kind": "image", "path": "x.npy"}, "path is for kind: vector, not for kind: image"),
        ({"kind": "sound"}, "'identifier', 'category', 'number', 'text', 'image'"),
    ],
)
def test_contradictions_of_a_feature_are_refused(keys, message):
    with pytest.raises(ValidationError) as caught:
        Feature(**keys)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        ({"path": "i.csv"}, "a table needs `id`"),
        ({"path": "i.csv", "id": "i", "ids": {"range": 3}}, "exclude each other; keep one"),
        ({"features": {"a": {"kind": "text"}}}, "feature 'a' needs a table"),
        ({"features": {"a": {"kind": "vector", "path": "a.npy"}}}, "add `ids: {range: NUMBER OF ROWS}`"),
        ({"display": ["a"]}, "`display` names columns of a table"),
        ({"path": "i.csv", "id": "i", "features": {"a b": {"kind": "text"}}}, "use letters, digits, _"),
        (
            {"path": "i.csv", "id": "i", "features": {"größe": {"kind": "number"}}},
            "(ASCII, a letter first), with `column:`",
        ),
        ({"path": "i.csv", "id": "i", "features": {"_a": {"kind": "number"}}}, "use letters, digits, _"),
        ({"path": "i.csv", "id": "i", "features": {"history": {"kind": "text"}}}, "cannot be a feature name"),
    ],
)
def test_contradictions_of_a_side_are_refused(candidates, message):
    with pytest.raises(ValidationError) as caught:
        Schema.model_validate({"interactions": LOG, "candidates": candidates})
    assert message in str(caught.value)


def test_files_may_be_left_out_for_frames_only():
    schema = Schema.model_validate({"interactions": {"query": "u", "candidate": "i"}})
    with pytest.raises(DataError, match="interactions: no file; give `path` with a `split`, or `train` and `test`"):
        schema.check_files()
    schema = Schema.model_validate({"interactions": LOG, "candidates": {"id": "i"}})
    with pytest.raises(DataError, match="candidates: `id` without `path`; name the table's file"):
        schema.check_files()
