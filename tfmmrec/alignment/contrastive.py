"""Contrastive alignment: a candidate's modalities find each other among those of other candidates."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import tensorflow as tf

from tfmmrec.alignment.projected import ProjectedAlignment
from tfmmrec.randomness import RandomDraws
from tfmmrec.types import UsageError

_LOWEST = -1e9  # finite, so that no gradient becomes NaN


@tf.keras.utils.register_keras_serializable("tfmmrec")
class ContrastiveAlignment(ProjectedAlignment):
    """Symmetric InfoNCE between every two modalities of the same candidate (CLIP, Radford et al. 2021).

    With u_m = P_m x_m / ‖P_m x_m‖ and the rows i that have both m and g:
    L_mg = −½ mean_i [log softmax_j(⟨u_im, u_jg⟩ / τ)_i + log softmax_j(⟨u_jm, u_ig⟩ / τ)_i], and the loss is the mean
    over the pairs (m, g). A pair that fewer than two rows have adds nothing.

    Args:
        dim: size of every P_m x_m.
        temperature: τ.
        max_rows: of more rows than this a random part is taken in each step, since the products are rows × rows.
        replace: the fusion gets P_m x_m in place of x_m.
        weight: of the loss.
        exclude: modalities that do not take part.
        seed: of the random part; drawn when None.

    Raises:
        UsageError: a size below 1, a temperature that is not positive, fewer than two rows, a negative weight, or fewer
            than two modalities that take part.
    """

    def __init__(
        self,
        dim: int,
        temperature: float = 0.1,
        max_rows: int = 512,
        replace: bool = False,
        weight: float = 0.1,
        exclude: Sequence[str] = ("id",),
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(dim, replace, weight, exclude, **kwargs)
        if not temperature > 0.0:
            raise UsageError(f"contrastive alignment's temperature must be positive, got {temperature}")
        if max_rows < 2:
            raise UsageError(f"contrastive alignment needs max_rows of at least 2, got {max_rows}")
        self.temperature = temperature
        self.max_rows = max_rows
        self.draws = RandomDraws(seed, name="draws")

    def alignment_loss(self, projected: tf.Tensor, given: tf.Tensor) -> tf.Tensor:
        projected, given = self._some_rows(projected, given)
        unit = tf.math.l2_normalize(tf.cast(projected, tf.float32), axis=2, epsilon=1e-6)
        pairs = list(combinations(range(len(self.kernels)), 2))
        losses = [symmetric_info_nce(*self._pair(unit, given, *pair)) for pair in pairs]
        return tf.add_n(losses) / len(pairs)

    def _pair(self, unit, given, first, second):
        logits = tf.matmul(unit[:, first], unit[:, second], transpose_b=True) / self.temperature
        return logits, given[:, first] & given[:, second]

    def _some_rows(self, projected: tf.Tensor, given: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        batch = projected.shape[0]
        if batch is not None and batch <= self.max_rows:
            return projected, given
        # the same on every replica, since all of them look at the same rows
        draws = tf.random.stateless_uniform(tf.shape(given)[:1], self.draws.next_seed(shared=True))
        useful = tf.reduce_sum(tf.cast(given, tf.int32), axis=1) >= 2
        draws = tf.where(useful, draws, draws - 1.0)
        rows = tf.math.top_k(draws, tf.minimum(self.max_rows, tf.shape(given)[0])).indices
        return tf.gather(projected, rows), tf.gather(given, rows)

    def get_config(self):
        return super().get_config() | {
            "temperature": self.temperature,
            "max_rows": self.max_rows,
            "seed": self.draws.seed,
        }


def symmetric_info_nce(logits: tf.Tensor, both: tf.Tensor) -> tf.Tensor:
    """−½ mean_i [log softmax(row i)_i + log softmax(column i)_i] over the rows and columns i that have both.

    Args:
        logits: float32 `[batch, batch]`.
        both: bool `[batch]`.

    Returns:
        A scalar; 0 where fewer than two have both, since one alone has nothing to be told from.
    """
    labels = tf.range(tf.shape(both)[0])
    directions = [tf.where(both[None, :], matrix, _LOWEST) for matrix in (logits, tf.transpose(logits))]
    losses = tf.add_n([tf.nn.sparse_softmax_cross_entropy_with_logits(labels, matrix) for matrix in directions])
    number = tf.reduce_sum(tf.cast(both, tf.float32))
    return 0.5 * tf.reduce_sum(tf.where(both, losses, 0.0)) / tf.maximum(number, 1.0)
