"""One phase of a training: a model fitted to interactions under a strategy, kept and validated as it goes."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from tfmmrec.callbacks.by_epoch import ProgressByEpoch, RefreshByEpoch
from tfmmrec.callbacks.keeper import Keeper
from tfmmrec.callbacks.mine_negatives import MineNegatives, mined_by
from tfmmrec.callbacks.progress_bar import ProgressBar
from tfmmrec.callbacks.refresh_history import RefreshHistory
from tfmmrec.callbacks.settle import settling
from tfmmrec.callbacks.validation import Validation
from tfmmrec.data.accumulated_batches import accumulated
from tfmmrec.data.batches import BatchStream, InteractionBatches, Tables
from tfmmrec.data.interactions import Interactions
from tfmmrec.data.query_batches import QueryBatches
from tfmmrec.data.remote_batches import RemoteBatches
from tfmmrec.embedding import Embedder
from tfmmrec.optimizers import make_optimizer
from tfmmrec.parameter_servers.placement import write_placement
from tfmmrec.parameter_servers.plain_weights import begin_with, plain_copy
from tfmmrec.preparation import Prepared
from tfmmrec.runs import history_length
from tfmmrec.static_shapes import check_static_shapes
from tfmmrec.strategies import on_tpu
from tfmmrec.training_options import TrainingOptions
from tfmmrec.transfer import transfer_weights
from tfmmrec.workers import Workers

TITLES = {"select": "choosing the epoch", "refit": "refit on all of train"}


@dataclass
class Fitting:
    """What the phases of a training share.

    Attributes:
        run: its folder.
        options: of the training.
        prepared: what was computed before it.
        workers: the processes that train together, and their strategy.
        build: makes the model, for the interactions that it is fitted to.
        start: the model that it begins with, if any.
        callbacks: the user's.
        progress: whether a bar is shown.
    """

    run: Path
    options: TrainingOptions
    prepared: Prepared
    workers: Workers
    build: Callable[[Interactions], tf.keras.Model]
    start: tf.keras.Model | None = None
    callbacks: Sequence[tf.keras.callbacks.Callback] = ()
    progress: bool = True

    def fit(
        self,
        phase: str,
        interactions: Interactions,
        valid: Interactions | None,
        epochs: int,
        resume: bool,
        keep_best: bool,
    ) -> tuple[Keeper, tf.keras.Model]:
        """One phase, from its first epoch or where it was stopped.

        Args:
            phase: select or refit.
            interactions: what is trained on.
            valid: what is validated on after an epoch, and stops the fit; None for neither.
            epochs: at most so many.
            resume: go on from the phase's newest checkpoint.
            keep_best: also keep the weights of the best epoch.

        Returns:
            What was kept, and the model with the weights of the last epoch, in this process.

        Raises:
            UsageError: on a TPU, a model that cannot be trained there.
        """
        options, tpu = self.options, on_tpu(self.workers.strategy)
        if tpu:
            self._check_static_shapes(interactions)
        model = self._built(interactions)
        with self.workers.strategy.scope():
            stream = accumulated(self._stream(model, interactions), options.accumulate_steps)
            steps = options.steps_per_epoch or stream.steps_per_epoch
            model.compile(optimizer=make_optimizer(model, options, steps))
            model.optimizer.build(model.trainable_variables)
            model.whole_gradients = tpu
        if self.workers.has_servers:
            write_placement(model, self.run)
        self._complete(model, interactions)
        monitor = options.monitor if valid is not None else None
        keeper = Keeper(
            self.run / "checkpoints" / phase,
            monitor=monitor,
            patience=options.patience if monitor else None,
            others=self.callbacks,
            save_seconds=options.save_seconds,
            keep_best=keep_best,
            workers=self.workers,
        )
        if not resume and self.workers.is_chief:
            shutil.rmtree(self.run / "checkpoints" / phase, ignore_errors=True)
        first = keeper.attach(model, resume=resume)
        callbacks = [*self._own_callbacks(model, phase, interactions, valid), *self.callbacks, keeper]
        if self._shows:
            bar = ProgressBar(TITLES[phase], stream.batch_size, epochs * steps, first * steps)
            callbacks.append(ProgressByEpoch(bar, steps) if self.workers.has_servers else bar)
        if first < epochs and not keeper.finished:
            model.fit(
                self._batches(stream, first * steps),
                initial_epoch=first,
                epochs=epochs,
                steps_per_epoch=steps,
                callbacks=callbacks,
                verbose=0,
            )
        if self.workers.has_servers:
            shutil.rmtree(self._folder("batches"), ignore_errors=True)
            model = plain_copy(model, lambda: self.build(interactions), self._folder("end"))
        return keeper, model

    def _complete(self, model, interactions: Interactions) -> None:
        if model.needs_catalogue:
            model.set_catalogue(self.prepared.candidate_tables)
        if model.needs_graph:
            model.set_graph(interactions)

    def _check_static_shapes(self, interactions: Interactions) -> None:
        """Traces a step of a model of its own, on the host, before the TPU is asked for anything."""
        model = self.build(interactions)
        self.prepared.give(model)
        self._complete(model, interactions)
        check_static_shapes(model, self._stream(model, interactions).batch(0))

    def _built(self, interactions: Interactions) -> tf.keras.Model:
        """The model with what it begins with; of parameter servers it is put together here, and then theirs."""
        with contextlib.nullcontext() if self.workers.has_servers else self.workers.strategy.scope():
            model = self.build(interactions)
            self.prepared.give(model)
            if self.start is not None:
                transfer_weights(self.start, model)
        if not self.workers.has_servers:
            return model
        plain = model
        with self.workers.strategy.scope():
            model = self.build(interactions)
        begin_with(plain, model, self._folder("begin"))
        return model

    def _folder(self, name: str) -> Path:
        return self.run / "checkpoints" / name

    @property
    def _shows(self) -> bool:
        return self.progress and self.workers.is_chief

    def _own_callbacks(self, model, phase: str, interactions: Interactions, valid: Interactions | None) -> list:
        options = self.options
        embedder = Embedder(
            model,
            self.prepared.query_tables,
            self.prepared.candidate_tables,
            model.num_candidates,
            history_length(model),
            options.seed,
        )
        refresh = RefreshHistory(embedder, options.refresh_steps)
        refresh = RefreshByEpoch(refresh) if self.workers.has_servers else refresh
        callbacks = [refresh] if model.history_table is not None else []
        if mined_by(model) is not None:
            callbacks.append(MineNegatives(embedder, interactions, options.mine_every))
        callbacks += settling(model, embedder, interactions)
        if valid is not None:
            callbacks.append(Validation(embedder, interactions, valid, every=options.validate_every))
        if options.tensorboard and self.workers.is_chief:
            callbacks.append(tf.keras.callbacks.TensorBoard(self.run / "tensorboard" / phase))
        return callbacks

    def _stream(self, model, interactions: Interactions) -> BatchStream:
        options, queries = self.options, self.prepared.query_tables
        length = 0 if model.needs_graph else history_length(model)  # a graph model's histories are in its graph
        own = {"seed": options.seed, "num_groups": self.workers.strategy.num_replicas_in_sync}
        if model.loss_name == "multinomial":
            return QueryBatches(interactions, queries, options.batch_size, length, **own)
        tables: Tables = {} if model.needs_catalogue else self.prepared.candidate_tables
        return InteractionBatches(interactions, queries, tables, options.batch_size, length, **own)

    def _batches(self, stream: BatchStream, first_step: int):
        """What `fit` reads: the global batches, or of several workers the distributed dataset of their shares."""
        workers = self.workers
        if workers.has_servers:
            remote = RemoteBatches(stream, self._folder("batches"))
            remote.write()
            own = tf.distribute.coordinator.experimental_get_current_worker_index
            return tf.keras.utils.experimental.DatasetCreator(
                lambda context: remote.dataset(first_step, own(), workers.num_helpers)
            )
        if workers.number == 1:
            return stream.dataset(first_step)
        return workers.strategy.distribute_datasets_from_function(
            lambda context: stream.worker_dataset(first_step, context.input_pipeline_id, workers.number)
        )
