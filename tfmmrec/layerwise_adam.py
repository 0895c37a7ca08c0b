"""AdamW whose learning rate may differ from variable to variable: what fine-tuning asks for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import tensorflow as tf

from tfmmrec.types import UsageError


@dataclass(frozen=True)
class Layer:
    """Variables that are trained at a rate of their own.

    Attributes:
        variables: of one layer of an encoder.
        factor: the learning rate is so many times the optimizer's.
        first_step: before it they stay as they are.
    """

    variables: Sequence[tf.Variable]
    factor: float
    first_step: int = 0


def finetuned_layers(
    layers: Sequence[Sequence[tf.Variable]],
    factor: float,
    layer_decay: float = 1.0,
    num_trained: int | None = None,
    unfreeze_steps: int = 0,
) -> list[Layer]:
    """The layers of a pretrained encoder as they are fine-tuned (Howard & Ruder 2018, "Universal Language Model
    Fine-tuning": discriminative rates and gradual unfreezing; Clark et al. 2020, ELECTRA: one decay for all layers).

    Args:
        layers: their variables, the first of them nearest to the input.
        factor: of the last one.
        layer_decay: each layer's rate is so many times that of the one behind it, in (0, 1].
        num_trained: only so many of the last ones are trained; all when None.
        unfreeze_steps: the last one is trained from the first step on, each one before it so many steps later.

    Raises:
        UsageError: a number out of range.
    """
    if (
        not factor > 0
        or not 0 < layer_decay <= 1
        or unfreeze_steps < 0
        or (num_trained is not None and num_trained < 1)
    ):
        raise UsageError(
            f"factor must be positive, layer_decay in (0, 1], num_trained at least 1 and unfreeze_steps 0 or more, got "
            f"{factor}, {layer_decay}, {num_trained} and {unfreeze_steps}"
        )
    found = []
    for depth, variables in enumerate(reversed(layers)):
        kept = num_trained is None or depth < num_trained
        found.append(Layer(variables, factor * layer_decay**depth if kept else 0.0, depth * unfreeze_steps))
    return found[::-1]


@tf.keras.utils.register_keras_serializable("tfmmrec")
class LayerwiseAdam(tf.keras.optimizers.Adam):
    """Adam, with `weight_decay` AdamW (Loshchilov & Hutter 2019), and layers with rates of their own.

    Gradients are scaled away by Adam, so that a layer's rate is not to be had by scaling its gradient. A layer that is
    still frozen gathers its moments meanwhile.

    Adam moves every row of a table in every step, whether the batch has it or not: time that grows with the table.
    With `lazy` only the rows that the gradient has are moved, decayed, and have their moments updated, as LazyAdam of
    TensorFlow Addons does it. What is not in the gradient of a table keeps its momentum until it comes again.

    Args:
        learning_rate: a number or a schedule.
        layers: see `Layer`; a variable that is in none of them has factor 1. Not part of the config.
        lazy: of a table whose gradient is sparse, update its rows alone.
        **options: of Adam.
    """

    def __init__(
        self,
        learning_rate=0.001,
        layers: Sequence[Layer] = (),
        lazy: bool = False,
        name: str = "LayerwiseAdam",
        **options,
    ):
        self._factor = None
        self._layers = list(layers)
        self.lazy = lazy
        self._tables: set = set()
        super().__init__(learning_rate, name=name, **options)
        # the same key for a variable and for its copy on a replica, which is what an update gets
        self._layer_of = {self._var_key(v): place for place, layer in enumerate(layers) for v in layer.variables}

    @property
    def learning_rate(self):
        """The rate at this step; inside of an update the layer's own."""
        rate = super().learning_rate
        return rate if self._factor is None else rate * tf.cast(self._factor, rate.dtype)

    @learning_rate.setter
    def learning_rate(self, value):
        tf.keras.optimizers.Adam.learning_rate.fset(self, value)

    def apply_gradients(self, grads_and_vars, *args, **kwargs):
        """Keras' own; a lazy one learns here which variables are tables."""
        pairs = list(grads_and_vars)
        if self.lazy:
            self._tables = {self._var_key(v) for gradient, v in pairs if isinstance(gradient, tf.IndexedSlices)}
        return super().apply_gradients(pairs, *args, **kwargs)

    def update_step(self, gradient, variable):
        """Adam's, at the variable's own rate."""
        with self._at_rate_of(self._layer_of.get(self._var_key(variable))):
            if self.lazy and isinstance(gradient, tf.IndexedSlices):
                self._update_rows(gradient, variable)
            else:
                super().update_step(gradient, variable)

    def _update_rows(self, gradient: tf.IndexedSlices, variable: tf.Variable) -> None:
        """One row of the gradient for each row of the table that it is of; Keras has summed those of the same."""
        rows, values = gradient.indices, gradient.values
        place = self._index_dict[self._var_key(variable)]
        first, second = self._momentums[place], self._velocities[place]
        rate, step = tf.cast(self.learning_rate, values.dtype), tf.cast(self.iterations + 1, values.dtype)
        m = self.beta_1 * tf.gather(first, rows) + (1.0 - self.beta_1) * values
        v = self.beta_2 * tf.gather(second, rows) + (1.0 - self.beta_2) * tf.square(values)
        change = rate * tf.sqrt(1.0 - self.beta_2**step) / (1.0 - self.beta_1**step) * m / (tf.sqrt(v) + self.epsilon)
        if self.weight_decay and self._use_weight_decay(variable):
            change += rate * self.weight_decay * tf.gather(variable, rows)
        first.scatter_update(tf.IndexedSlices(m, rows))
        second.scatter_update(tf.IndexedSlices(v, rows))
        variable.scatter_sub(tf.IndexedSlices(change, rows))

    def get_config(self):
        return super().get_config() | {"lazy": self.lazy}

    def _apply_weight_decay(self, variables):
        groups: dict[int | None, list] = {}
        for variable in (one for one in variables if self._var_key(one) not in self._tables):
            groups.setdefault(self._layer_of.get(self._var_key(variable)), []).append(variable)
        for place, group in groups.items():
            with self._at_rate_of(place):
                super()._apply_weight_decay(group)

    @contextlib.contextmanager
    def _at_rate_of(self, place: int | None) -> Iterator[None]:
        if place is not None:
            layer = self._layers[place]
            self._factor = tf.where(self.iterations >= layer.first_step, layer.factor, 0.0)
        try:
            yield
        finally:
            self._factor = None


@tf.keras.utils.register_keras_serializable("tfmmrec")
class Warmup(tf.keras.optimizers.schedules.LearningRateSchedule):
    """The rate rises linearly over the first steps, then it is another's (Goyal et al. 2017).

    Args:
        rate: a number, or a schedule.
        num_steps: at step n < num_steps the rate is (n + 1) / num_steps of it.
    """

    def __init__(self, rate, num_steps: int):
        super().__init__()
        if num_steps < 1:
            raise UsageError(f"num_steps of a warmup must be at least 1, got {num_steps}")
        self.rate = rate
        self.num_steps = num_steps

    def __call__(self, step):
        rate = self.rate(step) if callable(self.rate) else tf.constant(self.rate, tf.float32)
        done = (tf.cast(step, tf.float32) + 1.0) / self.num_steps
        return tf.cast(rate, tf.float32) * tf.minimum(done, 1.0)

    def get_config(self):
        rate = tf.keras.optimizers.schedules.serialize(self.rate) if callable(self.rate) else self.rate
        return {"rate": rate, "num_steps": self.num_steps}

    @classmethod
    def from_config(cls, config):
        if isinstance(config["rate"], dict):
            config = config | {"rate": tf.keras.optimizers.schedules.deserialize(config["rate"])}
        return cls(**config)
