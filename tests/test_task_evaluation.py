import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.models import NUM_CANDIDATES, catalogue
from tests.serving.catalogue import untrained_run
from tfmmrec.data.rating_biases import rating_biases
from tfmmrec.task_evaluation import RatingPredictor, evaluate_tasks, predict_ratings, r_precision
from tfmmrec.types import UsageError


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with ratings, tags (genre) and categories (artist), whose weights are not the initial ones."""
    folder = tmp_path_factory.mktemp("runs")
    run = untrained_run(catalogue(), folder / "run", "multitask", category="artist", rating_dim=3)
    for number, variable in enumerate(run.model.trainable_variables):
        variable.assign_add(tf.random.stateless_normal(variable.shape, [number, 3], stddev=0.3))
    return run


def expected_ratings(run, query_rows, candidate_rows):
    embedder, task = run.embedder(catalogue()), run.model.rating
    candidates = embedder.candidates()
    z = embedder.queries(query_rows, candidates, catalogue().train) @ task.of_query.kernel.numpy()
    w = candidates[candidate_rows] @ task.of_candidate.kernel.numpy()
    biases = task.query_bias.numpy()[query_rows] + task.candidate_bias.numpy()[candidate_rows]
    return task.mean + task.stddev * (biases + (z * w).sum(axis=1))


def test_ratings_of_pairs_of_ids(run):
    rows = np.array([3, 3, 0]), np.array([1, 29, 7])
    found = predict_ratings(run, ["q3", "q3", "q0"], ["c1", "c29", "c7"], catalogue())
    np.testing.assert_allclose(found, expected_ratings(run, *rows), rtol=1e-4)
    assert predict_ratings(run, [], [], catalogue()).shape == (0,)


def test_ids_that_the_model_has_not_seen_have_no_bias(run):
    dataset = catalogue()
    ids = dataset.queries.ids.to_pylist()
    renamed = run.statistics.model_copy(update={"query_ids": ["nobody", *ids[1:]]})
    found = RatingPredictor(dataclasses.replace(run, statistics=renamed), dataset)(np.array([0, 1]), np.array([2, 2]))
    expected = expected_ratings(run, np.array([0, 1]), np.array([2, 2]))
    expected[0] -= run.model.rating.stddev * run.model.rating.query_bias.numpy()[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("queries", "candidates", "message"),
    [
        (["q1"], ["c1", "c2"], "go pair by pair, got 1 and 2 of them"),
        (["q1", "me"], ["c1", "c2"], "queries: the dataset has no 'me'; take ids of its tables"),
        (["q1"], ["it"], "candidates: the dataset has no 'it'"),
    ],
)
def test_what_cannot_be_predicted(run, queries, candidates, message):
    with pytest.raises(UsageError, match=message):
        predict_ratings(run, queries, candidates, catalogue())


def test_a_model_without_ratings_is_refused_and_has_nothing_to_measure(tmp_path):
    bare = untrained_run(catalogue(), tmp_path / "run", "id_only")
    with pytest.raises(
        UsageError, match="has learned no ratings; train `multitask` on a log that declares `rating: COL"
    ):
        predict_ratings(bare, ["q1"], ["c1"], catalogue())
    assert evaluate_tasks(bare, catalogue(), "test") == {}


def test_errors_of_ratings_stand_beside_those_of_the_mean_and_of_the_biases(run):
    found, part = evaluate_tasks(run, catalogue(), "test")["rating"], catalogue().test
    is_rated = np.isfinite(part.columns["rating"])
    rows, truth = (part.query_rows()[is_rated], part.indices[is_rated]), part.columns["rating"][is_rated]
    assert 0 < is_rated.sum() < part.num_rows and found["num_ratings"] == is_rated.sum()
    mean = np.nanmean(catalogue().train.columns["rating"])
    biases = rating_biases(catalogue().train, mean)
    for name, ratings in (
        ("rmse", expected_ratings(run, *rows)),
        ("mean_rmse", mean),
        ("biases_rmse", biases(*rows)),
    ):
        assert found[name] == pytest.approx(np.sqrt(np.mean((ratings - truth) ** 2)), rel=1e-4), name


def test_labels_are_measured_on_candidates_that_train_does_not_have(run):
    found, dataset = evaluate_tasks(run, catalogue(), "test"), catalogue()
    tables = tf.nest.map_structure(tf.constant, run.embedder(dataset).candidate_tables)
    is_known = dataset.train.counts() > 0
    for task, feature, metric in (("tags", "genre", "r_precision"), ("category", "artist", "accuracy")):
        logits = run.model.predict_labels(task, tables).numpy()
        vocabulary = np.array(run.statistics.candidates[feature].vocabulary)
        values = [set((value or "").split("|")) - {""} for value in dataset.candidates.features[feature].to_pylist()]
        often = np.array([sum(label in values[row] for row in np.flatnonzero(is_known)) for label in vocabulary])
        shares = {metric: [], "most_frequent": []}
        measured = [row for row in np.flatnonzero(~is_known) if values[row]]
        for row in measured:
            for name, scores in ((metric, logits[row]), ("most_frequent", often)):
                best = vocabulary[np.argsort(-scores, kind="stable")[: len(values[row])]]
                shares[name].append(len(set(best) & values[row]) / len(values[row]))
        assert found[task]["num_candidates"] == len(measured) > 0
        for name, share in shares.items():
            assert found[task][name] == pytest.approx(np.mean(share)), (task, name)


def test_where_train_has_every_candidate_or_no_rating_is_given_there_is_nothing_to_measure(run):
    dataset = catalogue()
    everything = dataclasses.replace(
        dataset.train, indices=np.arange(dataset.train.num_rows, dtype=np.int32) % NUM_CANDIDATES
    )
    unrated = dataclasses.replace(dataset.test, columns={})
    assert evaluate_tasks(run, dataclasses.replace(dataset, train=everything, test=unrated), "test") == {}


def test_r_precision():
    scores = np.array([0.1, 0.9, 0.5, 0.7])
    assert r_precision(scores, np.array([1, -1])) == 1.0 and r_precision(scores, np.array([2])) == 0.0
    assert r_precision(scores, np.array([2, 1, 1, -1])) == 0.5  # the best two are 1 and 3
