import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import tensorflow as tf

from tests.serving.catalogue import songs
from tfmmrec.data.dataset import dataset_from_frames
from tfmmrec.data.entities import Entities
from tfmmrec.data.histories import full_histories
from tfmmrec.schema import Feature
from tfmmrec.search.filter_columns import MAX_FEATURES
from tfmmrec.serving.index import candidate_index, filter_codes, known_histories

CATEGORY = Feature(kind="category")


def _decoded(codes, values):
    return [[values[code] for code in row if code >= 0] for row in codes]


def test_values_of_all_forms():
    entities = Entities(
        pa.array(["1", "2", "3"]),
        {
            "maker": pa.array(["m1", None, "m2"]),
            "tags": pa.array([["a", " b ", None, "", "c", "d"], [], None], pa.large_list(pa.large_string())),
            "title": pa.array(["x", "y", "z"]),
            "genre": pa.array(["rock| folk|", "|jazz", ""]),
            "size": pa.array(["m", None, "l"]),
        },
    )
    features = {
        "maker": Feature(kind="identifier"),
        "tags": Feature(kind="category", max_values=3),
        "title": Feature(kind="text"),
        "genre": Feature(kind="category", separator="|"),
        "size": CATEGORY,
    }
    codes, values = filter_codes(entities, features)
    assert _decoded(codes, values) == [
        ["tags=a", "tags=b", "tags=c", "genre=rock", "genre=folk", "size=m", "maker=m1"],
        ["genre=jazz"],
        ["size=l", "maker=m2"],
    ]
    assert codes.dtype == np.int32 and len(set(values)) == len(values)
    assert [values[code] if code >= 0 else None for code in codes[:, 0]] == ["tags=a", None, None], "the main category"


@pytest.mark.parametrize("features", [{}, {"maker": Feature(kind="identifier")}, {"tags": CATEGORY}])
def test_without_a_category_there_is_no_main_one(features):
    columns = {"maker": pa.array(["m1", "m2"]), "tags": pa.array([None, None], pa.string())}
    codes, values = filter_codes(Entities(pa.array(["1", "2"]), columns), features)
    assert (codes[:, 0] == -1).all() and codes.shape[1] == 1 + ("maker" in features)
    assert values == (["maker=m1", "maker=m2"] if "maker" in features else [])


def test_only_so_many_features_fit():
    columns = {f"f{i}": pa.array(["x", "y"]) for i in range(MAX_FEATURES + 5)}
    codes, values = filter_codes(Entities(pa.array(["1", "2"]), columns), dict.fromkeys(columns, CATEGORY))
    assert codes.shape == (2, MAX_FEATURES) and len(values) == 2 * MAX_FEATURES


def test_the_index_of_a_dataset(song_dataset):
    ids = song_dataset.candidates.ids.to_pylist()
    vectors = np.random.default_rng(0).normal(size=(len(ids), 3)).astype(np.float32)
    index, described = candidate_index(song_dataset, song_dataset.schema.candidates.features, vectors)
    assert described == {"kind": "exact"}
    np.testing.assert_array_equal(index.rows_of(tf.constant(ids)), range(len(ids)))
    expected = np.bincount(song_dataset.train.indices, minlength=len(ids))
    np.testing.assert_array_equal(index.popularity, expected)
    passing = index.filters.passing(tf.constant([["genre=rock"]]), tf.constant([["artist=artist 1"]]))[0]
    genres = song_dataset.candidates.features["genre"].to_pylist()
    expected = ["rock" in (genre or "").split("|") and i % 5 != 1 for i, genre in enumerate(genres)]
    np.testing.assert_array_equal(passing, expected)


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("length", [3, 50])
def test_stored_histories_begin_with_what_evaluation_pools(timed, length):
    """More than fit, or fewer; what was chosen twice counts once."""
    random = np.random.default_rng(5)
    pairs = [(q, c) for q in range(20) for c in random.choice(40, 8, replace=False)]
    log = pd.DataFrame(pairs, columns=["q", "c"]).astype(str)
    log = pd.concat([log, log[::3]], ignore_index=True)
    log["time"] = np.arange(len(log), dtype=float)
    where = {"path": "-", "query": "q", "candidate": "c"} | ({"timestamp": "time"} if timed else {})
    dataset = dataset_from_frames({"interactions": where}, log)
    train, ids = dataset.train, dataset.candidates.ids
    histories = known_histories(dataset, length, seed=4)
    index, _ = candidate_index(dataset, {}, np.ones((len(ids), 2), np.float32))
    found = histories(tf.constant(dataset.queries.ids.to_pylist()), index.lookup).numpy()
    expected = full_histories(train, np.arange(train.num_queries), length, seed=4)
    assert train.num_queries == 20 and train.num_rows > sum((row >= 0).sum() for row in found) > 20 * 3
    for query in range(20):
        rows = found[query][found[query] >= 0].tolist()
        assert sorted(rows) == sorted(set(train.candidates_of(query).tolist())), "all of them, each once"
        pooled = expected[query][expected[query] >= 0].tolist()
        assert rows[: len(pooled)] == pooled


def test_queries_without_a_row_in_train_have_no_history(song_dataset):
    dataset = songs()
    dataset.train = song_dataset.train.select(song_dataset.train.query_rows() != 3)
    found = known_histories(dataset, 5)(
        tf.constant(["q3", "q4"]), candidate_index(dataset, {}, np.ones((30, 2), np.float32))[0].lookup
    ).numpy()
    assert (found[0] == -1).all() and (found[1] >= 0).any()
    dataset.train = song_dataset.train.select(np.zeros(song_dataset.train.num_rows, bool))
    assert known_histories(dataset, 5).arrays()["candidates"].numpy().size == 0
