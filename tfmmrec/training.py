"""Training a run: choose the epoch on validation data, then refit on all of train."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

import tfmmrec
from tfmmrec.callbacks.keeper import Keeper, best_weights, plain_states, set_plain_states
from tfmmrec.callbacks.mine_negatives import MineNegatives, mined_by
from tfmmrec.callbacks.progress_bar import ProgressBar
from tfmmrec.callbacks.refresh_history import RefreshHistory
from tfmmrec.callbacks.settle import settling
from tfmmrec.callbacks.validation import Validation
from tfmmrec.data.accumulated_batches import accumulated, check_accumulation
from tfmmrec.data.batches import BatchStream, InteractionBatches, Tables
from tfmmrec.data.dataset import Dataset, Interactions
from tfmmrec.data.query_batches import QueryBatches
from tfmmrec.data.splits import hold_out
from tfmmrec.data.statistics import Statistics, compute_statistics
from tfmmrec.embedding import Embedder, Progress
from tfmmrec.optimizers import check_encoder_options, make_optimizer
from tfmmrec.preparation import prepare
from tfmmrec.run_lock import RunLock
from tfmmrec.runs import (
    Run,
    RunConfig,
    build_model,
    history_length,
    load_run,
    read_config,
    read_state,
    write_config,
    write_rows,
    write_text,
)
from tfmmrec.strategies import make_strategy
from tfmmrec.training_options import TrainingOptions, check_monitor, options_of
from tfmmrec.transfer import transfer_weights
from tfmmrec.types import DataError
from tfmmrec.zoo import ZOO, check_hyperparameters

__all__ = ["TrainingOptions", "train"]


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
    """
    run = Path(run)
    with RunLock(run) as lock:
        if (run / "config.json").exists():
            lock.take()
        if resume and (run / "config.json").exists():  # else it was stopped before it had begun
            config = read_config(run)
            if config.finished:
                return load_run(run)
            if config.dataset_fingerprint != dataset.fingerprint:
                raise DataError(f"{run}: was begun on other data than {dataset.root}; resume with the dataset it names")
        else:
            resume = False
            lock.check_new()
            config = _new_config(dataset, model, hyperparameters, options, dataset_config, start_from)
            check_monitor(config.options["monitor"], callbacks)
        return _Training(dataset, run, config, callbacks, progress, resume, lock).execute()


def _new_config(dataset, model, hyperparameters, options, dataset_config, start_from) -> RunConfig:
    check_hyperparameters(model, own := hyperparameters or {})
    return RunConfig(
        run_id=uuid.uuid4().hex,
        version=tfmmrec.__version__,
        model=model,
        hyperparameters=own,
        options=options_of(model, own, options, len(dataset.candidates)).model_dump(),
        data_schema=dataset.schema,
        dataset=None if dataset.root is None else str(Path(dataset.root).resolve()),
        dataset_config=dataset_config,
        dataset_fingerprint=dataset.fingerprint,
        start_from=None if start_from is None else str(Path(start_from).resolve()),
    )


class _Training:
    """One training from its config to its final weights."""

    def __init__(self, dataset, run, config, callbacks, progress, resume, lock):
        self.dataset: Dataset = dataset
        self.run: Path = run
        self.config: RunConfig = config
        self.options = TrainingOptions(**config.options)
        self.callbacks = list(callbacks)
        self.progress = progress
        self.resume = resume
        self.lock: RunLock = lock

    def execute(self) -> Run:
        options = self.options
        tf.keras.utils.set_random_seed(options.seed)
        if options.deterministic:
            tf.config.experimental.enable_op_determinism()
        previous_policy = tf.keras.mixed_precision.global_policy()
        policy = {"none": "float32", "float16": "mixed_float16", "bfloat16": "mixed_bfloat16"}[options.mixed_precision]
        tf.keras.mixed_precision.set_global_policy(policy)
        try:
            return self._execute()
        finally:
            tf.keras.mixed_precision.set_global_policy(previous_policy)

    def _execute(self) -> Run:
        self.start = None if self.config.start_from is None else load_run(self.config.start_from).model  # as it is now
        fit_part, valid = self._validation_split()
        if not self.resume:
            self.statistics = compute_statistics(self.dataset)
            model = self._build()  # refuses wrong hyperparameters before anything is written
            check_encoder_options(model, self.options)
            steps, size = self.options.accumulate_steps, self.options.batch_size
            check_accumulation(steps, size, fit_part, by_query=model.loss_name == "multinomial")
            self.lock.take()
            self.lock.check_new()  # somebody may have begun one meanwhile
            self.statistics.save(self.run / "statistics.json")
            write_config(self.run, self.config)
        else:
            self.statistics = Statistics.load(self.run / "statistics.json")
        self.strategy = make_strategy(self.options.strategy)
        state = read_state(self.run)
        self.prepared = prepare(self._build(), self.dataset, self.config, fit_part, self.run, self._show, self.start)
        if state.get("phase") != "refit":
            keeper, model = self._fit("select", fit_part, valid, self.options.epochs)
            best = keeper.best_epoch
            row = next(row for row in keeper.rows if row["epoch"] == best)
            state = {
                "phase": "refit",
                "epochs": best,
                "validation": {name: value for name, value in row.items() if name.startswith("val_")},
                "rows": keeper.rows,
                "callbacks": plain_states(self.callbacks),
            }
            write_text(self.run / "state.json", json.dumps(state))
        else:
            set_plain_states(self.callbacks, state["callbacks"])
        if self._refits:
            keeper, model = self._fit("refit", self.dataset.train, None, state["epochs"])
            state["refit_rows"] = keeper.rows
        else:
            model = self._build()
            best = tf.train.Checkpoint(model=model).read(
                best_weights(self.run / "checkpoints" / "select", state["epochs"])
            )
            best.assert_existing_objects_matched().expect_partial()
        return self._finish(model, state)

    @property
    def _refits(self) -> bool:
        return self.options.refit and self.dataset.valid is None

    def _validation_split(self) -> tuple[Interactions, Interactions]:
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

    def _fit(self, phase: str, interactions: Interactions, valid: Interactions | None, epochs: int):
        options = self.options
        with self.strategy.scope():
            model = self._build(None if interactions is self.dataset.train else interactions)
            self.prepared.give(model)
            if self.start is not None:
                transfer_weights(self.start, model)
            stream = accumulated(self._stream(model, interactions), options.accumulate_steps)
            steps = options.steps_per_epoch or stream.steps_per_epoch
            model.compile(optimizer=make_optimizer(model, options, steps))
            model.optimizer.build(model.trainable_variables)
        if model.needs_catalogue:
            model.set_catalogue(self.prepared.candidate_tables)
        if model.needs_graph:
            model.set_graph(interactions)
        embedder = Embedder(
            model,
            self.prepared.query_tables,
            self.prepared.candidate_tables,
            model.num_candidates,
            history_length(model),
            options.seed,
        )
        monitor = options.monitor if valid is not None else None
        keeper = Keeper(
            self.run / "checkpoints" / phase,
            monitor=monitor,
            patience=options.patience if monitor else None,
            others=self.callbacks,
            save_seconds=options.save_seconds,
            keep_best=valid is not None and not self._refits,
        )
        if not self.resume:
            shutil.rmtree(self.run / "checkpoints" / phase, ignore_errors=True)
        first = keeper.attach(model, resume=self.resume)
        callbacks = [RefreshHistory(embedder, options.refresh_steps)] if model.history_table is not None else []
        if mined_by(model) is not None:
            callbacks.append(MineNegatives(embedder, interactions, options.mine_every))
        callbacks += settling(model, embedder, interactions)
        if valid is not None:
            callbacks.append(Validation(embedder, interactions, valid, every=options.validate_every))
        if options.tensorboard:
            callbacks.append(tf.keras.callbacks.TensorBoard(self.run / "tensorboard" / phase))
        callbacks += [*self.callbacks, keeper]
        if self.progress:
            title = {"select": "choosing the epoch", "refit": "refit on all of train"}[phase]
            callbacks.append(ProgressBar(title, stream.batch_size, epochs * steps, first * steps))
        if first < epochs and not keeper.finished:
            model.fit(
                stream.dataset(first * steps),
                initial_epoch=first,
                epochs=epochs,
                steps_per_epoch=steps,
                callbacks=callbacks,
                verbose=0,
            )
        return keeper, model

    def _stream(self, model, interactions: Interactions) -> BatchStream:
        options = self.options
        length = 0 if model.needs_graph else history_length(model)  # a graph model's histories are in its graph
        if model.loss_name == "multinomial":
            return QueryBatches(interactions, self.prepared.query_tables, options.batch_size, length, seed=options.seed)
        tables: Tables = {} if model.needs_catalogue else self.prepared.candidate_tables
        return InteractionBatches(
            interactions,
            self.prepared.query_tables,
            tables,
            options.batch_size,
            length,
            seed=options.seed,
            num_groups=self.strategy.num_replicas_in_sync,
        )

    def _finish(self, model, state: dict) -> Run:
        tf.train.Checkpoint(model=model).write(str(self.run / "checkpoints" / "final"))
        rows = [{"phase": "select", **row} for row in state["rows"]]
        rows += [{"phase": "refit", **row} for row in state.get("refit_rows", [])]
        write_rows(self.run / "history.csv", rows)
        self.config = self.config.model_copy(
            update={"finished": True, "num_epochs": state["epochs"], "validation": state["validation"]}
        )
        write_config(self.run, self.config)
        for phase in ("select", "refit"):
            shutil.rmtree(self.run / "checkpoints" / phase, ignore_errors=True)
        return Run(self.run, self.config, self.statistics, model)
