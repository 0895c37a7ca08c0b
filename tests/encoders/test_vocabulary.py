import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfmmrec.encoders import VocabularyLookup
from tfmmrec.encoders.vocabulary import fingerprints, sorted_fingerprints

IDS = ["7", "07", "", "ä", "a b", "A", "a"]


def test_entry_i_is_row_i_and_all_else_is_unknown():
    words = [word for word in IDS if word]
    lookup = VocabularyLookup(words)
    assert lookup(tf.constant(words)).numpy().tolist() == list(range(len(words)))
    assert lookup(tf.constant(["", "b", "7 ", "Ä"])).numpy().tolist() == [-1, -1, -1, -1]


def test_the_empty_string_is_never_known():
    # it is what a missing value and the padding of a list look like
    assert VocabularyLookup(["", "x"])(tf.constant(["", "x"])).numpy().tolist() == [-1, 1]


def test_any_shape():
    rows = VocabularyLookup(["a", "b"])(tf.constant([[["b", "?"]], [["a", ""]]]))
    assert rows.dtype == tf.int32
    assert rows.numpy().tolist() == [[[1, -1]], [[0, -1]]]
    assert VocabularyLookup(["a"])(tf.zeros([0, 3], tf.string)).shape == [0, 3]


def test_fingerprints_are_found_where_they_count():
    lookup = VocabularyLookup(["a", "b", "c"])
    prints = fingerprints(tf.constant([["c", "a"], ["?", "b"]]))
    found = lookup.rows_of_fingerprints(prints, tf.constant([[True, False], [True, True]]))
    assert found.dtype == tf.int32 and found.numpy().tolist() == [[2, -1], [-1, 1]]
    nothing = VocabularyLookup([]).rows_of_fingerprints(tf.constant([-1, 5], tf.int64), tf.constant([True, True]))
    assert nothing.numpy().tolist() == [-1, -1]


def test_an_empty_vocabulary_knows_nothing():
    assert VocabularyLookup([])(tf.constant(["a", ""])).numpy().tolist() == [-1, -1]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=6), unique=True, max_size=30), st.lists(st.text(max_size=6), max_size=8))
def test_it_agrees_with_a_dict(vocabulary, others):
    wanted = vocabulary + others
    expected = {word: row for row, word in enumerate(vocabulary)}
    rows = VocabularyLookup(vocabulary)(tf.constant(wanted, tf.string, [len(wanted)]))
    assert rows.numpy().tolist() == [expected.get(word, -1) for word in wanted]


def test_fingerprints_are_sorted_and_name_their_rows():
    words = [f"word {n}" for n in range(500)]
    prints, rows = sorted_fingerprints(words)
    assert (np.diff(prints) > 0).all() and prints.dtype == np.int64 and rows.dtype == np.int32
    np.testing.assert_array_equal(fingerprints(tf.constant(words)).numpy()[rows], prints)


def test_the_same_entry_twice_is_refused():
    with pytest.raises(ValueError, match="'b' and 'b' are the same or collide"):
        VocabularyLookup(["a", "b", "c", "b"])


def test_a_saved_lookup_is_given_a_larger_vocabulary(tmp_path):
    module = tf.Module()
    module.lookup = VocabularyLookup(["a", "b"])
    module.rows = tf.function(lambda x: module.lookup(x), input_signature=[tf.TensorSpec([None], tf.string)])
    tf.saved_model.save(module, str(tmp_path / "small"))
    loaded = tf.saved_model.load(str(tmp_path / "small"))
    prints, rows = sorted_fingerprints(["c", "a", "b"])
    loaded.lookup.fingerprints.assign(prints)
    loaded.lookup.rows.assign(rows)
    tf.saved_model.save(loaded, str(tmp_path / "large"))
    again = tf.saved_model.load(str(tmp_path / "large"))
    assert again.rows(tf.constant(["a", "b", "c", "d"])).numpy().tolist() == [1, 2, 0, -1]
