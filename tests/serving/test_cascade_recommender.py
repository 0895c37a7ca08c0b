"""The order of a cascade is tested with `second_stage`, and with every ranking model in the conformance tests."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.serving import PythonModel, cascade_scores, check_ranking
from tests.serving.catalogue import songs, untrained_run
from tfmmrec.search.cascade import DEPTH, CascadeScorer
from tfmmrec.search.pair_scorer import PairScorer
from tfmmrec.search.scorer import vectors_scorer
from tfmmrec.serving.serve_run import serve_run
from tfmmrec.serving.warmup import request_values

ROWS = np.array([1, 4, 7])


def _asked(served, dataset, signature="recommend"):
    values = request_values(served.inputs(signature), dataset, {"query": ROWS, "candidate": ROWS})
    made = served.inputs(signature)
    return {name: tf.constant(value, made[name].spec.dtype) for name, value in values.items()}


def _tables(run, dataset):
    embedder = run.embedder(dataset)
    candidates = embedder.candidates()
    return embedder.queries(np.arange(len(dataset.queries)), candidates, dataset.train), candidates


def test_the_scores_are_those_of_the_measured_cascade(cascade, ranking_run, song_run, song_dataset):
    retriever = vectors_scorer(*_tables(song_run, song_dataset))
    scorer = CascadeScorer(retriever, PairScorer(ranking_run.model, *_tables(ranking_run, song_dataset)).pairs)
    seen = [(place, c) for place, row in enumerate(ROWS) for c in set(song_dataset.train.candidates_of(row).tolist())]
    expected = scorer(ROWS, np.array(sorted(seen), np.int32)).numpy()
    answer = cascade.recommend(**_asked(cascade, song_dataset) | {"k": tf.constant([30, 4, 30])})
    for place, k in enumerate((30, 4, 30)):
        ids = [int(id[1:]) for id in answer["candidate_ids"].numpy()[place] if id]
        order = [c for c in np.argsort(-expected[place], kind="stable") if expected[place, c] > -np.inf]
        assert ids == order[:k]
        np.testing.assert_allclose(answer["scores"][place, : len(ids)], expected[place, ids], rtol=1e-4, atol=1e-5)
    assert answer["source"].numpy().tolist() == [b"history"] * 3


def test_nobody_knows_gives_the_popular(cascade, served):
    """As the retriever alone would, in a batch beside one that is known."""
    asked = {"k": tf.constant([8, 8]), "cap": tf.constant([0, 2])}
    found = cascade.recommend(tf.constant(["q1", "nobody"]), **asked)
    alone = served.recommend(tf.constant(["q1", "nobody"]), **asked)
    assert found["source"].numpy().tolist() == alone["source"].numpy().tolist() == [b"query", b"popular"]
    for name in ("candidate_ids", "scores"):
        np.testing.assert_array_equal(found[name][1], alone[name][1])
    assert set(found["scores"].numpy()[0]) != set(alone["scores"].numpy()[0])
    row = cascade.recommend(tf.constant(["q1"]), k=tf.constant([8]))
    np.testing.assert_array_equal(found["candidate_ids"][0], row["candidate_ids"][0])


@pytest.mark.parametrize("first", [pytest.param("id_only", marks=pytest.mark.slow), "vbpr"])
def test_whom_the_ranker_alone_knows_it_ranks(first, tmp_path):
    """By their features, and as the measured cascade does, whether the retriever scores all alike or by its biases."""
    dataset = songs(num_candidates=DEPTH + 40)
    runs = untrained_run(dataset, tmp_path / "first", first), untrained_run(dataset, tmp_path / "second", "ranker")
    cascade = serve_run(runs[1], dataset, retriever=runs[0])
    asked = {name: value.numpy() for name, value in _asked(cascade, dataset).items() if name.startswith("query")}
    asked |= {"query_id": np.array([b"nobody", b"q4", b""], object), "k": np.array([DEPTH + 30, 8, 4], np.int32)}
    defaults = {name: made.default for name, made in cascade.inputs("recommend").items()}
    answer = {name: value.numpy() for name, value in cascade.recommend(**asked).items()}
    assert answer["source"].tolist() == [b"features", b"query", b"features"]
    models = [PythonModel(run, dataset) for run in runs]
    expected = cascade_scores(*models, asked, defaults, models[0].chosen(asked, defaults))
    for row, k in enumerate(asked["k"]):
        check_ranking(models[1], answer, row, expected[row], k)
    popular = np.sort(models[0].counts)[::-1]
    assert answer["scores"][2].tolist() != popular[: len(answer["scores"][2])].tolist()


def test_everything_else_is_the_retriever_s(cascade, served, song_dataset):
    for signature in ("embed_query", "similar", "search", "embed_candidate"):
        asked = _asked(served, song_dataset, signature)
        found, alone = getattr(cascade, signature)(**asked), getattr(served, signature)(**asked)
        assert set(found) - set(alone) == ({"parts"} if signature == "embed_candidate" else set())
        for name, value in alone.items():
            if value.dtype == tf.string:
                np.testing.assert_array_equal(found[name], value)
            else:
                np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-6)


def test_parts_and_scores_are_the_ranker_s(cascade, ranking_run, song_dataset):
    queries, parts = _tables(ranking_run, song_dataset)
    found = cascade.embed_candidate(**_asked(cascade, song_dataset, "embed_candidate"))["parts"]
    np.testing.assert_allclose(found, parts[ROWS], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(cascade.index.parts, parts, rtol=1e-4, atol=1e-5)
    expected = ranking_run.model.score_pairs(tf.constant(queries[ROWS]), tf.constant(parts[ROWS]))
    found = cascade.score(**_asked(cascade, song_dataset, "score"))["scores"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
