"""Training a run: choose the epoch on validation data, then refit on all of train."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfmmrec.callbacks.keeper import best_weights, plain_states, set_plain_states
from tfmmrec.cluster import read_cluster
from tfmmrec.data.accumulated_batches import check_accumulation
from tfmmrec.data.dataset import Dataset, Interactions
from tfmmrec.data.splits import hold_out
from tfmmrec.data.statistics import Statistics, compute_statistics
from tfmmrec.embedding import Progress
from tfmmrec.encoders.tpu_identifier import check_tpu_identifiers
from tfmmrec.fitting import Fitting
from tfmmrec.numerics import numerics
from tfmmrec.optimizers import check_encoder_options, check_optimizer
from tfmmrec.parameter_servers.serving_process import serve
from tfmmrec.parameter_servers.supported import check_supported
from tfmmrec.preparation import Prepared, prepare
from tfmmrec.run_lock import RunLock
from tfmmrec.runs import (
    Run,
    RunConfig,
    build_model,
    load_run,
    new_config,
    read_config,
    read_state,
    write_config,
    write_rows,
    write_text,
)
from tfmmrec.strategies import is_helper, make_strategy, on_tpu
from tfmmrec.training_options import TrainingOptions, check_monitor, options_of
from tfmmrec.types import DataError, UsageError
from tfmmrec.workers import Workers
from tfmmrec.zoo import ZOO, check_hyperparameters

__all__ = ["TrainingOptions", "train"]

_FAILED, _NEW, _RESUMED, _FINISHED = range(4)  # what the chief tells the other workers before they go on


def train(
    dataset: Dataset,
    run: str | Path,
    model: str = "two_tower",
    hyperparameters: dict[str, Any] | None = None,
    options: TrainingOptions | Mapping[str, Any] | None = None,
    callbacks: Sequence[tf.keras.callbacks.Callback] = (),
    resume: bool = False,
    progress: bool = True,
    dataset_config: str | None = None,
    start_from: str | Path | None = None,
) -> Run:
    """Trains a model and leaves a run folder.

    Args:
        dataset: what to train on.
        run: the run folder; must not hold another run unless `resume`.
        model: a name of the zoo.
        hyperparameters: of the model; the zoo's defaults for those left out.
        options: of the training; a mapping changes the zoo's for the model, which are taken when None.
        callbacks: any Keras callbacks.
        resume: go on where a killed training stood; everything else is then read from the run.
        progress: show progress bars.
        dataset_config: the name of the config file the dataset was loaded with, for the record.
        start_from: a finished run, of this catalogue or another; see `transfer_weights`.

    Returns:
        The finished run.

    Raises:
        UsageError: unknown model, hyperparameter or `monitor`; the folder holds a run, or another process trains in it.
        FloatingPointError: the loss or the validation metric is no longer finite.
        DataError: nothing to train on; on resume, the dataset is another one.
        RuntimeError: of several processes, another one is gone.
    """
    run = Path(run)
    begun = read_config(run) if resume and (run / "config.json").exists() else None  # None: it had not begun yet
    if begun is None:
        check_hyperparameters(model, hyperparameters or {})
        options = options_of(model, hyperparameters or {}, options, len(dataset.candidates))
    else:
        options = TrainingOptions(**begun.options)
    if is_helper(options.strategy):
        serve(read_cluster(), run)
        return load_run(run)
    workers = Workers(make_strategy(options.strategy, options.shard_bytes))
    run = run.absolute() if workers.has_servers else run  # others write there, wherever they were started
    with RunLock(run) as lock, workers.together():
        training = _Training(dataset, run, workers, callbacks, progress, lock)
        if not workers.is_chief:
            return training.follow()
        try:
            if (run / "config.json").exists():
                lock.take()
            if begun is not None:
                training.go_on(read_config(run))  # another process may have gone on meanwhile
            else:
                lock.check_new()
                check_monitor(options.monitor, callbacks)
                training.begin(new_config(dataset, model, hyperparameters, options, dataset_config, start_from))
        except BaseException:
            workers.agree([_FAILED])
            raise
        return training.execute()


class _Training:
    """One training from its config to its final weights; of several workers each has one."""

    def __init__(self, dataset, run, workers, callbacks, progress, lock):
        self.dataset: Dataset = dataset
        self.run: Path = run
        self.workers: Workers = workers
        self.callbacks = list(callbacks)
        self.progress = progress and workers.is_chief
        self.lock: RunLock = lock
        self.resume = False

    def begin(self, config: RunConfig) -> None:
        """Writes what a new run begins with, if nothing is wrong with it."""
        self._take(config)
        with self._numerics():
            self.statistics = compute_statistics(self.dataset)
            model = self._build()  # refuses wrong hyperparameters before anything is written
            check_encoder_options(model, self.options)
            check_optimizer(self.options, on_tpu(self.workers.strategy))
            if self.workers.has_servers:
                check_supported(self.config.model, model, self.options, self.callbacks)
            check_tpu_identifiers(model, self.workers.strategy)
            steps, size = self.options.accumulate_steps, self.options.batch_size
            check_accumulation(steps, size, self._parts[0], by_query=model.loss_name == "multinomial")
        self.lock.take()
        self.lock.check_new()  # somebody may have begun one meanwhile
        self.statistics.save(self.run / "statistics.json")
        write_config(self.run, config)

    def go_on(self, config: RunConfig) -> None:
        """Reads what a run was begun with.

        Raises:
            DataError: it was begun on other data.
        """
        self.resume = True
        if config.finished:
            self.config = config
            return
        if config.dataset_fingerprint != self.dataset.fingerprint:
            raise DataError(
                f"{self.run}: was begun on other data than {self.dataset.root}; resume with the dataset it names"
            )
        self._take(config)
        self.statistics = Statistics.load(self.run / "statistics.json")

    def _take(self, config: RunConfig) -> None:
        self.config, self.options = config, TrainingOptions(**config.options)
        with self._numerics():
            self.start = None if config.start_from is None else load_run(config.start_from).model  # as it is now

    def follow(self) -> Run:
        """What a worker does that is not the chief: it waits for the run to be begun, and takes part.

        Raises:
            UsageError: the chief could not begin, or its run is not to be seen from here.
        """
        told = int(self.workers.agree([0.0])[0])
        if told == _FAILED:
            raise UsageError("the first worker could not begin to train; its own message says why")
        if not (self.run / "config.json").exists():
            raise UsageError(
                f"{self.run}: the first worker has begun a run there, which cannot be seen from this one; "
                "name a folder on a file system that all workers share"
            )
        self.go_on(read_config(self.run))
        self.resume = told != _NEW
        return self._execute()

    def execute(self) -> Run:
        """Trains, from the beginning or from where it was stopped."""
        self.workers.agree([_FINISHED if self.config.finished else _RESUMED if self.resume else _NEW])
        return self._execute()

    def _execute(self) -> Run:
        if self.config.finished:
            return load_run(self.run)
        with self._numerics():
            return self._train()

    def _train(self) -> Run:
        fit_part, valid = self._parts
        state = read_state(self.run)
        prepared, build = (
            self._prepare(fit_part),
            lambda part: self._build(None if part is self.dataset.train else part),
        )
        own = self.run, self.options, prepared, self.workers, build
        fitting = Fitting(*own, start=self.start, callbacks=self.callbacks, progress=self.progress)
        if state.get("phase") != "refit":
            keeper, model = fitting.fit(
                "select", fit_part, valid, self.options.epochs, self.resume, keep_best=not self._refits
            )
            best = keeper.best_epoch
            row = next(row for row in keeper.rows if row["epoch"] == best)
            state = {
                "phase": "refit",
                "epochs": best,
                "validation": {name: value for name, value in row.items() if name.startswith("val_")},
                "rows": keeper.rows,
                "callbacks": plain_states(self.callbacks),
            }
            if self.workers.is_chief:
                write_text(self.run / "state.json", json.dumps(state))
        else:
            set_plain_states(self.callbacks, state["callbacks"])
        if self._refits:
            keeper, model = fitting.fit(
                "refit", self.dataset.train, None, state["epochs"], self.resume, keep_best=False
            )
            state["refit_rows"] = keeper.rows
        else:
            model = self._build()
            best = tf.train.Checkpoint(model=model).read(
                best_weights(self.run / "checkpoints" / "select", state["epochs"])
            )
            best.assert_existing_objects_matched().expect_partial()
        return self._finish(model, state)

    def _prepare(self, interactions: Interactions) -> Prepared:
        """The chief's first, then the others read what it has kept."""
        if not self.workers.is_chief:
            self.workers.wait()
        prepared = prepare(self._build(), self.dataset, self.config, interactions, self.run, self._show, self.start)
        if self.workers.is_chief:
            self.workers.wait()
        return prepared

    def _numerics(self):
        return numerics(self.options.seed, self.options.deterministic, self.options.mixed_precision)

    @property
    def _refits(self) -> bool:
        return self.options.refit and self.dataset.valid is None

    @cached_property
    def _parts(self) -> tuple[Interactions, Interactions]:
        if self.dataset.valid is not None:
            return self.dataset.train, self.dataset.valid
        return hold_out(self.dataset.train, self.options.validation_share, self.options.seed)

    def _build(self, part: Interactions | None = None) -> tf.keras.Model:
        tf.keras.utils.set_random_seed(self.options.seed)
        rated = part is not None and "rating_weight" in ZOO[self.config.model].hyperparameters
        model = build_model(self.config, self.statistics.with_biases_of(part) if rated else self.statistics)
        for name in model.candidate_tower.cached_features:
            model.candidate_tower.encoders[name].trainable = False
        return model

    @property
    def _show(self) -> Progress | None:
        if not self.progress:
            return None
        from tfmmrec.callbacks.stage_bar import StageBar

        self._stages = getattr(self, "_stages", None) or StageBar()
        return self._stages

    def _finish(self, model, state: dict) -> Run:
        """All workers write the weights, since all must read them; the chief's are the run's."""
        folder = self.run / "checkpoints"
        own = folder if self.workers.is_chief else folder / f"worker-{self.workers.index}"
        tf.train.Checkpoint(model=model).write(str(own / "final"))
        self.workers.wait()
        self.config = self.config.model_copy(
            update={"finished": True, "num_epochs": state["epochs"], "validation": state["validation"]}
        )
        if self.workers.is_chief:
            rows = [{"phase": "select", **row} for row in state["rows"]]
            rows += [{"phase": "refit", **row} for row in state.get("refit_rows", [])]
            write_rows(self.run / "history.csv", rows)
            write_config(self.run, self.config)
            for part in ("select", "refit", *(f"worker-{index}" for index in range(1, self.workers.number))):
                shutil.rmtree(folder / part, ignore_errors=True)
        self.workers.wait()
        return Run(self.run, self.config, self.statistics, model)
