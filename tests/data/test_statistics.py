import unicodedata

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tfmmrec.data.dataset import dataset_from_frames
from tfmmrec.data.rating_biases import rating_biases
from tfmmrec.data.statistics import Statistics, compute_statistics, words_of
from tfmmrec.encoders.text import split_words

SCHEMA = {
    "interactions": {"train": "-", "test": "-", "query": "who", "candidate": "what"},
    "candidates": {
        "path": "-",
        "id": "id",
        "features": {
            "title": {"kind": "text"},
            "price": {"kind": "number"},
            "tags": {"kind": "category", "separator": "|"},
            "sizes": {"kind": "category", "max_values": 2},
            "brand": {"kind": "identifier"},
            "look": {"kind": "vector"},
            "photo": {"kind": "image"},
        },
    },
    "queries": {"path": "-", "id": "id", "features": {"region": {"kind": "category"}}},
}


@pytest.fixture(scope="module")
def statistics():
    candidates = pd.DataFrame(
        {
            "id": ["a", "b", "c", "d"],
            "title": ["Red red dress", "red HAT", "a hat, a red hat", None],
            "price": [1.0, np.nan, 3.0, 5.0],
            "tags": ["x|y", "x| z", None, "x"],
            "sizes": [["s", "m", "l"], ["s"], [], None],
            "brand": ["north", "north", "south", None],
            "look": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]],
            "photo": [b"1", None, None, b"4"],
        }
    )
    queries = pd.DataFrame({"id": ["q", "r"], "region": ["n", None]})
    train = pd.DataFrame({"who": ["q", "q", "r", "q"], "what": ["b", "a", "b", "b"]})
    test = pd.DataFrame({"who": ["q"], "what": ["d"]})
    return compute_statistics(dataset_from_frames(SCHEMA, {"train": train, "test": test}, candidates, queries))


def test_ids_and_counts(statistics):
    assert statistics.candidate_ids == ["a", "b", "c", "d"] and statistics.query_ids == ["q", "r"]
    assert statistics.candidate_counts == [1, 3, 0, 0]  # of train alone
    assert statistics.num_candidates == 4


def test_text(statistics):
    title = statistics.candidates["title"]
    # in 3, 2, 1 and 1 of the 4 texts: rare ones are left out
    assert title.vocabulary == ["red", "hat"]
    np.testing.assert_allclose(title.idf, [np.log(5 / 4) + 1, np.log(5 / 3) + 1])
    assert title.max_length == int(np.ceil(np.quantile([3, 2, 5, 0], 0.95))) == 5
    assert title.num_missing == 1


def test_number(statistics):
    price = statistics.candidates["price"]
    np.testing.assert_allclose(price.edges, np.quantile([1.0, 3.0, 5.0], np.linspace(0, 1, 17)))
    assert price.num_missing == 1


def test_categories(statistics):
    tags, sizes, region = statistics.candidates["tags"], statistics.candidates["sizes"], statistics.queries["region"]
    assert tags.vocabulary[0] == "x" and sorted(tags.vocabulary) == ["x", "y", "z"]  # rare values are kept
    assert (tags.max_length, tags.is_list, tags.num_missing) == (2, False, 1)
    assert sizes.vocabulary[0] == "s" and sorted(sizes.vocabulary) == ["l", "m", "s"]
    assert (sizes.max_length, sizes.is_list, sizes.num_missing) == (2, True, 2)  # 3 values, but 2 are kept
    assert (region.vocabulary, region.max_length, region.num_missing) == (["n"], 1, 1)


def test_identifier_vector_and_image(statistics):
    assert statistics.candidates["brand"].vocabulary == ["north", "south"]
    assert statistics.candidates["look"].dim == 2
    assert statistics.candidates["photo"].num_missing == 2


def test_they_come_back_from_their_file(statistics, tmp_path):
    statistics.save(tmp_path / "statistics.json")
    assert Statistics.load(tmp_path / "statistics.json") == statistics


def frame_statistics(column, kind, **options):
    schema = {
        "interactions": {"train": "-", "query": "who", "candidate": "what"},
        "candidates": {"path": "-", "id": "id", "features": {"f": {"kind": kind}}},
    }
    ids = [str(n) for n in range(len(column))]
    log = pd.DataFrame({"who": ["q"] * len(ids), "what": ids})
    dataset = dataset_from_frames(schema, {"train": log}, pd.DataFrame({"id": ids, "f": column}))
    return compute_statistics(dataset, **options).candidates["f"]


def test_the_most_frequent_words_are_kept():
    texts = [" ".join(f"w{n}" for n in range(row)) for row in range(1, 8)]
    found = frame_statistics(texts, "text", max_words=3, min_count=1)
    assert found.vocabulary == ["w0", "w1", "w2"]
    found = frame_statistics(texts, "text", min_count=6)
    assert found.vocabulary == ["w0", "w1"]


def test_words_that_are_equally_frequent_stand_as_they_come():
    """A set of them would come in another order in every process, and with it every model."""
    words = [f"word{number}" for number in range(50)]
    found = frame_statistics([" ".join(words)], "text", max_words=30, min_count=1)
    assert found.vocabulary == words[:30]


def test_columns_without_a_value():
    found = frame_statistics([None, None], "text")
    assert (found.vocabulary, found.idf, found.max_length, found.num_missing) == ([], [], 1, 2)
    found = frame_statistics(np.array([np.nan, np.nan]), "number")
    assert (found.edges, found.num_missing) == ([0.0, 1.0], 2)
    found = frame_statistics([None, None], "category")
    assert (found.vocabulary, found.max_length, found.num_missing) == ([], 1, 2)


# Letters that both know; of the newest ones TensorFlow's Unicode is years behind Python's.
SCRIPTS = [
    (0x20, 0x52F),  # Latin, Greek, Cyrillic
    (0x5D0, 0x5EA),
    (0x620, 0x64A),
    (0x900, 0x97F),
    (0x1E00, 0x218F),  # more Latin and Greek, punctuation, currencies, number forms
    (0x3040, 0x30FF),
    (0x4E00, 0x4FFF),
    (0xAC00, 0xAD00),
    (0xFF01, 0xFFEF),
]


@pytest.mark.parametrize(("first", "last"), SCRIPTS)
def test_words_are_split_as_in_the_graph(first, last):
    known = [chr(code) for code in range(first, last + 1) if unicodedata.category(chr(code)) != "Cn"]
    texts = [f"a{letter}B {letter}" for letter in known] + ["".join(known)]
    found = split_words(tf.constant(texts)).to_list()
    assert [words_of(text) for text in texts] == [[word.decode() for word in words] for words in found]


@pytest.mark.parametrize(
    ("ratings", "mean", "stddev"),
    [([1.0, np.nan, 5.0], 3.0, 2.0), ([4.0, 4.0, np.nan], 4.0, 1.0), ([np.nan] * 3, None, None), (None, None, None)],
)
def test_ratings_of_train(ratings, mean, stddev):
    train = pd.DataFrame({"who": ["q", "q", "r"], "what": ["a", "b", "a"]})
    test = pd.DataFrame({"who": ["q"], "what": ["c"]})
    interactions = {"train": "-", "test": "-", "query": "who", "candidate": "what"}
    if ratings is not None:
        train["stars"], test["stars"], interactions["rating"] = ratings, [99.0], "stars"
    found = compute_statistics(dataset_from_frames({"interactions": interactions}, {"train": train, "test": test}))
    assert (found.rating_mean, found.rating_stddev) == (mean, stddev)
    if mean is None:
        assert found.with_biases_of(None) is found
    assert len(found.query_rating_biases) == (2 if mean else 0)
    assert len(found.candidate_rating_biases) == (len(found.candidate_ids) if mean else 0)


def test_biases_of_a_part_know_nothing_of_the_other_ratings():
    train = pd.DataFrame({"who": list("qqrr"), "what": list("abab"), "stars": [1.0, 2.0, 4.0, 5.0]})
    schema = {"interactions": {"train": "-", "query": "who", "candidate": "what", "rating": "stars"}}
    dataset = dataset_from_frames(schema, {"train": train})
    found, rest = compute_statistics(dataset), dataset.train.select(np.array([True, False, True, True]))
    part = found.with_biases_of(rest)
    expected = rating_biases(rest, 3.0)
    np.testing.assert_array_equal(part.query_rating_biases, expected.of_queries)
    np.testing.assert_array_equal(part.candidate_rating_biases, expected.of_candidates)
    assert part.query_rating_biases != found.query_rating_biases
    kept = {"query_rating_biases", "candidate_rating_biases"}
    assert part.model_dump(exclude=kept) == found.model_dump(exclude=kept)
