"""Every ranking model of the zoo, exported alone and behind a retriever, in a process that knows nothing of this
project: the answers are those of the cascade that evaluation measures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.serving import (
    DATASETS,
    RANKING_CASES,
    REWRITTEN,
    PythonModel,
    ServedCase,
    ask_stock_runtime,
    cascade_scores,
    check_ranking,
    make_run,
    pair_scores,
    quick_or_slow,
)
from tfmmrec.search.cascade import DEPTH
from tfmmrec.serving.serve_run import serve_run
from tfmmrec.serving.warmup import as_example, request_values

ROWS = {"query": np.array([0, 3, 5]), "candidate": np.array([2, 4, 9])}
K = np.array([5, DEPTH + 30, 2], np.int32)
BY_OTHER_NAMES = "mmdfm"
"""Whose `recommend` is asked by its other names too: they have its graph, whatever the model."""


@dataclass
class Answered:
    """A cascade and its ranking model alone: what they were asked and answered, by (signature, how)."""

    retriever: PythonModel
    ranker: PythonModel
    requests: dict
    defaults: dict
    answers: dict
    alone: dict


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The retriever and its catalogue."""
    folder = tmp_path_factory.mktemp("first")
    dataset = DATASETS["many songs"](folder)
    return dataset, make_run(ServedCase("many songs", "two_tower"), dataset, folder / "run")


@pytest.fixture(scope="module", params=quick_or_slow(RANKING_CASES))
def case(request, first, tmp_path_factory):
    """One model, exported alone and behind the retriever and asked in a fresh process."""
    folder = tmp_path_factory.mktemp("served")
    dataset, retriever = first
    run = make_run(RANKING_CASES[request.param], dataset, folder / "run")
    cascade, alone = serve_run(run, dataset, retriever=retriever), serve_run(run, dataset)
    requests, defaults = _requests(cascade, dataset, request.param == BY_OTHER_NAMES)
    whole = {name: requests[name, "all"] for name in ("score", "embed_candidate")}
    required = {name: {key: whole[name][key] for key in alone.description()[name]["required"]} for name in whole}
    alone_requests = {
        (name, how): given[name] for how, given in (("all", whole), ("required", required)) for name in given
    }
    questions = []
    for served, where, asked in ((cascade, "cascade", requests), (alone, "alone", alone_requests)):
        tf.saved_model.save(served, str(folder / where), signatures=served.signatures_to_save)
        questions.append((folder / where, [(signature, inputs) for (signature, _), inputs in asked.items()]))
    answers = ask_stock_runtime(questions, folder, lambda path: request.param in REWRITTEN)
    models = PythonModel(retriever, dataset), PythonModel(run, dataset)
    found = [dict(zip(asked, own, strict=True)) for asked, own in zip((requests, alone_requests), answers, strict=True)]
    return Answered(*models, requests, defaults, *found)


def _requests(served, dataset, by_other_names):
    requests, defaults = {}, {}
    for signature in ("recommend", "embed_query", "embed_candidate", "score"):
        inputs = served.inputs(signature)
        defaults |= {name: made.default for name, made in inputs.items()}
        values = request_values(inputs, dataset, ROWS)
        if "exclude" in values:
            values["exclude"][:, 0] = dataset.candidates.ids[7].as_py()
            values["k"] = K
        requests[signature, "all"] = values
        requests[signature, "required"] = {name: values[name] for name in served.description()[signature]["required"]}
    whole = requests["recommend", "all"]
    if by_other_names:
        requests["serving_default", "all"] = whole
        examples = [as_example({name: value[i] for name, value in whole.items()}) for i in range(3)]
        requests["recommend_examples", "required"] = {"examples": np.array(examples, object)}
    requests["recommend", "one row"] = {name: value[:1] for name, value in whole.items()}
    requests["recommend", "without a history"] = {name: value for name, value in whole.items() if name != "history"}
    allow = np.repeat([["artist=artist 3", *[""] * (whole["allow"].shape[1] - 1)]], 3, axis=0)
    requests["recommend", "of one artist"] = whole | {"allow": allow.astype(object)}
    nobody = {"query_id": np.array(["nobody", "q3", ""], object), "k": np.array([3, 4, 5], np.int32)}
    requests["recommend", "unknown"] = nobody
    return requests, defaults


def _expected(case, inputs, more=()):
    chosen = case.retriever.chosen(inputs, case.defaults)
    out = [[*rows, *more] for rows in chosen]
    scores = cascade_scores(case.retriever, case.ranker, inputs, case.defaults, out)
    assert ((scores > -np.inf).sum(axis=1) > DEPTH).all(), "there is something to cut"
    return scores


@pytest.mark.parametrize("how", ["all", "one row", "without a history", "examples", "by default"])
def test_recommend_is_the_measured_cascade(case, how):
    inputs = case.requests["recommend", how if ("recommend", how) in case.requests else "all"]
    other = {"examples": ("recommend_examples", "required"), "by default": ("serving_default", "all")}
    key = other.get(how, ("recommend", how))
    if how in other and key not in case.answers:
        return  # see `BY_OTHER_NAMES`
    answer = case.answers[key]
    scores = _expected(case, inputs, [7])
    size = len(inputs["query_id"])
    assert answer["scores"].shape == (size, K[:size].max())
    for row in range(size):
        check_ranking(case.ranker, answer, row, scores[row], K[row])


def test_recommend_with_what_is_required_alone(case):
    inputs = case.requests["recommend", "required"]
    assert set(inputs) == {"query_id"}
    scores = _expected(case, inputs)
    for row in range(3):
        check_ranking(case.ranker, case.answers["recommend", "required"], row, scores[row], 10)


def test_filters_come_before_the_cut(case):
    inputs = case.requests["recommend", "of one artist"]
    others = [row for row in range(len(case.ranker.ids)) if row % 5 != 3]
    out = [[*rows, 7, *others] for rows in case.retriever.chosen(inputs, case.defaults)]
    scores = cascade_scores(case.retriever, case.ranker, inputs, case.defaults, out)
    for row in range(3):
        check_ranking(case.ranker, case.answers["recommend", "of one artist"], row, scores[row], K[row])


def test_unknown_queries_get_the_popular(case):
    inputs, answer = case.requests["recommend", "unknown"], case.answers["recommend", "unknown"]
    assert answer["source"].tolist() == [b"popular", b"query", b"popular"]
    counts = case.retriever.counts.astype(np.float32)
    for row, k in ((0, 3), (2, 5)):
        check_ranking(case.ranker, answer, row, counts, k)
    check_ranking(case.ranker, answer, 1, _expected(case, inputs)[1], 4)


@pytest.mark.parametrize("how", ["all", "required"])
def test_score_alone_and_in_the_cascade(case, how):
    inputs = case.requests["score", how]
    expected = pair_scores(case.ranker, inputs, case.defaults)
    for answers in (case.answers, case.alone):
        np.testing.assert_allclose(answers["score", how]["scores"], expected, rtol=1e-4, atol=1e-5)


def test_embeddings(case):
    """The retriever's of a query, both models' of a candidate."""
    expected = case.retriever.query(case.requests["embed_query", "all"], case.defaults)
    np.testing.assert_allclose(case.answers["embed_query", "all"]["vectors"], expected, rtol=1e-4, atol=1e-5)
    rows = ROWS["candidate"]
    found = case.answers["embed_candidate", "all"]
    np.testing.assert_allclose(found["vectors"], case.retriever.vectors[rows], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["parts"], case.ranker.vectors[rows], rtol=1e-4, atol=1e-5)
    alone = case.alone["embed_candidate", "all"]
    assert set(alone) == {"parts"}
    np.testing.assert_allclose(alone["parts"], case.ranker.vectors[rows], rtol=1e-4, atol=1e-5)
