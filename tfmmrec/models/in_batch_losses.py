"""Losses of interactions against negatives: a batch's own candidates, drawn ones, or both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tfmmrec.losses.bpr import bpr
from tfmmrec.losses.full_softmax import full_softmax
from tfmmrec.losses.hinge import hinge
from tfmmrec.losses.negative_masks import hard_negatives, known_positives
from tfmmrec.losses.negatives import first_occurrences, unique_across_replicas
from tfmmrec.losses.sampled_softmax import sampled_softmax
from tfmmrec.losses.sampling import log_union_probability
from tfmmrec.losses.streaming_frequency import StreamingFrequency
from tfmmrec.types import UsageError

IN_BATCH_LOSSES: tuple[str, ...] = ("sampled_softmax", "bpr", "hinge")
NEGATIVES: tuple[str, ...] = ("in_batch", "uniform", "popularity", "mixed", "mined")


@dataclass(frozen=True)
class Candidates:
    """Some candidates of a step.

    Attributes:
        rows: int32 `[n]`; -1 for padding of a row's own ones.
        vectors: `[n, dim]`.
        mask: bool `[n]`, False for padding and repeated ones; None where all count.
        log_probability: float32 `[n]`, what is subtracted from their scores under the softmax; None for nothing.
        by_row: n is a multiple of the batch, and each row has its own share of them, one row's after another's.
    """

    rows: tf.Tensor
    vectors: tf.Tensor
    mask: tf.Tensor | None = None
    log_probability: tf.Tensor | None = None
    by_row: bool = False


@dataclass(frozen=True)
class NegativeOptions:
    """Which negatives a row has.

    Kinds:
        in_batch: the different candidates of the global batch, from all replicas.
        uniform: `num_negatives` in every step, drawn alike from all candidates seen in train. The softmax over a row's
            own candidate (uncorrected) and these (corrected by how often they are expected) is the full one on average.
        popularity: the same, drawn with chances that go with their interactions to the power of 0.75.
        mixed: those of the batch together with uniform ones, each candidate once and corrected by its chance to be in
            one of both (Yang et al. 2020).
        mined: each row has its own: some of the candidates that the model scored highest for its query when it was last
            asked, without those that the query has chosen (ANCE, Xiong et al. 2021); see `MinedNegatives`. The softmax
            over the own candidate and these is not corrected.

    Attributes:
        kind: one of these.
        num_negatives: drawn in a step, unless in_batch or mined.
        hard: only so many count, the highest-scoring of each row; 0 for all.
        mask_known: those in the query's history do not count.

    Raises:
        UsageError: an unknown kind, or numbers out of range.
    """

    kind: str = "in_batch"
    num_negatives: int = 1024
    hard: int = 0
    mask_known: bool = False

    def __post_init__(self):
        if self.kind not in NEGATIVES:
            raise UsageError(f"negatives must be one of {', '.join(NEGATIVES)}, got {self.kind!r}")
        if self.num_negatives < 1:
            raise UsageError(f"num_negatives must be at least 1, got {self.num_negatives}")
        if self.hard < 0:
            raise UsageError(f"hard_negatives must be 0 (for all) or more, got {self.hard}")

    @property
    def draws(self) -> bool:
        """Whether a step embeds candidates that are not in its batch."""
        return self.kind != "in_batch"

    @property
    def of_batch(self) -> bool:
        """Whether a row's negatives are the candidates of other rows."""
        return self.kind in ("in_batch", "mixed")

    @property
    def by_row(self) -> bool:
        """Whether the negatives differ from row to row, other than by the row's own candidate."""
        return self.hard > 0 or self.mask_known

    def check(self, loss: str, inputs: Mapping[str, Any], counts: Any, mined: Any = None) -> None:
        """Refuses what a loss or a model's query tower cannot do.

        Args:
            loss: its name.
            inputs: features of the query tower.
            counts: of the candidates' interactions, or None.
            mined: what draws mined negatives, or None.

        Raises:
            UsageError: it cannot.
        """
        if loss not in IN_BATCH_LOSSES and (self.draws or self.by_row):
            raise UsageError(
                f"{loss} counts every candidate: negatives, hard_negatives and mask_known_positives are for "
                f"{', '.join(IN_BATCH_LOSSES)}"
            )
        if (self.kind == "mined") != (mined is not None):
            raise UsageError(
                f"negatives='mined' and mined, which draws them, go together; got negatives={self.kind!r} and "
                f"mined={mined!r}. A model that takes no mined has no such negatives"
            )
        if self.mask_known and "history" not in inputs:
            raise UsageError("mask_known_positives reads the query's history: give the query tower one, or turn it off")
        if self.draws and counts is None:
            raise UsageError(
                f"negatives={self.kind!r} are drawn from the candidates seen in train: give candidate_counts, or take "
                "negatives='in_batch'"
            )


def of_all_replicas(
    rows: tf.Tensor,
    vectors: tf.Tensor,
    positives: tf.Tensor,
    drawn: Candidates | None = None,
    *,
    frequency: StreamingFrequency | None = None,
    log_probability: tf.Tensor | None = None,
    log_drawn: float | None = None,
    training: bool = False,
) -> tuple[Candidates, tf.Tensor]:
    """The candidates of the global batch and the drawn ones, each once, with their chances.

    Args:
        rows: int32 `[n]`, this replica's different candidates, -1 for padding.
        vectors: `[n, dim]`.
        positives: int `[batch]`, the places of the own candidates among them.
        drawn: the same on every replica; None for none.
        frequency: estimates the chances to be in a batch from those that it sees; None where they are known or not
            asked for.
        log_probability: float32 `[num_candidates]`, the log of the known ones.
        log_drawn: the log of the chance to be among the drawn ones.
        training: `frequency` goes on counting.

    Returns:
        The candidates, and the places of the own ones among them.
    """
    rows, vectors, mask, positives = unique_across_replicas(rows, vectors, positives)
    if frequency is not None and training:
        frequency(rows, training=True)  # of the batch, not of what is drawn
    if drawn is not None:
        rows = tf.concat([rows, drawn.rows], axis=0)
        vectors = tf.concat([vectors, drawn.vectors], axis=0)
        mask = first_occurrences(rows) & (rows >= 0)
    chances = None
    if frequency is not None:
        chances = frequency(rows, training=False)
    elif log_probability is not None:
        chances = tf.gather(log_probability, tf.maximum(rows, 0))
    if drawn is not None and chances is not None:
        chances = log_union_probability(chances, log_drawn)
    return Candidates(rows, vectors, mask, chances), positives


def row_losses(
    loss: str,
    query: tf.Tensor,
    own: Candidates,
    negatives: Candidates,
    *,
    columns: tf.Tensor | None = None,
    temperature: float = 1.0,
    hard: int = 0,
    known: tf.Tensor | None = None,
) -> tf.Tensor:
    """The loss of each row against the negatives that count for it; its own candidate never does.

    bpr and hinge take the scores as they are: what is drawn often weighs more. Only the softmax is corrected.

    Args:
        loss: a name of `IN_BATCH_LOSSES`.
        query: `[batch, dim]`.
        own: each row's candidate, `[batch]`.
        negatives: `[num_negatives]`, the same for all rows, or `[batch * num_negatives]`, each row's own.
        columns: int `[batch]`, the places of the own candidates among the negatives, where all rows have these same
            ones: the softmax is then over them as they are. None: the own candidate is beside them.
        temperature: the scores are divided by it.
        hard: only so many negatives count, the highest-scoring of each row; 0 for all.
        known: int `[batch, n]`, candidates that are no negatives of the row, -1 padded; None for none.

    Returns:
        float32 `[batch]`.
    """
    if loss == "sampled_softmax" and columns is not None:
        return sampled_softmax(
            query,
            negatives.vectors,
            columns,
            log_probability=negatives.log_probability,
            candidate_mask=negatives.mask,
            temperature=temperature,
        )
    own_score = tf.reduce_sum(tf.cast(query, tf.float32) * tf.cast(own.vectors, tf.float32), axis=1) / temperature
    if negatives.by_row:
        rows = tf.reshape(negatives.rows, [tf.shape(query)[0], -1])  # [batch, num_negatives]
        vectors = tf.reshape(negatives.vectors, [tf.shape(query)[0], -1, query.shape[1]])
        scores = tf.cast(tf.linalg.matvec(vectors, query), tf.float32) / temperature
        mask = (rows != own.rows[:, None]) & (rows >= 0)
        if known is not None:
            mask &= ~tf.reduce_any(rows[:, :, None] == tf.cast(known, rows.dtype)[:, None, :], axis=2)
    else:
        scores = tf.cast(tf.matmul(query, negatives.vectors, transpose_b=True), tf.float32) / temperature
        mask = negatives.rows[None, :] != own.rows[:, None]  # [batch, num_negatives]
        if known is not None:
            mask &= ~known_positives(negatives.rows, known)
    if negatives.mask is not None:
        mask &= negatives.mask[None, :]
    if hard:
        mask = hard_negatives(scores, hard, mask)
    if loss == "bpr":
        return bpr(own_score, scores, mask)
    if loss == "hinge":
        return hinge(own_score, scores, mask)
    if own.log_probability is not None:
        own_score -= own.log_probability
    if negatives.log_probability is not None:
        scores -= negatives.log_probability[None, :]
    logits = tf.concat([own_score[:, None], scores], axis=1)  # [batch, 1 + num_negatives]
    mask = tf.concat([tf.ones_like(mask[:, :1]), mask], axis=1)
    return full_softmax(logits, tf.zeros_like(own.rows), candidate_mask=mask)
