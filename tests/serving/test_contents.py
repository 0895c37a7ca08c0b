import dataclasses
import struct

import numpy as np
import pyarrow as pa
import pytest

from tests.serving.catalogue import recordings
from tfmmrec.data.entities import Entities
from tfmmrec.data.feature_store import content_keys
from tfmmrec.schema import Feature
from tfmmrec.serving.contents import (
    CONTENTS_FILE,
    as_lists,
    contents_of,
    filter_entities,
    joined,
    read_contents,
    write_contents,
)
from tfmmrec.serving.index import filter_codes
from tfmmrec.types import DataError

ALL = ["title", "genre", "mood", "artist", "length", "sound"]


@pytest.fixture
def songs(song_dataset):
    return song_dataset.candidates, song_dataset.schema.candidates.features


def with_values(candidates: Entities, name: str, values) -> Entities:
    return dataclasses.replace(candidates, features=candidates.features | {name: values})


def test_a_digest_is_of_what_the_model_looks_at(songs):
    candidates, features = songs
    own = contents_of(candidates, features, ["title", "length"])
    assert own.looked_at == ["length", "title"] and own.ids == candidates.ids.to_pylist()
    expected = []
    for number, title in zip(candidates.features["length"], candidates.features["title"].to_pylist(), strict=True):
        text = [(title or "").encode()] if title else []
        framed = b"".join(struct.pack("<Q", size) for size in (len(text), *map(len, text))) + b"".join(text)
        expected.append(np.float32(number).tobytes() + framed)
    finite = np.isfinite(candidates.features["length"])  # NaN has many forms
    found, wanted = np.array(own.digests), content_keys(expected)
    assert (found[finite] == wanted[finite]).all() and len(set(own.digests)) == len(set(expected))


@pytest.mark.parametrize("name", ALL)
def test_whatever_changes_of_a_feature_changes_its_rows_digests_only(name, songs):
    candidates, features = songs
    before = contents_of(candidates, features, ALL).digests
    column = candidates.features[name]
    if isinstance(column, np.ndarray):
        values = column.copy()
        values[5] += 0.5
        values[6] = np.nan if np.isfinite(values[6]).all() else 1.0
    else:
        values = column.to_pylist()
        other = values[5] if isinstance(values[5], list) else [values[5]]
        values[5] = [*other, "other"] if isinstance(values[5], list) else f"{values[5]} other"
        values[6] = None if values[6] else (["x"] if isinstance(column[0].as_py(), list) else "x")
        values = pa.array(values, column.type)
    after = contents_of(with_values(candidates, name, values), features, ALL).digests
    assert [place for place, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]] == [5, 6]
    without = [other for other in ALL if other != name]
    same = contents_of(with_values(candidates, name, values), features, without).digests
    assert same == contents_of(candidates, features, without).digests


def test_no_two_contents_say_the_same():
    """What stands at the end of one text and what at the beginning of the next are told apart; missing is empty."""
    features = {"a": Feature(kind="text"), "b": Feature(kind="category")}
    rows = [("xy", ["z"]), ("x", ["yz"]), ("xy", ["z", ""]), ("xyz", []), ("xyz", None), ("", ["x", "yz"]), (None, [])]
    texts, lists = (pa.array([row[side] for row in rows]) for side in (0, 1))
    entities = Entities(pa.array([str(place) for place in range(len(rows))]), {"a": texts, "b": lists})
    digests = contents_of(entities, features, ["a", "b"]).digests
    places = {digest: [place for place, other in enumerate(digests) if other == digest] for digest in digests}
    assert sorted(places.values()) == [[0, 2], [1], [3, 4], [5], [6]]


def test_one_value_is_a_list_of_one_and_every_nan_and_zero_are_the_same():
    features = {"a": Feature(kind="category"), "b": Feature(kind="number")}
    other_nan = np.array([0x7FC00001], np.uint32).view(np.float32)[0]
    one = Entities(pa.array(["1", "2"]), {"a": pa.array(["x", None]), "b": np.array([0.0, np.nan], np.float32)})
    two = Entities(pa.array(["1", "2"]), {"a": pa.array([["x"], []]), "b": np.array([-0.0, other_nan], np.float32)})
    assert contents_of(one, features, ["a", "b"]).digests == contents_of(two, features, ["a", "b"]).digests


def test_files_count_by_what_is_in_them_and_unreadable_ones_as_missing():
    dataset = recordings()
    candidates, features = dataset.candidates, dataset.schema.candidates.features
    before = contents_of(candidates, features, ["sound", "cover"]).digests
    sounds = candidates.features["sound"].to_pylist()
    sounds[2], sounds[3], sounds[4] = sounds[7], b"no sound", b"none either"  # the fifth was missing before
    changed = with_values(candidates, "sound", pa.array(sounds, pa.large_binary()))
    after = contents_of(changed, features, ["sound", "cover"]).digests
    assert [place for place in range(20) if before[place] != after[place]] == [2, 3]
    assert sum(issue.count for issue in changed.issues) >= 2


def test_what_is_remembered_is_enough_for_the_filters(songs, tmp_path):
    candidates, features = songs
    (tmp_path / "assets.extra").mkdir()
    contents = contents_of(candidates, features, ALL)
    write_contents(tmp_path, contents)
    again = read_contents(tmp_path)
    assert again == contents
    expected, values = filter_codes(candidates, features)
    codes, same = filter_codes(filter_entities(again), features)
    np.testing.assert_array_equal(codes, expected)
    assert same == values
    some = again.taken(np.array([4, 2]))
    assert some.ids == ["s4", "s2"] and some.digests == [again.digests[4], again.digests[2]]
    assert some.filters["mood"].to_pylist() == [again.filters["mood"][row].as_py() for row in (4, 2)]


def test_a_file_that_is_missing_or_damaged(tmp_path):
    with pytest.raises(DataError, match="does not remember its candidates' contents .no assets.extra/contents.parquet"):
        read_contents(tmp_path)
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / CONTENTS_FILE).write_bytes(b"PAR1")
    with pytest.raises(DataError, match="contents.parquet: cannot be read; export the model again"):
        read_contents(tmp_path)


def test_columns_that_are_joined():
    assert joined([pa.array(["a", None]), pa.chunked_array([["b"], ["c"]])]).to_pylist() == ["a", None, "b", "c"]
    assert joined([pa.array(["a", None]), pa.array([["b", "c"], []])]).to_pylist() == [["a"], None, ["b", "c"], []]
    assert as_lists(pa.array(["a", None, "b"], pa.large_string())).to_pylist() == [["a"], None, ["b"]]
