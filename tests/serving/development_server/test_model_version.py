import threading

import numpy as np
import pytest

from tests.serving.development_server.small_model import write_small
from tfmmrec.serving.development_server.model_version import ModelVersion, held, signature_of
from tfmmrec.serving.development_server.request_error import RequestError

INPUTS = {
    "x": np.array([[1, 2]], np.float32),
    "name": np.array([b"a"], object),
    "times": np.array([5], np.int32),
    "words": np.array([[b"b", b"", b"c"]], object),
}


def test_runs_a_signature(version):
    found = version.run("scale", INPUTS)
    np.testing.assert_array_equal(found["y"], INPUTS["x"] * 3.0 * 5)
    assert found["greeting"].tolist() == [b"abc"]


def test_the_graph_s_errors_have_its_words(version):
    with pytest.raises(RequestError, match="must have one row, or as many as the largest") as caught:
        version.run("scale", INPUTS | {"x": np.ones([3, 2], np.float32), "times": np.ones(2, np.int32)})
    assert caught.value.code == "INVALID_ARGUMENT" and "node" not in caught.value.message
    with pytest.raises(RequestError, match=r"shape \(1, 1\).*\(None, 2\)"):
        version.run("scale", INPUTS | {"x": np.ones([1, 1], np.float32)})


def test_which_signatures_there_are(version):
    assert {"serving_default", "scale", "double", "look", "work"} == set(version.signatures)
    assert signature_of(version, "") == version.signatures["serving_default"]
    with pytest.raises(RequestError, match='Serving signature key "nope" not found.') as caught:
        signature_of(version, "nope")
    assert caught.value.code == "FAILED_PRECONDITION"


def test_it_is_closed_after_the_last_request(tmp_path):
    version = ModelVersion(1, str(write_small(tmp_path / "1")))
    assert version.hold() and version.hold()
    version.retire()
    assert not version.hold(), "it takes no more"
    with held(version):
        assert version.run("double", {"x": INPUTS["x"]})["y"].tolist() == [[2, 4]]
    assert not version.is_closed
    version.release()
    assert version.is_closed


def test_many_threads(version):
    wrong = []

    def ask(factor):
        for _ in range(20):
            found = version.run("double", {"x": np.full([2, 2], factor, np.float32)})["y"]
            wrong.extend(found[found != 2 * factor])

    threads = [threading.Thread(target=ask, args=(float(place),)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_what_is_no_model(tmp_path):
    with pytest.raises(OSError):
        ModelVersion(1, str(tmp_path))
