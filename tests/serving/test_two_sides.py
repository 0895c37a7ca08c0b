"""Histories as the towers get them; what the towers make of them is tested with `Recommender`."""

import numpy as np
import tensorflow as tf

from tfmmrec.serving.inputs import ListLengths
from tfmmrec.serving.serve_run import serve_run
from tfmmrec.serving.two_sides import each_once, first_known, own_or_stored


def test_each_once():
    np.testing.assert_array_equal(each_once(tf.constant([[3, -1, 3, 4, 4, -1]])), [[3, -1, -1, 4, -1, -1]])


def test_the_first_that_are_known():
    rows = tf.constant([[-1, 4, -1, 2, 9], [-1] * 5, [5, 6, 7, 8, 9]])
    np.testing.assert_array_equal(first_known(rows, 2), [[4, 2], [-1, -1], [5, 6]])
    np.testing.assert_array_equal(first_known(rows, 4), [[4, 2, 9, -1], [-1] * 4, [5, 6, 7, 8]])
    assert first_known(rows, 5) is rows and first_known(tf.zeros([0, 3], tf.int32), 2).shape == (0, 2)


def test_the_stored_history_is_the_first_that_the_index_has():
    given = tf.constant([[-1, -1], [-1, 7], [-1, -1], [-1, -1]])
    stored = tf.constant([[-1, 3, 4, 5], [1, 2, -1, -1], [-1, -1, -1, -1], [-1, -1, -1, 6]])
    rows, uses_stored = own_or_stored(given, stored)
    assert rows.numpy().tolist() == [[3, 4], [-1, 7], [-1, -1], [6, -1]]
    assert uses_stored.numpy().tolist() == [True, False, False, True]
    rows, uses_stored = own_or_stored(tf.constant([[-1, -1, -1]]), tf.constant([[8]]))
    assert rows.numpy().tolist() == [[8, -1, -1]] and uses_stored.numpy().tolist() == [True]
    rows, uses_stored = own_or_stored(tf.zeros([0, 2], tf.int32), tf.zeros([0, 1], tf.int32))
    assert rows.shape == (0, 2) and uses_stored.shape == (0,)


def test_a_model_reads_no_more_than_its_own_length(song_run, song_dataset, served):
    """The list of a request may be longer; what is beyond is not recommended either."""
    longer = serve_run(song_run, song_dataset, lengths=ListLengths(history=8))
    history = ["s1", "gone", "s2", "s2", "s3", "s4", "s5", "s6"]
    known = tf.constant([[f"s{i}" for i in range(1, 6)]])
    found = longer.embed_query(tf.constant([""]), history=tf.constant([history]))["vectors"]
    np.testing.assert_allclose(found, served.embed_query(tf.constant([""]), history=known)["vectors"], atol=1e-5)
    stored = longer.embed_query(tf.constant(["q1"]))["vectors"]
    np.testing.assert_allclose(stored, served.embed_query(tf.constant(["q1"]))["vectors"], atol=1e-5)
    answer = longer.recommend(tf.constant([""]), history=tf.constant([history]), k=tf.constant([30]))
    ids = set(answer["candidate_ids"].numpy()[0]) - {b""}
    assert len(ids) == 24 and not ids & {f"s{i}".encode() for i in range(1, 7)}
