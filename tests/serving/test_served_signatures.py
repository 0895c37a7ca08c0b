import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.search.candidate_parts import CandidateParts
from tfmmrec.search.query_histories import QueryHistories
from tfmmrec.serving.inputs import make_input
from tfmmrec.serving.served_signatures import ServedSignatures


@pytest.fixture
def made():
    weight = tf.Variable(3.0)
    number, words = make_input("number", tf.float32, 2.0, "a number"), make_input("words", tf.string, "", "words", [4])
    signatures = {
        "times": ({"number": number}, ["number"], lambda given: {"product": weight * given["number"]}),
        "count": (
            {"words": words, "number": number},
            ["words"],
            lambda given: {"sum": tf.math.count_nonzero(given["words"], 1, dtype=tf.float32) + given["number"]},
        ),
    }
    histories = QueryHistories([], np.zeros(1, np.int64), np.zeros(0, np.int64), [])
    return ServedSignatures(signatures, "count", CandidateParts(["a"], [[1.0]]), histories, {"weight": weight}, [])


def test_every_signature_is_a_function(made):
    assert made.times(tf.constant([2.0, 5.0]))["product"].numpy().tolist() == [6.0, 15.0]
    assert made.count(tf.constant([["a", "", "b", ""]]))["sum"].numpy().tolist() == [4.0]
    assert set(made.signatures_to_save) == {"serving_default", "times", "count"}


def test_the_default_is_one_of_them(made):
    assert made.serving_default is made.count
    assert set(made.inputs("serving_default")) == {"words", "number"} and set(made.inputs("times")) == {"number"}
    described = made.description()
    assert described["serving_default"] == described["count"]
    assert described["count"]["required"] == ["words"]
    words = {"dtype": "string", "shape": [4], "what": "words", "required": True, "list_length": 4}
    assert described["count"]["inputs"]["words"] == words
    assert described["times"]["inputs"]["number"]["required"] and not described["count"]["inputs"]["number"]["required"]


def test_every_variable_is_in_a_group(made):
    groups = made.arrays()
    assert set(groups) == {"weights", "index", "query_histories"} and set(groups["weights"]) == {"weight"}
    listed = {id(variable) for arrays in groups.values() for variable in arrays.values()}
    assert listed == {id(variable) for variable in made.variables}
