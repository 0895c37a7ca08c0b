"""Every model of the zoo, exported, in a process that knows nothing of this project: the numbers are the model's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.serving import (
    CASES,
    DATASETS,
    QUICK,
    REWRITTEN,
    PythonModel,
    ask_stock_runtime,
    check_ranking,
    make_run,
    quick_or_slow,
)
from tfmmrec.serving.serve_run import serve_run
from tfmmrec.serving.warmup import as_example, request_values

pytestmark = pytest.mark.timeout(2400)  # of which the first test exports all cases
QUERY_ROWS, CANDIDATE_ROWS = np.array([0, 3, 5]), np.array([2, 4, 9])
K = np.array([5, 7, 2], np.int32)


@dataclass
class Answered:
    """A model, what it was asked, and what it answered, by (signature, "all" or "required")."""

    model: PythonModel
    run: object
    dataset: object
    requests: dict
    defaults: dict
    answers: dict

    @cached_property
    def query_vectors(self) -> np.ndarray:
        """By the tables that evaluation reads."""
        return self.model.embedder.queries(QUERY_ROWS, self.model.vectors, self.dataset.train)


@pytest.fixture(scope="module")
def answered(request, tmp_path_factory):
    """All cases that are to be tried, exported one by one and asked in one fresh process."""
    folder = tmp_path_factory.mktemp("served")
    datasets = {name: make(folder) for name, make in DATASETS.items()}
    found, questions = {}, []
    tried = {item.callspec.params["case"] for item in request.session.items if item.module is request.module}
    for name, case in CASES.items():
        if name not in tried:
            continue
        dataset = datasets[case.dataset]
        run = make_run(case, dataset, folder / "runs" / name)
        served = serve_run(run, dataset)
        tf.saved_model.save(served, str(folder / name), signatures=served.signatures_to_save)
        requests, defaults = _requests(served, dataset, name in QUICK)
        questions.append((folder / name, [(signature, inputs) for (signature, _), inputs in requests.items()]))
        found[name] = Answered(PythonModel(run, dataset), run, dataset, requests, defaults, {})
    all_answers = ask_stock_runtime(questions, folder, lambda path: path.name in REWRITTEN)
    for case, answers in zip(found.values(), all_answers, strict=True):
        case.answers = dict(zip(case.requests, answers, strict=True))
    return found


def _requests(served, dataset, by_other_names):
    """Each signature asked with all of its inputs and with the required ones alone.

    Other names of `recommend` have its graph, whatever the model, and each takes three seconds until it has answered.
    """
    requests, defaults = {}, {}
    rows = {"query": QUERY_ROWS, "candidate": CANDIDATE_ROWS}
    for signature, described in served.description().items():
        inputs = served.inputs(signature)
        defaults |= {name: made.default for name, made in inputs.items()}
        if signature == "recommend_examples" or (signature == "serving_default" and not by_other_names):
            continue
        values = request_values(inputs, dataset, rows)
        if "exclude" in values:
            values["exclude"][:, 0] = dataset.candidates.ids[7].as_py()
            values["k"] = K
        requests[signature, "all"] = values
        requests[signature, "required"] = {name: values[name] for name in described["required"]}
    whole = requests["recommend", "all"]
    if by_other_names:
        examples = np.array([as_example({name: value[i] for name, value in whole.items()}) for i in range(3)], object)
        requests["recommend_examples", "required"] = {"examples": examples}
    for signature in ("embed_query", "recommend"):
        own = requests[signature, "all"].items()
        requests[signature, "without a history"] = {name: value for name, value in own if name != "history"}
    requests["recommend", "one row"] = {name: value[:1] for name, value in whole.items()}
    return requests, defaults


@pytest.fixture(params=quick_or_slow(CASES))
def case(request, answered):
    return answered[request.param]


def _without(scores, rows):
    scores = np.array(scores)
    scores[rows] = -np.inf
    return scores


def test_recommend(case):
    scores = case.query_vectors @ case.model.vectors.T
    chosen = case.model.chosen(case.requests["recommend", "all"], case.defaults)
    for signature, how in (
        ("recommend", "all"),
        ("serving_default", "all"),
        ("recommend_examples", "required"),
        ("recommend", "without a history"),
        ("recommend", "one row"),
    ):
        if (signature, how) not in case.answers:
            continue  # see `_requests`
        answer = case.answers[signature, how]
        size = 1 if how == "one row" else 3
        assert answer["scores"].shape == (size, K[:size].max())
        for row in range(size):
            expected = _without(scores[row], [*chosen[row], 7])
            check_ranking(case.model, answer, row, expected, K[row])
    encoders = case.run.model.query_tower.encoders
    source = "query" if "id" in encoders else "history" if "history" in encoders else "features"
    assert answer["source"].tolist() == [source.encode()]
    if "history" in encoders:
        assert case.answers["recommend", "without a history"]["source"].tolist() == [b"query"] * 3


def test_recommend_with_what_is_required_alone(case):
    inputs, answer = case.requests["recommend", "required"], case.answers["recommend", "required"]
    assert set(inputs) == {"query_id"}
    sees_who_asks = bool({"id", "history"} & set(case.run.model.query_tower.encoders))
    assert answer["source"].tolist() == [b"query" if sees_who_asks else b"popular"] * 3
    scores = case.model.query(inputs, case.defaults) @ case.model.vectors.T
    scores = scores if sees_who_asks else np.tile(case.model.counts.astype(np.float32), (3, 1))
    assert answer["scores"].shape == (3, 10)
    for row, chosen in enumerate(case.model.chosen(inputs, case.defaults)):
        assert chosen, "a known query"
        check_ranking(case.model, answer, row, _without(scores[row], chosen), 10)


def test_embed_query(case):
    found = case.answers["embed_query", "all"]["vectors"]
    np.testing.assert_allclose(found, case.query_vectors, rtol=1e-4, atol=1e-5)
    expected = case.model.query(case.requests["embed_query", "required"], case.defaults)
    np.testing.assert_allclose(case.answers["embed_query", "required"]["vectors"], expected, rtol=1e-4, atol=1e-5)


def test_an_id_brings_the_history_that_evaluation_pools(case):
    found = case.answers["embed_query", "without a history"]["vectors"]
    np.testing.assert_allclose(found, case.query_vectors, rtol=1e-4, atol=1e-5)
    if set(case.run.model.query_tower.encoders) <= {"id", "history"}:  # the id is all that there is to send
        alone = case.answers["embed_query", "required"]["vectors"]
        np.testing.assert_allclose(alone, case.query_vectors, rtol=1e-4, atol=1e-5)


def test_embed_candidate(case):
    found = case.answers["embed_candidate", "all"]
    np.testing.assert_allclose(found["vectors"], case.model.vectors[CANDIDATE_ROWS], rtol=1e-4, atol=1e-5)
    if case.model.pooled is not case.model.vectors:
        np.testing.assert_allclose(found["history_vectors"], case.model.pooled[CANDIDATE_ROWS], rtol=1e-4, atol=1e-5)
    expected = case.model.candidate(case.requests["embed_candidate", "required"], case.defaults)
    found = case.answers["embed_candidate", "required"]["vectors"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("how", ["all", "required"])
def test_search(case, how):
    inputs, answer = case.requests["search", how], case.answers["search", how]
    sees_content = set(case.run.model.candidate_tower.encoders) != {"id"}
    if not sees_content:
        assert (answer["candidate_ids"] == b"").all() and np.isneginf(answer["scores"]).all()
        return
    cosines = case.model.cosines(case.model.content(inputs, case.defaults))
    for row in range(3):
        expected = _without(cosines[row], [7]) if how == "all" else cosines[row]
        check_ranking(case.model, answer, row, expected, K[row] if how == "all" else 10)


@pytest.mark.parametrize("how", ["all", "required"])
def test_similar(case, how):
    cosines = case.model.cosines(case.model.vectors[CANDIDATE_ROWS] - case.model.vectors.mean(axis=0))
    for row, own in enumerate(CANDIDATE_ROWS):
        out, k = ([own, 7], K[row]) if how == "all" else ([own], 10)
        check_ranking(case.model, case.answers["similar", how], row, _without(cosines[row], out), k)


def test_score(case):
    expected = np.sum(case.query_vectors * case.model.vectors[CANDIDATE_ROWS], axis=1)
    np.testing.assert_allclose(case.answers["score", "all"]["scores"], expected, rtol=1e-4, atol=1e-5)
    inputs = case.requests["score", "required"]
    assert len(inputs) == 2
    queries, candidates = case.model.query(inputs, case.defaults), case.model.candidate(inputs, case.defaults)
    found = case.answers["score", "required"]["scores"]
    np.testing.assert_allclose(found, np.sum(queries * candidates, axis=1), rtol=1e-4, atol=1e-5)
