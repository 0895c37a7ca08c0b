"""The baselines' metrics, and how EASE's regularisation is chosen."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from tfmmrec import baseline_evaluation
from tfmmrec.baseline_evaluation import choose_ease_l2, evaluate_baselines
from tfmmrec.baselines import ease, most_popular
from tfmmrec.data.dataset import dataset_from_frames
from tfmmrec.data.splits import hold_out
from tfmmrec.evaluation import evaluate, quick_metrics

NUM_QUERIES, NUM_CANDIDATES = 60, 40


def make_dataset(titles=True, seed=0):
    """Queries choose within one of four quarters of the catalogue, by and large."""
    random = np.random.default_rng(seed)
    quarter = np.arange(NUM_CANDIDATES) % 4
    liking = np.where(np.arange(NUM_QUERIES)[:, None] % 4 == quarter, 0.6, 0.05)
    pairs = np.argwhere(random.random(liking.shape) < liking)
    log = pd.DataFrame({"who": [f"q{query}" for query in pairs[:, 0]], "what": [f"c{c}" for c in pairs[:, 1]]})
    test = random.random(len(pairs)) < 0.3
    schema = {
        "interactions": {"train": "-", "test": "-", "query": "who", "candidate": "what", "cold_candidates": 0.2},
        "candidates": {"path": "-", "id": "id", "features": {"title": {"kind": "text"}} if titles else {}},
    }
    candidates = pd.DataFrame({"id": [f"c{c}" for c in range(NUM_CANDIDATES)]})
    candidates["title"] = [f"word{quarter[c]} and word{quarter[c]}" for c in range(NUM_CANDIDATES)]
    return dataset_from_frames(schema, {"train": log[~test], "test": log[test]}, candidates)


@pytest.fixture(scope="module")
def dataset():
    return make_dataset()


def test_each_baseline_is_measured_as_a_model_is(dataset):
    found, notes = evaluate_baselines(dataset, ks=(3, 5))
    assert list(found) == ["most_popular", "ease", "content_ridge"]
    expected = evaluate(most_popular(dataset), dataset, ks=(3, 5)).metrics
    assert found["most_popular"] == {name: expected[name] for name in ("all", "warm", "cold")}
    assert found["content_ridge"]["cold"]["ndcg@5"] > 1.5 * found["most_popular"]["cold"]["ndcg@5"]
    assert found["ease"]["warm"]["ndcg@5"] > 1.5 * found["most_popular"]["warm"]["ndcg@5"]
    assert len(notes) == 1 and notes[0].startswith("ease: l2 = ")


def test_what_cannot_be_computed_is_left_out_with_a_note():
    found, notes = evaluate_baselines(make_dataset(titles=False), ks=(3,))
    assert list(found) == ["most_popular", "ease"]
    assert "content_ridge is left out: content_ridge needs a feature of the candidates" in notes[-1]


def test_what_would_take_too_long_is_left_out(dataset, monkeypatch):
    monkeypatch.setattr(baseline_evaluation, "MAX_EQUATIONS", 39)
    found, notes = evaluate_baselines(dataset, ks=(3,))
    assert list(found) == ["most_popular", "content_ridge"], "the ridge has few words to weigh"
    assert "ease is left out: it would solve 40 equations, more than 39" in notes[0]


def test_a_large_catalogue_takes_the_default(dataset, monkeypatch):
    monkeypatch.setattr(baseline_evaluation, "MAX_CANDIDATES_TO_CHOOSE", 39)
    found, notes = evaluate_baselines(dataset, ks=(3,))
    expected = evaluate(ease(dataset, 500.0), dataset, ks=(3,)).metrics
    assert found["ease"]["all"] == expected["all"]
    assert "ease: l2 = 500, the default, as the catalogue has more than 39 candidates" in notes


def test_the_l2_is_the_best_on_what_is_held_out_of_train(dataset):
    kept, held_out = hold_out(dataset.train, 0.1, 0)
    part = dataclasses.replace(dataset, train=kept)
    values = (0.1, 3.0, 1000.0)
    reached = {l2: quick_metrics(ease(part, l2), kept, held_out)["ndcg@20"] for l2 in values}
    assert choose_ease_l2(dataset, values) == max(reached, key=reached.get)


def test_the_l2_does_not_look_at_the_test(dataset):
    blind = dataclasses.replace(dataset, test=None, valid=None)
    assert choose_ease_l2(blind) == choose_ease_l2(dataset)


def test_nothing_to_hold_out_takes_the_default():
    log = pd.DataFrame({"who": ["a", "b", "c"], "what": ["x", "y", "x"]})
    test = pd.DataFrame({"who": ["a", "b"], "what": ["y", "x"]})
    schema = {"interactions": {"train": "-", "test": "-", "query": "who", "candidate": "what"}}
    found, notes = evaluate_baselines(dataset_from_frames(schema, {"train": log, "test": test}), ks=(1,))
    assert "ease" in found and "ease: l2 = 500, the default: nothing can be held out" in notes[0]


def test_progress_is_told(dataset):
    told = []
    evaluate_baselines(dataset, ks=(3,), progress=lambda what, done, total: told.append((what, done == total)))
    assert {what for what, _ in told} == {"choosing ease's l2", "most_popular", "ease", "content_ridge"}
    assert all((what, True) in told for what in ("most_popular", "ease", "content_ridge"))
