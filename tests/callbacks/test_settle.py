import numpy as np
import pytest
import scipy.sparse as sp
import tensorflow as tf

from tests.choices import choices, learn
from tests.conformance.models import NUM_QUERIES, ModelCase, catalogue, named, ready
from tfmmrec.callbacks import Settle
from tfmmrec.callbacks.settle import settling
from tfmmrec.data.dataset import Interactions
from tfmmrec.linear_autoencoder import linear_factors
from tfmmrec.runs import load_run

CASE = ModelCase("linear blend", "linear_blend", {"rank": 5})


@pytest.fixture
def made():
    return ready(CASE)


def fit(made, epochs, *callbacks):
    made.model.fit(made.stream.dataset(), epochs=epochs, steps_per_epoch=1, callbacks=list(callbacks), verbose=0)


@pytest.mark.parametrize("image_mode", ["cached", "finetuned"])
def test_factors_are_there_before_the_first_step_and_what_changes_is_fitted_after_every_epoch(image_mode, monkeypatch):
    made, calls = ready(ModelCase("linear blend", "linear_blend", {"rank": 5, "image_mode": image_mode})), []
    for name in ("set_interactions", "fit_content", "fit_scale"):
        monkeypatch.setattr(made.model, name, lambda *given, name=name: calls.append((name, *given)))
    fit(made, 2, Settle(made.embedder, catalogue().train))
    epoch = ["fit_content", "fit_scale"] if image_mode == "finetuned" else ["fit_scale"]
    assert [name for name, *_ in calls] == ["set_interactions", "fit_content", *epoch * 2]
    assert calls[0][1] is catalogue().train
    candidates, queries = made.vectors()
    np.testing.assert_allclose(calls[-1][1], queries, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(calls[-1][2], candidates, rtol=1e-5, atol=1e-6)


def test_content_and_scale_are_those_of_the_weights_after_the_epoch(made):
    fit(made, 2, Settle(made.embedder, catalogue().train))
    fusion = made.model.candidate_tower.fusion
    content_map, scale = fusion.content_map.numpy(), made.model.query_tower.fusion.scale.numpy()
    assert content_map.any() and scale not in (0.0, 1.0)
    Settle(made.embedder, catalogue().train).on_epoch_end(2)
    np.testing.assert_allclose(fusion.content_map, content_map, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(made.model.query_tower.fusion.scale, scale, rtol=1e-5)


def test_the_scale_is_fitted_on_some_queries_that_have_a_history(made):
    indptr = np.concatenate([[0], np.arange(NUM_QUERIES)])  # the first query chose nothing
    interactions = Interactions(indptr, np.zeros(NUM_QUERIES - 1, np.int32), num_candidates=made.model.num_candidates)
    np.testing.assert_array_equal(Settle(made.embedder, interactions).queries, np.arange(1, NUM_QUERIES))
    some = Settle(made.embedder, interactions, max_queries=4).queries
    assert len(set(some)) == 4 and 0 not in some and (np.diff(some) > 0).all()
    np.testing.assert_array_equal(Settle(made.embedder, interactions, max_queries=4).queries, some)
    assert not np.array_equal(Settle(made.embedder, interactions, max_queries=4, seed=1).queries, some)


def test_which_model_needs_it(made):
    [callback] = settling(made.model, made.embedder, catalogue().train)
    assert isinstance(callback, Settle)
    plain = ready(named("id_only"))
    assert settling(plain.model, plain.embedder, catalogue().train) == []


def test_a_training_settles_by_all_that_it_trains_on(tmp_path):
    learn(tmp_path / "run", "linear_blend", hyperparameters={"rank": 4}, epochs=2)
    model, train = load_run(tmp_path / "run").model, choices().train
    chosen = sp.csr_matrix((np.ones(train.num_rows), train.indices, train.indptr))
    expected = linear_factors(chosen[:, train.counts() > 0], 4)
    np.testing.assert_allclose(model.candidate_tower.encoders["id"].factors, expected.scoring, atol=1e-5)
    np.testing.assert_allclose(model.history_tower.encoders["id"].factors, expected.reading, atol=1e-5)
    assert model.candidate_tower.fusion.content_map.numpy().any()
    assert model.query_tower.fusion.scale.numpy() not in (0.0, 1.0)


def test_a_graph_keeps_its_tables_after_every_epoch(monkeypatch):
    made = ready(named("lightgcn"))
    calls = []
    monkeypatch.setattr(made.model, "materialize", lambda: calls.append(1))
    [callback] = settling(made.model, made.embedder, catalogue().train)
    assert isinstance(callback, tf.keras.callbacks.Callback)
    fit(made, 3, callback)
    assert len(calls) == 3
