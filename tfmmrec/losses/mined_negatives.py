"""Negatives that a model takes for what it looks for."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmmrec.memory import check_memory
from tfmmrec.randomness import RandomDraws
from tfmmrec.types import UsageError


class MinedNegatives(tf.Module):
    """Draws some of each query's hardest candidates, others in every training step (ANCE, Xiong et al. 2021).

    The hardest stand in a table that is filled from outside of the step, with the model as it is then. It is kept with
    the weights, as are the draws: a checkpoint remembers both. A query without any there has no negatives. The table
    takes 8 bytes for each of `num_queries` · `depth`; the need is stated in the log before it is allocated.

    Args:
        num_queries: how many queries there are.
        depth: how many candidates are kept for each of them.
        num_drawn: how many of those a row has in a step, all different.
        seed: of the draws, see `RandomDraws`.

    Raises:
        UsageError: numbers out of range, or too little memory.
    """

    log_inclusion = None  # there is no chance that would correct for what the model chose itself

    def __init__(self, num_queries: int, depth: int = 100, num_drawn: int = 8, seed: int | None = None):
        super().__init__(name="mined_negatives")
        if not 1 <= num_drawn <= depth:
            raise UsageError(
                f"num_mined must be at least 1 and no more than mined_depth, among which they are drawn; got "
                f"num_mined={num_drawn} and mined_depth={depth}"
            )
        check_memory(
            f"the table of {num_queries:,} queries' hardest", 8 * num_queries * depth, None, "lower mined_depth"
        )
        self.depth = depth
        self.num_drawn = num_drawn
        # int64, which accelerators gather too
        self.table = tf.Variable(
            tf.fill([num_queries, depth], tf.constant(-1, tf.int64)), trainable=False, name="mined"
        )
        self.draws = RandomDraws(seed, name="draws")

    def assign(self, rows: np.ndarray) -> None:
        """Takes the hardest candidates of all queries, int `[num_queries, depth]`, -1 padded."""
        self.table.assign(np.asarray(rows, np.int64))

    def __call__(self, training: bool = False, query_rows: tf.Tensor | None = None) -> tuple[tf.Tensor, None]:
        """Draws for a batch; always the same for a test.

        Args:
            training: the next draw of the stream.
            query_rows: int32 `[batch]`, each row's query.

        Returns:
            Rows int32 `[batch * num_drawn]`, one row's behind another's, -1 where a query has no more; and None, for
            they are not corrected.

        Raises:
            UsageError: no `query_rows`.
        """
        if query_rows is None:
            raise UsageError("mined negatives are each query's own: give the batches query_rows, int32 [batch]")
        hardest = tf.cast(tf.gather(self.table, query_rows), tf.int32)  # [batch, depth]
        seed = self.draws.next_seed(shared=True) if training else tf.constant([self.draws.seed, -1], tf.int64)
        context = tf.distribute.get_replica_context()
        batch = tf.shape(hardest)[0]
        # by the row's place in the global batch, so that N replicas draw as one
        keys = tf.random.stateless_uniform([context.num_replicas_in_sync * batch, self.depth], seed)
        first = context.replica_id_in_sync_group * batch
        keys = tf.where(hardest >= 0, keys[first : first + batch], -1.0)
        places = tf.math.top_k(keys, self.num_drawn).indices  # [batch, num_drawn]
        return tf.reshape(tf.gather(hardest, places, batch_dims=1), [-1]), None
