import numpy as np
import pytest
import tensorflow as tf

from tests.choices import choices
from tfmmrec.data.splits import hold_out
from tfmmrec.data.statistics import compute_statistics
from tfmmrec.fitting import Fitting
from tfmmrec.preparation import Prepared
from tfmmrec.training_options import TrainingOptions
from tfmmrec.workers import Workers
from tfmmrec.zoo import ZOO


@pytest.fixture
def fitting(tmp_path):
    """`fitting(batch_size=…)`: of the model with ids alone, whose features need no preparation."""
    dataset = choices()
    statistics = compute_statistics(dataset)

    def build(_):
        tf.keras.utils.set_random_seed(0)
        model = ZOO["id_only"].build(dataset.schema, statistics, dim=4, history_tower=False)
        model.build_towers()
        return model

    def make(**options):
        numbers = {"id": {"row": np.arange(len(dataset.queries), dtype=np.int32)}}
        own = {"id": {"row": np.arange(len(dataset.candidates), dtype=np.int32)}}
        options = TrainingOptions(**{"patience": 9, "batch_size": 48, "save_seconds": 0.0} | options)
        workers = Workers(tf.distribute.get_strategy())
        return Fitting(tmp_path, options, Prepared(numbers, own), workers, build, progress=False)

    return make, hold_out(dataset.train, 0.2, 0)


def test_a_phase_goes_on_where_it_was_and_ends_as_if_it_had_not_stopped(fitting):
    make, (part, valid) = fitting
    whole, model = make().fit("select", part, valid, 3, resume=False, keep_best=True)
    assert [row["epoch"] for row in whole.rows] == [1, 2, 3] and whole.best_epoch in (1, 2, 3)
    expected = model.get_weights()
    first, _ = make().fit("select", part, valid, 2, resume=False, keep_best=True)  # a new one: the folder is emptied
    assert [row["epoch"] for row in first.rows] == [1, 2]
    second, model = make().fit("select", part, valid, 3, resume=True, keep_best=True)
    assert [row["loss"] for row in second.rows] == pytest.approx([row["loss"] for row in whole.rows], rel=1e-5)
    for found, wanted in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


def test_without_validation_data_the_last_epoch_counts(fitting):
    make, (part, _) = fitting
    keeper, _ = make(steps_per_epoch=2).fit("refit", part, None, 2, resume=False, keep_best=False)
    assert keeper.best_epoch == 2 and not any(name.startswith("val_") for row in keeper.rows for name in row)


def test_on_a_tpu_gradients_are_whole(fitting, monkeypatch):
    make, (part, valid) = fitting
    monkeypatch.setattr("tfmmrec.fitting.on_tpu", lambda strategy: True)  # none is here: all but the device itself
    keeper, model = make().fit("select", part, valid, 1, resume=False, keep_best=False)
    assert model.whole_gradients and len(keeper.rows) == 1
