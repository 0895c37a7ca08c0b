"""The training step that every model shares."""

from __future__ import annotations

import tensorflow as tf
import tensorflow_recommenders as tfrs

from tfmmrec.models.finetuned import check_finetuned
from tfmmrec.models.gradient_sums import divided, summed, tensors_of, whole_gradient, whole_rows
from tfmmrec.types import DataError, UsageError


class Trainable(tfrs.Model):
    """A `tfrs.Model` whose step is right under `tf.distribute` and mixed precision.

    `compute_loss` returns this replica's share: the shares of all replicas add up to the mean over the global batch.
    TFRS's own step adds `self.losses` once per replica and never scales the loss under float16. Here a
    regularisation loss counts once, gradients are summed over the replicas, and then clipped and decayed by the
    optimizer (its `global_clipnorm` and `weight_decay`), so that N replicas take the step of one. An embedding's
    gradient comes in parts, several of which may be of one row; Keras takes the norm of the parts when it clips, here
    it is the norm of their sum.

    Of a tuple of batches a step takes the mean gradient, one batch after the other, and updates the weights once:
    gradient accumulation, see `AccumulatedBatches`. It has the memory of one batch's activations, and nothing is left
    over between steps. A batch's negatives, and whatever else a loss compares within a batch, remain its own; parts
    with an optimizer of their own (alternating alignments) move in every batch.
    """

    kind = "retrieval"
    needs_graph = False  # whether training begins with `set_graph` and tables are kept with `materialize`
    settles = False  # whether it is trained beside a `Settle`
    whole_gradients = False  # whether tables have gradients of their own shape, as a TPU wants them, and not by rows

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.loss_tracker = tf.keras.metrics.Mean(name="loss")
        self.regularization_tracker = tf.keras.metrics.Mean(name="regularization")

    @property
    def metrics(self):
        return [self.loss_tracker, self.regularization_tracker]

    def fit(self, *args, **kwargs):
        """As Keras has it; a `UsageError` or `DataError` inside of a step comes out as it is.

        Raises:
            UsageError: an encoder that is to be finetuned gets no gradient.
        """
        try:
            return super().fit(*args, **kwargs)
        except Exception as error:  # what a graph's making raises is wrapped, with the first error as its context
            inner = error
            while inner is not None and not isinstance(inner, UsageError | DataError):
                inner = inner.__context__
            if inner is None or inner is error:
                raise
            raise inner from None

    def compute_loss(self, inputs: dict, training: bool = False) -> tf.Tensor:
        """A batch -> this replica's share of the mean loss over the global batch, scalar."""
        raise NotImplementedError(f"{type(self).__name__} has no compute_loss")

    def share_of_mean(
        self, losses: tf.Tensor, weight: tf.Tensor | None = None, num_counted: tf.Tensor | None = None
    ) -> tf.Tensor:
        """This replica's share of the weighted mean over the global batch, scalar.

        Args:
            losses: `[batch]`.
            weight: `[batch]`; ones when None.
            num_counted: scalar, what this replica adds to the mean's denominator; the sum of its weights when None.
        """
        weight = tf.ones_like(losses) if weight is None else tf.cast(weight, losses.dtype)
        total = tf.reduce_sum(weight) if num_counted is None else num_counted
        total = tf.distribute.get_replica_context().all_reduce("sum", total)
        return tf.reduce_sum(losses * weight) / tf.maximum(total, 1e-6)

    def train_step(self, inputs: dict | tuple[dict, ...]) -> dict[str, tf.Tensor]:
        batches = inputs if isinstance(inputs, tuple) else (inputs,)
        gradients, report = self._gradients(batches[0])
        for batch in batches[1:]:
            with tf.control_dependencies(tensors_of(gradients)):  # or all would be computed, and kept, at once
                more, report = self._gradients(batch)
                gradients = summed(gradients, more)
        variables = self.trainable_variables
        check_finetuned(self, variables, gradients)
        self._apply(gradients if len(batches) == 1 else divided(gradients, len(batches)), variables)
        return report

    def _gradients(self, inputs: dict) -> tuple[list, dict[str, tf.Tensor]]:
        """A batch -> the gradients of this replica's share for all trainable variables, and the metrics so far."""
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        with tf.GradientTape() as tape:
            loss = self.compute_loss(inputs, training=True)
            regularization = tf.add_n([tf.cast(term, tf.float32) for term in self.losses] or [tf.constant(0.0)])
            total = loss + regularization / replicas
            scaled = self.optimizer.get_scaled_loss(total) if self._scales_loss else total
        gradients = tape.gradient(scaled, self.trainable_variables)
        if self._scales_loss:
            gradients = self.optimizer.get_unscaled_gradients(gradients)
        if self.whole_gradients:
            gradients = [whole_gradient(gradient) for gradient in gradients]
        return gradients, self._report(loss * replicas, regularization)

    def _apply(self, gradients: list, variables: list) -> None:
        optimizer = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        pairs = list(zip(gradients, variables, strict=True))
        if (optimizer.clipnorm or optimizer.global_clipnorm) and hasattr(optimizer, "aggregate_gradients"):
            pairs = [(whole_rows(gradient), variable) for gradient, variable in optimizer.aggregate_gradients(pairs)]
            self.optimizer.apply_gradients(pairs, skip_gradients_aggregation=True)
        else:
            self.optimizer.apply_gradients(pairs)

    def test_step(self, inputs: dict) -> dict[str, tf.Tensor]:
        loss = self.compute_loss(inputs, training=False)
        regularization = tf.add_n([tf.cast(term, tf.float32) for term in self.losses] or [tf.constant(0.0)])
        return self._report(loss * tf.distribute.get_strategy().num_replicas_in_sync, regularization)

    @property
    def _scales_loss(self) -> bool:
        return isinstance(self.optimizer, tf.keras.mixed_precision.LossScaleOptimizer)

    def _report(self, loss: tf.Tensor, regularization: tf.Tensor) -> dict[str, tf.Tensor]:
        self.loss_tracker.update_state(loss)
        self.regularization_tracker.update_state(regularization)
        return {metric.name: metric.result() for metric in self.metrics}
