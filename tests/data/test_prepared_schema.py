from tfmmrec.data.config import parse_schema, read_yaml_text
from tfmmrec.data.prepared_schema import example_names, prepared_schema, prepared_yaml
from tfmmrec.data.sharded_dataset import ShardedDataset

LOG = {
    "path": "log.csv",
    "query": "user",
    "candidate": "rating",
    "rating": "stars",
    "positive": "stars >= 4",
    "seed": 3,
}


def prepared(**content):
    schema = parse_schema({"interactions": LOG} | content)
    return ShardedDataset(schema, "/data", (), {"candidates": (), "queries": ()}, "/to", 8, 100)


def test_parts_are_ready_made_and_tables_stay():
    tables = {
        "candidates": {"path": "c.csv", "id": "c", "features": {"tags": {"kind": "category", "separator": "|"}}},
        "queries": {"path": "q.csv", "id": "q", "history": None},
    }
    log = LOG | {"split": {"method": "ratio", "valid": 0.0}, "cold_candidates": 0.1, "timestamp": "time"}
    content = prepared_schema(prepared(interactions=log, **tables))
    assert content == tables | {
        "interactions": {
            "train": "prepared/train-*.tfrecord",
            "test": "prepared/test-*.tfrecord",
            "query": "user",
            "candidate": "rating",
            "timestamp": "timestamp",
            "rating": "rating_",
            "seed": 3,
        }
    }
    schema = parse_schema(content)
    assert schema.queries.history is None and schema.candidates.features["tags"].separator == "|"


def test_ids_of_the_log_become_tables():
    content = prepared_schema(prepared(queries={"ids": {"range": 5}}))
    assert content["candidates"] == {"path": "prepared/candidate_ids-*.tfrecord", "id": "rating"}
    assert content["queries"] == {"ids": {"range": 5}}
    assert set(content["interactions"]) >= {"train", "valid", "test"}


def test_names_of_the_context_are_free_ones():
    log = LOG | {
        "features": {"user": {"kind": "number", "column": "age"}, "device": {"kind": "category", "column": "d"}}
    }
    names = example_names(parse_schema({"interactions": log}).interactions)
    assert names == {
        "query": "user",
        "candidate": "rating",
        "context user": "user_",
        "context device": "device",
        "rating": "rating_",
    }
    features = prepared_schema(prepared(interactions=log))["interactions"]["features"]
    assert features == {"user": {"kind": "number", "column": "user_"}, "device": {"kind": "category"}}


def test_the_yaml_says_where_it_comes_from():
    text = prepared_yaml(prepared(), "f00ba4")
    assert text.startswith("#") and "# f00ba4\n" in text
    assert read_yaml_text(text, "own") == prepared_schema(prepared())
