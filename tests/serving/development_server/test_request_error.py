import grpc
import pytest
import tensorflow as tf

from tfmmrec.serving.development_server.request_error import HTTP_STATUS, RequestError, from_tensorflow, invalid


def test_every_code_of_grpc_has_a_status():
    assert set(HTTP_STATUS) == {code.name for code in grpc.StatusCode if code.name != "OK"}


@pytest.mark.parametrize(
    ("code", "status"),
    [("INVALID_ARGUMENT", 400), ("NOT_FOUND", 404), ("UNAVAILABLE", 503), ("FAILED_PRECONDITION", 400)],
)
def test_statuses(code, status):
    assert RequestError(code, "").http_status == status


def test_an_error_of_the_graph_keeps_its_code_and_its_first_words():
    words = "Graph execution error:\n\nIncompatible shapes: [3] vs. [2]\n\t [[{{node BroadcastTo_7}}]]\n\nDetected at"
    found = from_tensorflow(tf.errors.InvalidArgumentError(None, None, words))
    assert (found.code, found.message) == ("INVALID_ARGUMENT", "Incompatible shapes: [3] vs. [2]")
    found = from_tensorflow(tf.errors.ResourceExhaustedError(None, None, "OOM"))
    assert (found.code, found.message) == ("RESOURCE_EXHAUSTED", "OOM")
    assert from_tensorflow(tf.errors.InternalError(None, None, "")).message == "the graph failed"


def test_an_error_of_python_is_the_request_s():
    assert from_tensorflow(ValueError("no tensor")).code == "INVALID_ARGUMENT"


def test_messages_are_text_of_bounded_length():
    assert invalid("half \ud800").message == "half ?"
    assert len(invalid("a" * 10_000).message) == 2_000
