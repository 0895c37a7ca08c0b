"""A ranking model, alone and behind a retriever, is given other candidates: parts and vectors are replaced."""

from __future__ import annotations

import numpy as np
import pytest

from tests.conformance.reindexing import reindex
from tests.conformance.serving import (
    PythonModel,
    as_it_is,
    ask_stock_runtime,
    cascade_scores,
    check_ranking,
    pair_scores,
)
from tests.serving.catalogue import songs, untrained_run
from tfmmrec.serving.export import export_run
from tfmmrec.serving.inputs import ListLengths
from tfmmrec.serving.serve_run import serve_run

pytestmark = pytest.mark.slow
HISTORY = np.array([["s40", "s2", "", "", ""]], object)


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    """Of 30 songs, and then of 50: (the models, defaults, the answers of each export)."""
    folder = tmp_path_factory.mktemp("reindex")
    few, many = songs(num_candidates=30), songs(num_candidates=50)
    first, run = untrained_run(few, folder / "first"), untrained_run(few, folder / "run", "ranker")
    questions = []
    asked = {"query_id": np.array(["q1"], object), "history": HISTORY}
    of_pair = asked | {"candidate_id": np.array(["s2"], object)}
    for name, retriever in (("cascade", first), ("alone", None)):
        old, new = folder / name, folder / f"new {name}"
        export_run(run, old, few, retriever=retriever)
        reindex(old, new, run, many)
        requests = [("score", of_pair)]
        if retriever is not None:
            requests += [("recommend", asked | {"k": np.array([50], np.int32)})]
        questions += [(old, requests), (new, requests)]
    served = serve_run(run, few, lengths=ListLengths(history=5))
    defaults = {name: made.default for name, made in served.inputs("score").items()}
    models = PythonModel(first, many, few), PythonModel(run, many, few), PythonModel(run, few)
    names = "cascade", "new cascade", "alone", "new alone"
    return (
        models,
        defaults,
        asked,
        of_pair,
        dict(zip(names, ask_stock_runtime(questions, folder, as_it_is), strict=True)),
    )


def test_a_history_pools_the_new_parts(answered):
    (_, ranker, old), defaults, _, of_pair, answers = answered
    expected, before = pair_scores(ranker, of_pair, defaults), pair_scores(old, of_pair, defaults)
    assert np.abs(expected - before).max() > 1e-6
    for name in ("cascade", "alone"):
        np.testing.assert_allclose(answers[name][0]["scores"], before, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(answers[f"new {name}"][0]["scores"], expected, rtol=1e-4, atol=1e-5)


def test_the_new_candidates_are_ranked(answered):
    (retriever, ranker, _), defaults, asked, _, answers = answered
    out = retriever.chosen(asked, defaults)
    scores = cascade_scores(retriever, ranker, asked, defaults, out)
    found = answers["new cascade"][1]
    check_ranking(ranker, found, 0, scores[0], 50)
    new = {f"s{row}".encode() for row in range(30, 50)} - {b"s40"}
    assert new <= set(found["candidate_ids"][0]) and not new & set(answers["cascade"][1]["candidate_ids"][0])
