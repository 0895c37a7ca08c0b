import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from tests.serving.catalogue import recordings
from tfmmrec.data.splits import without
from tfmmrec.embedding import raw_batch
from tfmmrec.serving.evaluation_queries import (
    EVALUATION_FILE,
    evaluation_queries,
    has_evaluation_queries,
    query_entities,
    read_evaluation,
    with_added,
    without_candidates,
    write_evaluation,
)
from tfmmrec.types import DataError, UsageError


@pytest.fixture(scope="module")
def dataset(song_dataset):
    """The songs, of which s0 to s5 are cold."""
    cold = np.arange(30) < 6
    return dataclasses.replace(song_dataset, train=without(song_dataset.train, cold), cold_candidates=cold)


def test_what_is_asked_and_what_should_be_found(dataset):
    queries = evaluation_queries(dataset)
    train, test = dataset.train, dataset.test
    ids = dataset.candidates.ids.to_pylist()
    expected = {}
    for row, query in enumerate(dataset.queries.ids.to_pylist()):
        seen = train.candidates_of(row).tolist()
        wanted = sorted(set(test.candidates_of(row).tolist()) - set(seen))
        if wanted:
            newest_first = list(dict.fromkeys(seen[::-1]))  # the log has times, and stands in their order
            expected[query] = [ids[c] for c in newest_first], [ids[c] for c in wanted]
    found = dict(zip(queries.query_ids, zip(queries.histories, queries.positives, strict=True), strict=True))
    assert found == expected
    assert queries.cold_ids == [f"s{i}" for i in range(6)]
    trained = {ids[c] for c in np.flatnonzero(train.counts() > 0)}
    assert set(queries.warm_ids) == {id for row in queries.positives for id in row} & trained


def test_a_draw_of_them(dataset):
    whole, part, same, other = (
        evaluation_queries(dataset, number, seed) for number, seed in ((99, 0), (4, 1), (4, 1), (4, 2))
    )
    assert len(part) == 4 and part.query_ids == same.query_ids != other.query_ids
    places = [whole.query_ids.index(id) for id in part.query_ids]
    assert places == sorted(places), "in the order of the table"
    assert [whole.positives[place] for place in places] == part.positives


def test_without_times_the_part_that_the_model_reads_comes_first(dataset):
    columns = {name: column for name, column in dataset.train.columns.items() if name != "timestamp"}
    untimed = dataclasses.replace(dataset, train=dataclasses.replace(dataset.train, columns=columns))
    for seed in (0, 3):
        queries = evaluation_queries(untimed, seed=seed, history_length=2)
        for id, history in zip(queries.query_ids, queries.histories, strict=True):
            row = int(id[1:])
            seen = untimed.train.candidates_of(row)
            chosen = np.sort(np.random.default_rng((seed, row)).permutation(seen.size)[:2])  # as full_histories draws
            assert history[:2] == [f"s{c}" for c in seen[chosen][::-1]]
            assert sorted(history) == sorted(f"s{c}" for c in seen)


def test_written_and_read_again_with_every_kind_of_feature(dataset, tmp_path):
    queries = with_added(with_added(evaluation_queries(dataset), ["s28", "s29"]), ["s29"])
    assert queries.added_ids == ["s28", "s29"]
    write_evaluation(tmp_path, queries)
    again = read_evaluation(tmp_path)
    assert dataclasses.replace(again, features={}) == dataclasses.replace(queries, features={})
    features = dataset.schema.queries.features
    entities, rows = query_entities(again, features), dataset.queries.row_of(again.query_ids)
    for name, feature in features.items():
        is_list = name == "tastes"
        expected = raw_batch(dataset.queries, name, feature, rows, is_list)
        np.testing.assert_array_equal(raw_batch(entities, name, feature, np.arange(len(again)), is_list), expected)


def test_pictures_and_the_like_are_taken_along_as_bytes(tmp_path):
    songs = recordings()
    asking = dataclasses.replace(songs.candidates, ids=pa.array([f"q{i}" for i in range(20)]))
    schema = songs.schema.model_copy(update={"queries": songs.schema.candidates})
    queries = evaluation_queries(dataclasses.replace(songs, queries=asking, schema=schema))
    write_evaluation(tmp_path, queries)
    again = read_evaluation(tmp_path)
    sounds = [asking.features["sound"][int(id[1:])].as_py() or None for id in again.query_ids]
    assert again.features["sound"].to_pylist() == sounds and any(sounds)


def test_removed_candidates_cannot_be_found(dataset):
    queries = with_added(evaluation_queries(dataset), ["s29"])
    gone = [*queries.positives[0], "s1", "s29"]
    left = without_candidates(queries, gone)
    assert queries.query_ids[0] not in left.query_ids
    assert not set(gone) & {id for ids in [*left.positives, left.warm_ids, left.cold_ids, left.added_ids] for id in ids}
    assert all(left.positives) and len(left.features["age"]) == len(left) == len(left.histories)
    assert left.features["age"].to_pylist() == [
        queries.features["age"][queries.query_ids.index(id)].as_py() for id in left.query_ids
    ]
    assert set(left.query_ids) == {
        id for id, row in zip(queries.query_ids, queries.positives, strict=True) if set(row) - set(gone)
    }


def test_nothing_to_measure_with(dataset, tmp_path):
    with pytest.raises(UsageError, match="max_queries must be at least 1, got 0"):
        evaluation_queries(dataset, 0)
    alone = dataclasses.replace(dataset, test=None)
    with pytest.raises(DataError, match="has no part test"):
        evaluation_queries(alone)
    known = dataclasses.replace(dataset, test=dataset.train)
    with pytest.raises(DataError, match="test is empty"):
        evaluation_queries(known)
    assert [has_evaluation_queries(made) for made in (dataset, alone, known)] == [True, False, False]
    assert read_evaluation(tmp_path) is None
    (tmp_path / EVALUATION_FILE).parent.mkdir()
    (tmp_path / EVALUATION_FILE).write_bytes(b"PAR1 and nothing else")
    with pytest.raises(DataError, match="evaluation.parquet: cannot be read; export the model again"):
        read_evaluation(tmp_path)
