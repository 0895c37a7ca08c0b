import numpy as np
import pytest

from tests.conformance.models import NUM_CANDIDATES, NUM_QUERIES, ModelCase, catalogue, named, ready
from tfmmrec.callbacks import MineNegatives
from tfmmrec.callbacks import mine_negatives as module
from tfmmrec.callbacks.mine_negatives import hardest_candidates, mined_by
from tfmmrec.training import TrainingOptions, train
from tfmmrec.types import UsageError

OWN = {"loss": "bpr", "negatives": "mined", "num_mined": 2, "mined_depth": 5, "content": False}
CASE = ModelCase("mined", "two_tower", OWN)


@pytest.fixture
def made():
    made = ready(CASE)
    mined_by(made.model).assign(np.full((NUM_QUERIES, 5), -1))
    return made


def fit(made, steps, callback):
    made.model.fit(made.stream.dataset(), epochs=1, steps_per_epoch=steps, callbacks=[callback], verbose=0)


@pytest.mark.parametrize("depth", [5, NUM_CANDIDATES + 3])
def test_the_highest_scoring_candidates_that_a_query_has_not_chosen(made, depth, monkeypatch):
    made.fit(5)
    train_part = catalogue().train
    candidates, queries = made.vectors()
    scores = queries @ candidates.T
    scores[:, train_part.counts() == 0] = -np.inf
    expected = np.full((NUM_QUERIES, depth), -1)
    for query in range(NUM_QUERIES):
        scores[query, train_part.candidates_of(query)] = -np.inf
        order = np.argsort(-scores[query], kind="stable")
        order = order[np.isfinite(scores[query, order])][:depth]
        expected[query, : order.size] = order
    assert (expected[:, 4] >= 0).all() and np.isneginf(scores).any(axis=0).all()
    np.testing.assert_array_equal(hardest_candidates(made.embedder, train_part, depth), expected)
    monkeypatch.setattr(module, "_SCORES_AT_ONCE", 5 * NUM_CANDIDATES)  # a few queries at a time
    np.testing.assert_array_equal(hardest_candidates(made.embedder, train_part, depth), expected)


@pytest.mark.parametrize(("every", "steps", "times"), [(1, 3, 4), (2, 3, 2), (9, 4, 1)])
def test_the_table_is_filled_before_the_first_step_and_every_so_many(made, every, steps, times, monkeypatch):
    calls = []

    def counted(*given):
        calls.append(given)
        return np.full((NUM_QUERIES, 5), len(calls))

    monkeypatch.setattr(module, "hardest_candidates", counted)
    fit(made, steps, MineNegatives(made.embedder, catalogue().train, every))
    assert len(calls) == times
    np.testing.assert_array_equal(mined_by(made.model).table, np.full((NUM_QUERIES, 5), times))


def test_a_fit_that_goes_on_keeps_the_table_it_has(made):
    fit(made, 3, MineNegatives(made.embedder, catalogue().train, 2))
    table = mined_by(made.model).table.numpy()
    assert (table >= 0).any()
    callback = MineNegatives(None, catalogue().train, 2)
    callback.set_model(made.model)
    callback.on_train_begin()
    callback.on_train_batch_end(0)  # after step 3
    np.testing.assert_array_equal(mined_by(made.model).table, table)


def test_a_model_without_mined_negatives_is_left_alone():
    made = ready(named("bpr"))
    assert mined_by(made.model) is None
    fit(made, 1, MineNegatives(None, catalogue().train, 1))


def test_a_training_mines(tmp_path):
    options = TrainingOptions(epochs=2, batch_size=24, mine_every=3, refit=False)
    run = train(catalogue(), tmp_path / "run", "two_tower", OWN | {"dim": 8}, options, progress=False)
    table = mined_by(run.model).table.numpy()
    assert table.shape == (NUM_QUERIES, 5) and (table >= 0).all()


def test_never_is_no_interval():
    with pytest.raises(UsageError, match="every_steps must be at least 1, got 0"):
        MineNegatives(None, None, 0)
