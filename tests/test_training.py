"""Training in this process; `test_training_resumed.py` and `test_training_killed.py` interrupt it."""

from __future__ import annotations

import csv
import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from tests.choices import SMALL, choices, history_rows, learn
from tests.conformance.models import catalogue
from tfmmrec import training
from tfmmrec.data.rating_biases import rating_biases
from tfmmrec.data.splits import hold_out
from tfmmrec.runs import load_run, read_config
from tfmmrec.training import TrainingOptions, train
from tfmmrec.types import DataError, UsageError


class Noted(tf.keras.callbacks.Callback):
    """Notes what each phase is told and what its weights are after each epoch."""

    def __init__(self):
        super().__init__()
        self.phases = []

    def on_train_begin(self, logs=None):
        self.phases.append({"params": dict(self.params), "logs": [], "weights": []})

    def on_epoch_end(self, epoch, logs=None):
        self.phases[-1]["logs"].append(dict(logs))
        self.phases[-1]["weights"].append([variable.numpy() for variable in self.model.trainable_variables])


@pytest.fixture(scope="module")
def noted():
    return Noted()


@pytest.fixture(scope="module")
def run(noted, tmp_path_factory):
    """An epoch is chosen, then the model is trained again."""
    folder = tmp_path_factory.mktemp("runs") / "new" / "run"
    return learn(folder, "id_only", hyperparameters={"loss": "full_softmax"}, callbacks=[noted], epochs=6, batch_size=8)


def test_what_a_run_leaves_behind(run):
    files = {path.relative_to(run.path).as_posix() for path in run.path.rglob("*") if path.is_file()}
    assert {"config.json", "statistics.json", "state.json", "history.csv", "checkpoints/final.index"} <= files
    assert not any("select" in name or "refit" in name or "/." in name for name in files)  # what only resume needs
    config = json.loads((run.path / "config.json").read_text())
    assert config["finished"] and config["model"] == "id_only"
    assert config["hyperparameters"] == SMALL | {"loss": "full_softmax"}
    assert config["options"]["epochs"] == 6 and config["options"]["batch_size"] == 8
    assert config["dataset"] is None and config["dataset_fingerprint"] == choices().fingerprint
    assert len(config["run_id"]) == 32


def test_the_epoch_with_the_best_validation_is_chosen_and_trained_again_from_the_start(run, noted):
    rows = history_rows(run)
    select, refit = ([row for row in rows if row["phase"] == phase] for phase in ("select", "refit"))
    scores = [float(row["val_ndcg@20"]) for row in select]
    assert len(select) == 6 and [int(row["epoch"]) for row in select] == [1, 2, 3, 4, 5, 6]
    assert run.config.num_epochs == int(np.argmax(scores)) + 1
    assert [int(row["epoch"]) for row in refit] == list(range(1, run.config.num_epochs + 1))
    assert not any(row["val_ndcg@20"] for row in refit)  # nothing is held out any more
    assert run.config.validation["val_ndcg@20"] == max(scores)
    assert float(refit[0]["loss"]) == pytest.approx(float(select[0]["loss"]), rel=0.1)
    assert [len(phase["logs"]) for phase in noted.phases] == [6, run.config.num_epochs]


def test_epochs_of_few_steps_go_through_all_interactions(tmp_path):
    """Epochs of ten steps go on where one ended: the first pass sees every interaction once."""
    seen = []

    class Seen(tf.keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            seen.append(int(self.model.optimizer.iterations))

    settings = {"batch_size": 8, "refit": False, "hyperparameters": {"loss": "full_softmax"}}
    run = learn(tmp_path / "a", "id_only", callbacks=[Seen()], epochs=3, steps_per_epoch=10, **settings)
    assert seen == list(range(30)) and len(history_rows(run)) == 3
    whole = learn(tmp_path / "b", "id_only", epochs=1, steps_per_epoch=30, **settings)
    for mine, expected in zip(run.model.trainable_variables, whole.model.trainable_variables, strict=True):
        np.testing.assert_allclose(mine.numpy(), expected.numpy(), atol=1e-5)


def test_it_is_trained_again_on_all_of_train(run, noted):
    num_rows, held_out = choices().train.num_rows, round(0.1 * choices().train.num_rows)
    select, refit = (phase["params"]["steps"] for phase in noted.phases)
    assert refit == num_rows // 8
    assert select == pytest.approx((num_rows - held_out) / 8, abs=2) and select < refit


def test_held_out_ratings_are_unknown_to_the_model_that_is_validated(tmp_path, monkeypatch):
    dataset, begun = dataclasses.replace(catalogue(), valid=None), []
    build = training.build_model

    def noted_build(config, statistics):
        model = build(config, statistics)
        begun.append(model.rating.query_bias.numpy() * statistics.rating_stddev)
        return model

    monkeypatch.setattr("tfmmrec.training.build_model", noted_build)
    options = TrainingOptions(epochs=1, batch_size=64, image_steps=0)
    own = SMALL | {"image_size": 16, "text_dim": 5, "feature_dim": 6, "category_weight": 0.0}
    train(dataset, tmp_path / "run", "multitask", own, options, progress=False)
    fit_part, _ = hold_out(dataset.train, options.validation_share, options.seed)
    mean = np.nanmean(dataset.train.columns["rating"])
    select, refit = (rating_biases(part, mean).of_queries for part in (fit_part, dataset.train))
    np.testing.assert_allclose(begun[-2], select, atol=1e-5)
    np.testing.assert_allclose(begun[-1], refit, atol=1e-5)
    assert np.abs(select - refit).max() > 0.01


def test_the_run_holds_the_weights_of_the_last_epoch_of_the_refit(run, noted):
    for one, other in zip(run.model.trainable_variables, noted.phases[1]["weights"][-1], strict=True):
        np.testing.assert_array_equal(one, other)
    loaded = load_run(run.path)
    for one, other in zip(loaded.model.variables, run.model.variables, strict=True):
        np.testing.assert_array_equal(one, other)


def test_callbacks_see_the_validation(noted):
    logs = noted.phases[0]["logs"][0]
    assert {"loss", "val_recall@20", "val_ndcg@20"} <= set(logs)


@pytest.mark.parametrize("valid", [True, False])
def test_without_a_refit_the_best_epoch_s_weights_are_kept(valid, tmp_path):
    """With a validation file there is none unless asked for otherwise."""
    noted = Noted()
    options = {} if valid else {"refit": False}
    run = learn(tmp_path / "run", "id_only", choices(valid), callbacks=[noted], epochs=6, learning_rate=0.3, **options)
    scores = [logs["val_ndcg@20"] for logs in noted.phases[0]["logs"]]
    best = int(np.argmax(scores))
    assert len(noted.phases) == 1 and run.config.num_epochs == best + 1 < 6  # or the last would do as well
    for one, other in zip(run.model.trainable_variables, noted.phases[0]["weights"][best], strict=True):
        np.testing.assert_array_equal(one, other)
    assert {row["phase"] for row in history_rows(run)} == {"select"}
    np.testing.assert_array_equal(load_run(run.path).model.trainable_variables[0], run.model.trainable_variables[0])


def test_a_fit_that_does_not_rise_is_stopped(tmp_path):
    run = learn(tmp_path / "run", "id_only", epochs=9, learning_rate=1e-12, patience=2)
    rows = history_rows(run)
    assert [row["phase"] for row in rows] == ["select"] * 3 + ["refit"] and run.config.num_epochs == 1


def test_validations_may_be_fewer_than_epochs(tmp_path):
    run = learn(tmp_path / "run", "id_only", epochs=3, validate_every=2, refit=False)
    assert [bool(row["val_ndcg@20"]) for row in history_rows(run)] == [False, True, True]


def test_the_seed_decides(tmp_path):
    losses = [
        [row["loss"] for row in history_rows(learn(tmp_path / str(place), "id_only", epochs=1, seed=seed, refit=False))]
        for place, seed in enumerate((3, 3, 4))
    ]
    assert float(losses[0][0]) == pytest.approx(float(losses[1][0]), rel=1e-5)
    assert float(losses[0][0]) != pytest.approx(float(losses[2][0]), rel=1e-5)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_mixed_precision_holds_for_the_training_alone(precision, tmp_path):
    policies = []
    noted = tf.keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: policies.append(tf.keras.mixed_precision.global_policy().name)
    )
    options = {"epochs": 2, "mixed_precision": precision, "refit": False}
    run = learn(tmp_path / "run", "history_only", callbacks=[noted], **options)
    assert policies == [f"mixed_{precision}"] and tf.keras.mixed_precision.global_policy().name == "float32"
    assert np.isfinite([float(row["loss"]) for row in history_rows(run)]).all()
    embedder = load_run(run.path).embedder(choices())
    assert np.isfinite(embedder.candidates()).all()


def test_several_replicas_learn_what_one_does(tmp_path, replicas):
    replicas(4)  # splits the CPU
    losses = {}
    for strategy in ("cpu", "mirrored"):
        options = {"epochs": 2, "strategy": strategy, "clip_norm": 0.1, "weight_decay": 0.01, "refit": False}
        own = {"loss": "sampled_softmax", "history_dropout": 0.0}
        run = learn(tmp_path / strategy, "history_only", hyperparameters=own, **options)
        losses[strategy] = [float(row["loss"]) for row in history_rows(run)]
        assert np.isfinite(load_run(run.path).embedder(choices()).candidates()).all()
    np.testing.assert_allclose(losses["mirrored"], losses["cpu"], rtol=1e-4)


def test_the_learning_rate_falls_where_it_is_to(tmp_path):
    rates = []

    class Rate(tf.keras.callbacks.Callback):
        """Notes what the next step is taken with."""

        def on_train_batch_begin(self, batch, logs=None):
            optimizer = self.model.optimizer
            optimizer._compute_current_learning_rate()
            rates.append((int(optimizer.iterations), float(optimizer.learning_rate)))

    learn(tmp_path / "falling", "id_only", callbacks=[Rate()], epochs=2, decay_steps=5)
    assert [rate for _, rate in rates] == pytest.approx([0.03 / (1 + step / 5) for step, _ in rates])
    assert [step for step, _ in rates].count(0) == 2  # the refit starts from the top
    rates.clear()
    learn(tmp_path / "constant", "id_only", callbacks=[Rate()], epochs=2, refit=False)
    assert [rate for _, rate in rates] == pytest.approx([0.03] * len(rates))


def test_on_demand_tensorboard_has_logs_of_both_phases_and_progress_is_shown(run, tmp_path, capsys):
    learn(tmp_path / "quiet", "id_only", epochs=1, refit=False)
    assert capsys.readouterr().err == "" and not (run.path / "tensorboard").exists()
    other = learn(tmp_path / "run", "id_only", epochs=1, tensorboard=True, progress=True)
    for phase in ("select", "refit"):
        assert list((other.path / "tensorboard" / phase).rglob("events.out.tfevents*")), phase
    shown = capsys.readouterr()
    assert shown.out == "" and "choosing the epoch: loss" in shown.err and "refit on all of train: loss" in shown.err


def test_a_model_that_diverges_ends_the_training(tmp_path):
    with pytest.raises(FloatingPointError, match="in epoch 1; lower the learning rate"):
        learn(tmp_path / "run", "id_only", epochs=3, learning_rate=1e38)
    assert not read_config(tmp_path / "run").finished


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "two_towers"}, "model must be one of"),
        ({"hyperparameters": {"dimension": 8}}, "id_only has no setting 'dimension'"),
        ({"hyperparameters": {"content": True}}, "id_only has no setting 'content'"),
        ({"hyperparameters": {"dim": "wide"}}, "dim='wide' does not suit id_only"),
        ({"hyperparameters": {"fusion": "middle"}}, "fusion must be one of early, late, hybrid"),
        ({"options": {"monitor": "val_loss"}}, "monitor must be one of val_recall@20, .*, got 'val_loss'"),
        ({"options": {"optimizer": "lazy_adam"}}, "lazy_adam reads which rows a batch has, a TPU cannot"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_written(arguments, message, tmp_path, monkeypatch):
    monkeypatch.setattr("tfmmrec.training.on_tpu", lambda strategy: True)  # none is here
    with pytest.raises(UsageError, match=message):
        train(choices(), tmp_path / "run", **({"model": "id_only", "progress": False} | arguments))
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_a_run_is_refused(run):
    with pytest.raises(UsageError, match="holds a run already; choose another folder, or go on with --resume"):
        learn(run.path, "id_only", epochs=1)


def test_resuming_a_finished_run_gives_it_back_untouched(run):
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    again = train(choices(), run.path, model="two_tower", resume=True)  # all else is read from the run
    assert again.config == run.config
    assert before == {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}


def test_resuming_what_never_began_begins(tmp_path):
    run = learn(tmp_path / "run", "id_only", epochs=1, resume=True)
    assert run.config.finished


def test_defaults_are_the_zoo_s(tmp_path, monkeypatch):
    from tfmmrec.zoo import ZOO

    monkeypatch.setitem(ZOO["id_only"].training, "epochs", 1)
    run = train(choices(), tmp_path / "run", "id_only", {"dim": 4}, progress=False)
    assert run.config.options == TrainingOptions(**ZOO["id_only"].training).model_dump()


def test_defaults_suit_the_loss_that_the_size_of_the_catalogue_chooses(tmp_path, monkeypatch):
    from tfmmrec.zoo import ZOO

    monkeypatch.setattr("tfmmrec.models.loss_choice.FULL_SOFTMAX_LIMIT", 5)
    monkeypatch.setitem(ZOO["id_only"].losses["sampled_softmax"], "epochs", 1)
    run = train(choices(), tmp_path / "run", "id_only", {"dim": 4}, progress=False)
    assert run.model.loss_name == "sampled_softmax"
    assert run.config.options == TrainingOptions(**ZOO["id_only"].losses["sampled_softmax"]).model_dump()


def test_history_is_a_table(run):
    with open(run.path / "history.csv", newline="") as file:
        (head, *rows) = csv.reader(file)
    assert head[:5] == ["phase", "epoch", "seconds", "loss", "regularization"]
    assert all(len(row) == len(head) for row in rows)


def test_nothing_to_train_on(tmp_path):
    dataset = choices()
    dataset.train = dataset.train.select(np.zeros(dataset.train.num_rows, bool))
    with pytest.raises((UsageError, DataError), match="nothing"):
        learn(tmp_path / "run", "id_only", dataset, epochs=1)
