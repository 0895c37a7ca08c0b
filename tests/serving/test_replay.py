"""Answers that are unsound by themselves, or others than here; models that no server could load."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from tensorflow_serving.apis import predict_pb2

from tfmmrec.serving.exported_model import load_exported
from tfmmrec.serving.replay import different, own_answer, replay_check, unsound, warmup_records
from tfmmrec.serving.warmup import WARMUP_FILE


@pytest.fixture
def model(loaded):
    return loaded


@pytest.fixture
def request_of_two():
    """Two rows to `recommend`, with k = 3."""
    import tensorflow as tf

    request = predict_pb2.PredictRequest()
    request.model_spec.signature_name = "recommend"
    request.inputs["query_id"].CopyFrom(tf.make_tensor_proto(["q1", "q2"]))
    request.inputs["k"].CopyFrom(tf.make_tensor_proto([3, 3], tf.int32))
    return request


def _answer():
    return {
        "candidate_ids": np.array([[b"s1", b"s2", b""], [b"s3", b"s4", b"s5"]], object),
        "scores": np.array([[2.0, 1.0, -np.inf], [3.0, 2.0, 1.0]], np.float32),
    }


def _changed(name, place, value):
    answer = _answer()
    answer[name][place] = value
    return answer


def test_what_a_model_answers_is_sound(model, request_of_two):
    answer = own_answer(model, request_of_two)
    assert answer["candidate_ids"].shape == (2, 3) and unsound(request_of_two, answer, model) is None
    assert unsound(request_of_two, _answer(), model) is None
    assert len(list(warmup_records(model.path))) == 4 * len(model.signatures)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (_changed("scores", (1, 0), np.nan), "scores holds numbers that are not finite"),
        (_changed("scores", (1, 0), np.inf), "scores holds numbers that are not finite"),
        (_changed("scores", (1, 2), 9.0), "the scores do not descend"),
        (_changed("scores", (0, 2), 0.5), "candidates without a score, or scores without a candidate"),
        (_changed("candidate_ids", (0, 0), b""), "candidates without a score, or scores without a candidate"),
        (_changed("candidate_ids", (0, 0), b"nobody"), "1 of the candidates are none of candidates.parquet"),
        ({name: array[:1] for name, array in _answer().items()}, r"has the shape \[1, 3\] for requests of \[2\] rows"),
        (_answer() | {"scores": _answer()["scores"][:, :2]}, r"have the shape \[2, 3\], scores \[2, 2\]"),
        ({"vectors": np.array([[1.0], [-np.inf]])}, "holds numbers that are not finite"),
        ({"scores": np.float32(1.0)}, r"scores has the shape \[\]"),
    ],
    ids=range(10),
)
def test_what_is_unsound(model, request_of_two, answer, says):
    import re

    assert re.search(says, unsound(request_of_two, answer, model))


def test_answers_that_are_the_same():
    near = _changed("scores", (1, 1), 2.00005)
    assert different(_answer(), _answer()) is None and different(near, _answer()) is None
    tied = _changed("scores", (1, 1), 3.0)
    swapped = _changed("scores", (1, 1), 3.0)
    swapped["candidate_ids"][1] = [b"s4", b"s3", b"s5"]
    assert different(swapped, tied) is None, "ties may come in any order"
    cut = _answer()
    cut["candidate_ids"][1, 2] = b"s6"
    assert different(cut, _answer()) is None, "what shares the last score may be another"


def test_answers_that_differ():
    assert different(_changed("scores", (1, 0), 3.01), _answer()).startswith(
        "scores differ by up to 0.01, more than 0.0001"
    )
    assert different(_changed("candidate_ids", (1, 0), b"s9"), _answer()) == "row 1 has other candidates than here"
    assert (
        different({"scores": np.ones(2)}, _answer())
        == "has the outputs ['scores'], and ['candidate_ids', 'scores'] here"
    )
    wide = {name: np.repeat(array, 2, axis=1) for name, array in _answer().items()}
    assert "has the shape [2, 6], and [2, 3] here" in different(wide, _answer())
    sources = [{"source": np.array([name], object)} for name in (b"query", b"popular")]
    assert different(*sources) == "source are others than here"


@pytest.mark.parametrize(
    ("fixture", "requests"), [("exported_ranker", 12), pytest.param("exported", 32, marks=pytest.mark.slow)]
)
def test_a_fresh_process_answers_as_here(fixture, requests, request):
    check = replay_check(load_exported(request.getfixturevalue(fixture)))
    assert check.passed and check.says == f"{requests} warmup requests in a fresh process, answered as here"


def test_a_model_whose_weights_are_not_those_that_were_measured(model, exported, tmp_path):
    """The folder is another one by the time a server loads it; and one without requests shows nothing."""
    copied = shutil.copytree(exported, tmp_path / "model")
    loaded = load_exported(copied)
    (copied / WARMUP_FILE).unlink()
    assert "there are no warmup requests" in replay_check(loaded).says
    (next((copied / "variables").glob("*.data*"))).write_bytes(b"cut")
    shutil.copy(exported / WARMUP_FILE, copied / WARMUP_FILE)
    check = replay_check(loaded)
    assert not check.passed and check.says.startswith(
        "in a fresh process the model cannot be loaded or asked: exit code 1"
    )
