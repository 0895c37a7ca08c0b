"""Ranking models: a network scores each pair of a query and a candidate."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfmmrec.losses.full_softmax import full_softmax
from tfmmrec.losses.negative_masks import known_positives
from tfmmrec.losses.negative_sampler import NegativeSampler
from tfmmrec.losses.pointwise import pointwise
from tfmmrec.models.trainable import Trainable
from tfmmrec.towers import Tower
from tfmmrec.types import UsageError

LOSSES: tuple[str, ...] = ("pointwise", "softmax")


class RankingModel(Trainable):
    """logit = scorer(parts of the query, parts of the candidate): the second stage, after a retrieval.

    Each tower gives the parts of its side as one flat vector, such as `FieldsFusion`'s; their sizes may differ. A score
    costs a network's run, so a step compares an interaction with a few candidates only: `num_drawn` are drawn for all
    rows, uniformly from those seen in train, and embedded once; each row has `num_negatives` of them, the next row the
    next ones. Those in the row's history, and its own candidate, are no negatives of it.

    Histories pool the candidate tower's parts from a table that is refreshed every so many steps, without gradient.

    Losses:
        pointwise: −log σ of an interaction's logit and −log(1 − σ) of its negatives'.
        softmax: −log of the interaction's share in a softmax over it and its negatives.

    Args:
        query_tower: features of the query -> `[batch, query_dim]`.
        candidate_tower: features of the candidate -> `[batch, candidate_dim]`.
        scorer: a layer from `[query parts [n, query_dim], candidate parts [n, candidate_dim]]` to logits `[n]`.
        num_candidates: how many candidates there are.
        candidate_counts: `[num_candidates]` interactions of each candidate in train.
        loss: see above.
        num_negatives: of each row.
        num_drawn: candidates that a step draws for all rows.
        pairs_at_once: how many pairs `score_pairs` takes well at a time outside of training; None leaves it to those
            who call it.

    Raises:
        UsageError: an unknown loss, or numbers out of range.
    """

    kind = "ranking"
    history_tower = None

    def __init__(
        self,
        query_tower: Tower,
        candidate_tower: Tower,
        scorer: tf.keras.layers.Layer,
        *,
        num_candidates: int,
        candidate_counts: np.ndarray,
        loss: str = "pointwise",
        num_negatives: int = 8,
        num_drawn: int = 256,
        pairs_at_once: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if loss not in LOSSES:
            raise UsageError(f"a ranking model's loss must be one of {', '.join(LOSSES)}, got {loss!r}")
        if not 1 <= num_negatives <= num_drawn:
            raise UsageError(
                f"num_negatives must be at least 1 and no more than num_drawn, of which they are taken; got "
                f"num_negatives={num_negatives} and num_drawn={num_drawn}"
            )
        self.query_tower = query_tower
        self.candidate_tower = candidate_tower
        self.scorer = scorer
        self.num_candidates = num_candidates
        self.loss_name = loss
        self.num_negatives = num_negatives
        self.pairs_at_once = pairs_at_once
        self.negative_sampler = NegativeSampler(num_drawn, candidate_counts)
        self._catalogue: tuple = ()  # eager tensors: captured by the step, no weights of the model
        self._has_history = "history" in query_tower.encoders
        self.history_table = None

    @property
    def needs_catalogue(self) -> bool:
        """Whether a step embeds candidates from the catalogue and not from its batch: it draws its negatives there."""
        return True

    def set_catalogue(self, tables: Mapping[str, Mapping[str, np.ndarray]]) -> None:
        """Gives the model all candidates' preprocessed features, `[num_candidates, ...]` each."""
        tables = {feature: dict(arrays) for feature, arrays in tables.items()}
        self._catalogue = (tf.nest.map_structure(tf.convert_to_tensor, tables),)

    def embed_queries(self, inputs: Mapping, table: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        """Query features -> parts `[batch, query_dim]`. `table` holds what a history pools, see `embed_history`."""
        if self._has_history:
            inputs = dict(inputs) | {"history": dict(inputs["history"]) | {"table": table}}
        return self.query_tower(inputs, training=training)

    def embed_candidates(self, inputs: Mapping, training: bool = False, rows: tf.Tensor | None = None) -> tf.Tensor:
        """Candidate features -> parts `[batch, candidate_dim]`; `rows` as in `Tower.call`."""
        return self.candidate_tower(inputs, training=training, rows=rows)

    def embed_history(self, inputs: Mapping, training: bool = False) -> tf.Tensor:
        """Candidate features -> what histories pool of them, `[batch, candidate_dim]`: the same parts."""
        return self.embed_candidates(inputs, training)

    def score_pairs(self, query_parts: tf.Tensor, candidate_parts: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Parts `[n, query_dim]` and `[n, candidate_dim]`, row by row a pair -> logits float32 `[n]`."""
        # one argument, because Keras casts no other to half precision
        return tf.cast(self.scorer([query_parts, candidate_parts], training=training), tf.float32)

    def compute_loss(self, inputs: Mapping, training: bool = False) -> tf.Tensor:
        """A batch of `InteractionBatches` -> this replica's share of the mean loss over the global batch, scalar."""
        return self.share_of_mean(self._row_losses(inputs, training), inputs.get("weight"))

    def _row_losses(self, inputs: Mapping, training: bool) -> tf.Tensor:
        if not self._catalogue:
            raise UsageError("a ranking model draws negatives from the catalogue: call set_catalogue before training")
        rows = inputs["candidate_rows"]
        drawn, _ = self.negative_sampler(training)
        wanted = tf.concat([rows, drawn], axis=0)
        places = tf.maximum(wanted, 0)
        features = tf.nest.map_structure(lambda tensor: tf.gather(tensor, places), self._catalogue[0])
        parts = self.embed_candidates(features, training, wanted)  # [unique + num_drawn, candidate_dim]
        query = self.embed_queries(inputs["query"], self.history_table, training)  # [batch, query_dim]
        num_unique = rows.shape[0] or tf.shape(rows)[0]
        chosen = self._chosen(tf.shape(query)[0])  # [batch, num_negatives], places among the drawn
        columns = tf.concat([inputs["positive"][:, None], num_unique + chosen], axis=1)  # [batch, 1 + num_negatives]
        num_pairs = 1 + self.num_negatives
        logits = self.score_pairs(
            tf.repeat(query, num_pairs, axis=0), tf.gather(parts, tf.reshape(columns, [-1])), training
        )
        logits = tf.reshape(logits, [-1, num_pairs])
        mask = tf.gather(drawn, chosen) != tf.gather(rows, inputs["positive"])[:, None]
        if self._has_history:
            known = known_positives(drawn, inputs["query"]["history"]["rows"])  # [batch, num_drawn]
            mask &= ~tf.gather(known, chosen, batch_dims=1)
        if self.loss_name == "pointwise":
            return pointwise(logits[:, 0], logits[:, 1:], mask)
        mask = tf.concat([tf.ones_like(mask[:, :1]), mask], axis=1)
        return full_softmax(logits, tf.zeros_like(inputs["positive"]), candidate_mask=mask)

    def _chosen(self, batch: tf.Tensor) -> tf.Tensor:
        """Which of the drawn candidates each row has, `[batch, num_negatives]`: by its place in the global batch."""
        first = tf.distribute.get_replica_context().replica_id_in_sync_group * batch
        starts = (first + tf.range(batch))[:, None] * self.num_negatives
        return (starts + tf.range(self.num_negatives)) % self.negative_sampler.num_negatives

    def build_towers(self) -> int:
        """Creates every weight of the towers and of the scorer; returns the size of a candidate's parts."""
        dim = self.candidate_tower.build_from_raw()
        extra = {}
        if self._has_history:
            if self.history_table is None:
                self.history_table = tf.Variable(
                    tf.zeros([self.num_candidates, dim]), trainable=False, name="history_table"
                )
            extra["history"] = {"rows": tf.fill([1, 1], -1), "table": tf.zeros([self.num_candidates, dim])}
        query_dim = self.query_tower.build_from_raw(extra)
        self.score_pairs(tf.zeros([1, query_dim]), tf.zeros([1, dim]))
        return dim
