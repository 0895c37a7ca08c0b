"""A training whose steps average the gradients of several batches."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.choices import choices, history_rows, learn
from tests.conformance.models import QUICK, ModelCase, by_name, catalogue, named, quick_or_slow, ready
from tests.encoders.reusable import write_image_model
from tfmmrec.data.accumulated_batches import AccumulatedBatches
from tfmmrec.training import train
from tfmmrec.types import UsageError


class Steps(tf.keras.callbacks.Callback):
    """Notes the optimizer's count and rate before each step."""

    def __init__(self):
        super().__init__()
        self.noted = []

    def on_train_batch_begin(self, batch, logs=None):
        self.model.optimizer._compute_current_learning_rate()
        optimizer = self.model.optimizer
        self.noted.append((int(optimizer.iterations.numpy()), float(optimizer.learning_rate.numpy())))


def test_steps_and_rates_count_updates(tmp_path):
    """43 held-in batches of 8 are ten groups of four; the rate falls by updates."""
    noted = Steps()
    options = {"epochs": 2, "batch_size": 8, "accumulate_steps": 4, "decay_steps": 5, "refit": False}
    run = learn(tmp_path / "run", "id_only", hyperparameters={"loss": "full_softmax"}, callbacks=[noted], **options)
    num_batches = (choices().train.num_rows - round(0.1 * choices().train.num_rows)) // 8
    updates = 2 * (num_batches // 4)
    assert [step for step, _ in noted.noted] == list(range(updates))
    assert [rate for _, rate in noted.noted] == pytest.approx([0.03 / (1 + step / 5) for step in range(updates)])
    assert run.config.options["accumulate_steps"] == 4 and len(history_rows(run)) == 2


def test_groups_larger_than_a_pass_are_refused(tmp_path):
    with pytest.raises(UsageError, match="accumulate_steps must lie in 1 to the number of batches in a pass, which is"):
        learn(tmp_path / "run", "id_only", epochs=1, batch_size=64, accumulate_steps=50)
    assert not (tmp_path / "run" / "config.json").exists(), "nothing was begun"


@pytest.mark.slow
def test_two_replicas_learn_what_one_does(tmp_path, replicas):
    replicas(2)  # splits the CPU
    losses = {}
    for strategy in ("cpu", "mirrored"):
        options = {"epochs": 2, "strategy": strategy, "clip_norm": 0.1, "weight_decay": 0.01, "refit": False}
        own = {"loss": "full_softmax", "history_dropout": 0.0}
        run = learn(tmp_path / strategy, "history_only", hyperparameters=own, accumulate_steps=3, **options)
        losses[strategy] = [float(row["loss"]) for row in history_rows(run)]
    np.testing.assert_allclose(losses["mirrored"], losses["cpu"], rtol=1e-4)


def accumulated(case: ModelCase, optimizer, strategy=None):
    made = ready(case, optimizer, strategy, batch_size=8)
    made.stream = AccumulatedBatches(made.stream, 2)
    return made


@pytest.mark.parametrize("case", quick_or_slow([*QUICK, named("aligned in turns")], [named("two_tower")]), ids=by_name)
def test_models_of_every_family_take_a_step_of_several_batches(case):
    made = accumulated(case, lambda: tf.keras.optimizers.Adam(0.01))
    before = [variable.numpy() for variable in made.model.trainable_variables]
    losses = made.fit(2)
    assert np.isfinite(losses).all() and made.model.optimizer.iterations.numpy() == 2
    after = [variable.numpy() for variable in made.model.trainable_variables]
    moved = [(now != then).any() for now, then in zip(after, before, strict=True)]
    assert np.mean(moved) > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("name", ["full softmax", "everything trained"])
def test_the_step_of_a_model_is_that_of_the_mean_gradient(name):
    """Without dropout: SGD moves by the mean of what it would have moved by each of the two batches."""
    case, rate = named(name).without_dropout(), 0.1
    both = accumulated(case, lambda: tf.keras.optimizers.SGD(rate))
    begin = [variable.numpy() for variable in both.model.trainable_variables]
    moves = []
    for batch in both.stream.batch(0):
        single = ready(case, lambda: tf.keras.optimizers.SGD(rate), batch_size=8)
        for variable, then in zip(single.model.trainable_variables, begin, strict=True):
            variable.assign(then)
        single.model.fit(tf.data.Dataset.from_tensors(batch), steps_per_epoch=1, verbose=0)
        moves.append([v.numpy() - then for v, then in zip(single.model.trainable_variables, begin, strict=True)])
    both.fit(1)
    for variable, then, one, other in zip(both.model.trainable_variables, begin, *moves, strict=True):
        np.testing.assert_allclose(variable.numpy() - then, (one + other) / 2, rtol=1e-3, atol=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["aligned in turns", "everything trained", "sampled softmax"])
def test_models_under_two_replicas(name, replicas):
    """Alternating alignments have an optimizer of their own, which moves in every batch."""
    case, weights = named(name).without_dropout(), []
    for strategy in (None, replicas(2)):
        made = accumulated(case, lambda: tf.keras.optimizers.SGD(0.1), strategy)
        assert np.isfinite(made.fit(2)).all()
        weights.append([variable.numpy() for variable in made.model.trainable_variables])
    if name == "aligned in turns":  # a loss of the whole batch; others have negatives of their replica's order
        for one, other in zip(*weights, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-2, atol=1e-4)
        optimizer = made.model.candidate_tower.alignments[0].optimizer
        assert optimizer.iterations.numpy() == 4  # two steps of two batches


@pytest.mark.slow
def test_a_finetuned_encoder_accumulates(tmp_path):
    handle = write_image_model(tmp_path / "m")
    own = {"dim": 6, "pretrained": {"photo": handle}, "pretrained_mode": "finetuned", "image_augmentation": "crop"}
    options = {"epochs": 1, "batch_size": 8, "accumulate_steps": 3, "refit": False, "encoder_learning_rate": 0.01}
    run = train(catalogue(), tmp_path / "run", "content_only", own, options, progress=False)
    encoder = run.model.candidate_tower.encoders["photo"]
    for variable, then in zip(encoder.module.variables, tf.saved_model.load(handle).variables, strict=True):
        assert (variable.numpy() != then.numpy()).any()
