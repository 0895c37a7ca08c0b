import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.serving.catalogue import untrained_run
from tfmmrec.data.histories import full_histories
from tfmmrec.serving.inputs import ListLengths
from tfmmrec.serving.serve_run import serve_run
from tfmmrec.serving.served_ranker import ServedRanker
from tfmmrec.serving.signatures import ServedModel


def test_what_is_served_of_which_run(served, cascade, ranking_run, song_dataset):
    assert isinstance(served, ServedModel) and isinstance(cascade, ServedModel)
    assert isinstance(serve_run(ranking_run, song_dataset), ServedRanker)
    assert set(cascade.signatures_to_save) == set(served.signatures_to_save)
    assert cascade.description() == served.description()


def test_a_cascade_holds_both_models_and_nothing_twice(cascade, served, ranking_run, song_run):
    saved = {id(variable) for variable in cascade.variables}
    for run in (ranking_run, song_run):
        assert {id(variable) for variable in run.model.trainable_variables} <= saved
    assert len(saved) == sum(len(arrays) for arrays in cascade.arrays().values())
    assert set(served.weights) == {name for name in cascade.weights if not name.startswith("ranker/")}
    assert cascade.ranker_histories is None, "the same log, the same length"
    assert set(cascade.arrays()["index"]) - set(served.arrays()["index"]) == {"parts"}


@pytest.mark.parametrize("timed", [True, False])
def test_each_model_has_the_histories_it_was_measured_with(timed, song_dataset, song_run, tmp_path):
    """Without times a capped history is a choice by the run's seed."""
    log = song_dataset.train
    columns = {name: column for name, column in log.columns.items() if timed or name != "timestamp"}
    dataset = dataclasses.replace(song_dataset, train=dataclasses.replace(log, columns=columns))
    run = untrained_run(dataset, tmp_path / "run", "mmdfm")
    run.model.query_tower.encoders["history"].length = 2
    run.config.options["seed"] = 4
    cascade = serve_run(run, dataset, retriever=song_run)
    assert (cascade.ranker_histories is None) == timed
    assert ("ranker_histories" in cascade.arrays()) != timed
    assert cascade.inputs("recommend")["history"].spec.shape[1] == 5
    chosen = [f"s{row}" for row in full_histories(dataset.train, np.array([1]), 2, seed=4)[0]]
    whole = cascade.score(tf.constant(["q1"]), tf.constant(["s3"]))["scores"]
    same = cascade.score(tf.constant(["q1"]), tf.constant(["s3"]), history=tf.constant([chosen + [""] * 3]))["scores"]
    np.testing.assert_allclose(whole, same, rtol=1e-5)
    for name, arrays in cascade.arrays().items():
        assert arrays, name


@pytest.mark.parametrize("longer", [5, 9])
def test_requests_may_send_more_than_is_read_of_known_queries(longer, song_dataset, tmp_path):
    """Without times the choice of a history depends on its length: it stays what evaluation reads."""
    columns = {name: column for name, column in song_dataset.train.columns.items() if name != "timestamp"}
    dataset = dataclasses.replace(song_dataset, train=dataclasses.replace(song_dataset.train, columns=columns))
    run = untrained_run(dataset, tmp_path / "run", "two_tower")
    run.model.query_tower.encoders["history"].length = 2
    served = serve_run(run, dataset, lengths=ListLengths(history=longer))
    queries = [f"q{row}" for row in range(len(dataset.queries))]
    stored = served.query_histories(tf.constant(queries), served.index.lookup)[:, :2]
    np.testing.assert_array_equal(stored, full_histories(dataset.train, np.arange(len(queries)), 2))
