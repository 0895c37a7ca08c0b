"""The processes that train one model together: which of them this is, and how they agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import tensorflow as tf

from tfmmrec.cluster import num_workers, read_cluster, worker_index_of


class Workers:
    """The workers of a strategy; with any other strategy than multiworker, this process alone.

    So is the chief of parameter servers: it alone runs Python, and tells the others what to compute.

    All of them call `agree`, `wait` and `synchronise` at the same places, or those that do wait for ever (as long as
    the others live: TensorFlow's coordination service ends a worker that lost another one).

    Args:
        strategy: of the training.

    Attributes:
        number: how many there are.
        index: of this one, from 0; the first is the chief, which alone writes the run.
        has_servers: whether the model lies on parameter servers.
        num_helpers: workers that take steps for this one, beside parameter servers; else 0.
    """

    def __init__(self, strategy: tf.distribute.Strategy):
        self.strategy = strategy
        self.number, self.index, self.num_helpers = 1, 0, 0
        self.has_servers = isinstance(strategy, tf.distribute.ParameterServerStrategy)
        if self.has_servers:
            self.num_helpers = len(read_cluster()["cluster"]["worker"])
        if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            cluster = read_cluster()
            self.number, self.index = max(num_workers(cluster), 1), worker_index_of(cluster)
        self._chosen = tf.function(self._of_the_chief, reduce_retracing=True)

    @property
    def is_chief(self) -> bool:
        """Whether this is the one that writes."""
        return self.index == 0

    @contextmanager
    def together(self) -> Iterator[None]:
        """What all do; where one is lost meanwhile, the others are told what to do.

        Raises:
            RuntimeError: another worker, or a parameter server, is gone.
        """
        try:
            yield
        except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError) as error:
            if self.has_servers:
                raise RuntimeError(
                    "a parameter server is gone, and a part of the model with it: start all processes again, with "
                    f"--resume (resume=True). TensorFlow says: {_said(error)}"
                ) from error
            if self.number == 1:
                raise
            raise RuntimeError(
                "another worker is gone, so this one ends too: see what it said last, then start all of them again, "
                f"with --resume (resume=True). TensorFlow says: {_said(error)}"
            ) from error

    def agree(self, values: Sequence[float] | np.ndarray) -> np.ndarray:
        """The chief's numbers on every worker, float64 of the same shape."""
        values = np.asarray(values, np.float64)
        return values if self.number == 1 else self._chief_s([tf.constant(values)])[0].numpy()

    def wait(self) -> None:
        """Until all workers have come here."""
        self.agree([0.0])

    def synchronise(self, variables: Sequence[tf.Variable]) -> None:
        """Gives variables of numbers the chief's values on every worker."""
        if self.number == 1:
            return
        numbers = [variable for variable in variables if variable.dtype.is_floating or variable.dtype.is_integer]
        for variable, value in zip(numbers, self._chief_s([_local(variable) for variable in numbers]), strict=True):
            variable.assign(value)

    def _chief_s(self, values: list[tf.Tensor]) -> list[tf.Tensor]:
        found = self.strategy.run(self._chosen, (values,))
        return [self.strategy.experimental_local_results(value)[0] for value in found]

    def _of_the_chief(self, values: list[tf.Tensor]) -> list[tf.Tensor]:
        context = tf.distribute.get_replica_context()
        is_first = context.replica_id_in_sync_group == 0
        return [context.all_reduce("sum", tf.where(is_first, value, tf.zeros_like(value))) for value in values]


def _said(error: tf.errors.OpError) -> str:
    """The line of an error's message that says what has happened, and not where."""
    lines = [line.strip() for line in (error.message or "").splitlines() if line.strip()]
    where = "Graph execution error", "Detected at node", "File ", "[[", "Original stack trace"
    return next((line for line in lines if not line.startswith(where)), lines[0] if lines else type(error).__name__)


def _local(variable: tf.Variable) -> tf.Tensor:
    return tf.convert_to_tensor(variable)
