"""The two-tower model: score = ⟨query vector, candidate vector⟩."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import tensorflow as tf

from tfmmrec.losses.full_softmax import full_softmax
from tfmmrec.losses.mined_negatives import MinedNegatives
from tfmmrec.losses.multinomial import multinomial
from tfmmrec.losses.negative_sampler import NegativeSampler
from tfmmrec.losses.negatives import log_inclusion_probability
from tfmmrec.losses.streaming_frequency import StreamingFrequency
from tfmmrec.models.content_reference import has_graphs, keep_reference
from tfmmrec.models.in_batch_losses import IN_BATCH_LOSSES, Candidates, NegativeOptions, of_all_replicas, row_losses
from tfmmrec.models.step_parts import Retrieval, StepCandidates
from tfmmrec.models.trainable import Trainable
from tfmmrec.sharded_tables import is_cut, local_rows
from tfmmrec.towers import Tower
from tfmmrec.types import UsageError

Loss = Literal["sampled_softmax", "full_softmax", "multinomial", "bpr", "hinge"]
LOSSES: tuple[str, ...] = ("sampled_softmax", "full_softmax", "multinomial", "bpr", "hinge")


class TwoTower(Trainable):
    """Two towers under a softmax over candidates (Yi et al. 2019; Liang et al. 2018), or over pairs of them.

    ID-only, content-only and history-only two-towers are this class with fewer encoders.

    Losses:
        sampled_softmax: rows are interactions; negatives are the different candidates of the global batch, from all
            replicas, with the correction log(1 − (1 − p)^B).
        full_softmax: rows are interactions; negatives are all candidates seen in train.
        multinomial: rows are queries; the likelihood of their targets among all candidates seen in train.
        bpr: rows are interactions; −log σ(s₊ − s₋), the mean over the same negatives (Rendle et al. 2009).
        hinge: rows are interactions; max(0, 1 − s₊ + s₋), the mean over the same negatives.
    full_softmax and multinomial embed the whole catalogue in every step (`set_catalogue`).

    Negatives of the other losses are told apart in `NegativeOptions`. All but those of the batch are embedded from the
    catalogue's features (`set_catalogue`).

    Args:
        query_tower: features of the query -> `[batch, dim]`.
        candidate_tower: features of the candidate -> `[batch, dim]`, each unique candidate once.
        history_tower: features of the candidate -> `[batch, history_dim]`, what a history pools; it may share encoders
            of content with the candidate tower. None: histories pool the candidate tower's own vectors. Only for the
            losses that embed the whole catalogue.
        loss: see above.
        temperature: the score is divided by it inside the loss. For hinge this is the choice of the margin.
        candidate_counts: `[num_candidates]` interactions of each candidate in train; needed by the full losses (those
            without any are left out of the denominator), for drawn negatives, and for the sampled softmax to count
            frequencies. None for one that estimates them from the stream.
        global_batch_size: rows over all replicas, for the sampled softmax with counted frequencies; None for one that
            estimates them.
        num_candidates: how many candidates there are.
        content_weight: weight of the same loss with all identifiers of candidates absent and without gradient to the
            queries, so that content alone learns to stand in for them; 0 for none. Of full_softmax and multinomial.
        negatives: in_batch, uniform, popularity, mixed or mined, see `NegativeOptions`.
        num_negatives: how many are drawn in a step, unless in_batch or mined.
        mined: draws those that were mined.
        hard_negatives: only so many negatives of a row count, the highest-scoring ones; 0 for all.
        mask_known_positives: candidates in a query's history are no negatives of it.

    Raises:
        UsageError: unknown loss or negatives, a number out of range, or counts that are missing.
    """

    def __init__(
        self,
        query_tower: Tower,
        candidate_tower: Tower,
        *,
        num_candidates: int,
        history_tower: Tower | None = None,
        loss: Loss = "full_softmax",
        temperature: float = 1.0,
        candidate_counts: np.ndarray | None = None,
        global_batch_size: int | None = None,
        content_weight: float = 0.0,
        negatives: str = "in_batch",
        num_negatives: int = 1024,
        mined: MinedNegatives | None = None,
        hard_negatives: int = 0,
        mask_known_positives: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if loss not in LOSSES:
            raise UsageError(f"loss must be one of {', '.join(LOSSES)}, got {loss!r}")
        if not temperature > 0:
            raise UsageError(f"temperature must be positive, got {temperature}")
        if not content_weight >= 0:
            raise UsageError(f"content_weight must be 0 or more, got {content_weight}")
        options = NegativeOptions(negatives, num_negatives, hard_negatives, mask_known_positives)
        options.check(loss, query_tower.encoders, candidate_counts, mined)
        if loss not in IN_BATCH_LOSSES and candidate_counts is None:
            raise UsageError(f"{loss} needs candidate_counts, the number of interactions of each candidate in train")
        corrected = loss == "sampled_softmax" and options.of_batch
        streaming = corrected and global_batch_size is None
        if corrected and (streaming != (candidate_counts is None)) and not (streaming and options.draws):
            raise UsageError("sampled_softmax takes candidate_counts and global_batch_size together, or neither")
        if history_tower is not None and loss in IN_BATCH_LOSSES:
            raise UsageError(
                f"a history tower needs a loss that embeds the whole catalogue; under {loss} leave it out: "
                "histories pool the candidate tower's vectors"
            )
        self.query_tower = query_tower
        self.candidate_tower = candidate_tower
        self.history_tower = history_tower
        self.num_candidates = num_candidates
        self.loss_name = loss
        self.temperature = temperature
        self.content_weight = content_weight
        self.negatives = options
        self.streaming_frequency, self.negative_sampler = None, mined
        self._log_probability = self._candidate_mask = None
        if streaming:
            self.streaming_frequency = StreamingFrequency(name="frequency")
        elif corrected:
            log_probability = log_inclusion_probability(np.asarray(candidate_counts, np.float64), global_batch_size)
            self._log_probability = tf.constant(log_probability, tf.float32)
        elif loss not in IN_BATCH_LOSSES:
            self._candidate_mask = tf.constant(np.asarray(candidate_counts) > 0)
        if options.draws and mined is None:
            power = 0.75 if negatives == "popularity" else 0.0
            self.negative_sampler = NegativeSampler(num_negatives, candidate_counts, power)
        self._catalogue: tuple = ()  # eager tensors: captured by the step, no weights of the model
        self._has_history = "history" in query_tower.encoders
        self.history_table = None

    @property
    def needs_catalogue(self) -> bool:
        """Whether a step embeds candidates, all or some, from the catalogue and not from its batch."""
        return self.loss_name not in IN_BATCH_LOSSES or self.negatives.draws or has_graphs(self.candidate_tower)

    def set_catalogue(self, tables: Mapping[str, Mapping[str, np.ndarray]]) -> None:
        """Gives the model all candidates' preprocessed features, `[num_candidates, ...]` each."""
        tables = {feature: dict(arrays) for feature, arrays in tables.items()}
        self._catalogue = (tf.nest.map_structure(tf.convert_to_tensor, tables),)
        keep_reference(self.candidate_tower, tables)

    def embed_queries(self, inputs: Mapping, table: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        """Query features -> `[batch, dim]`. `table` holds the vectors that a history pools, see `embed_history`."""
        if self._has_history:
            history = dict(inputs["history"]) | {"table": table}
            if is_cut(table):
                history["table"], history["rows"] = local_rows(table, history["rows"])
            inputs = dict(inputs) | {"history": history}
        return self.query_tower(inputs, training=training)

    def embed_candidates(self, inputs: Mapping, training: bool = False, rows: tf.Tensor | None = None) -> tf.Tensor:
        """Candidate features -> `[batch, dim]`; `rows` as in `Tower.call`."""
        return self.candidate_tower(inputs, training=training, rows=rows)

    def embed_history(self, inputs: Mapping, training: bool = False) -> tf.Tensor:
        """Candidate features -> what histories pool of them, `[batch, history_dim]`."""
        tower = self.candidate_tower if self.history_tower is None else self.history_tower
        return tower({name: inputs[name] for name in tower.encoders}, training=training)

    def compute_loss(self, inputs: Mapping, training: bool = False) -> tf.Tensor:
        """A batch -> this replica's share of the mean loss over the global batch, scalar.

        The batch is one of `InteractionBatches`, for the multinomial loss of `QueryBatches`, or of a pipeline of one's
        own with the same keys; `weight` may be left out.
        """
        candidates = self.step_candidates(inputs, training)
        return self.retrieval_share(inputs, self.retrieval(inputs, candidates, training).losses)

    def retrieval_share(self, inputs: Mapping, losses: tf.Tensor) -> tf.Tensor:
        """The rows' losses `[batch]` -> this replica's share of their mean, scalar."""
        # under the multinomial loss the mean is over interactions, not over queries
        num_counted = tf.reduce_sum(tf.cast(inputs["targets"], tf.float32)) if "targets" in inputs else None
        return self.share_of_mean(losses, inputs.get("weight"), num_counted)

    def step_candidates(self, inputs: Mapping, training: bool) -> StepCandidates:
        """What a step embeds: all candidates, or its batch's and those it draws. Every encoder runs once."""
        rows, log_expected = inputs.get("candidate_rows"), None
        if self.loss_name not in IN_BATCH_LOSSES:
            rows, features = None, self._features()
        elif not self.needs_catalogue:
            features = inputs["candidate"]
        else:
            if self.negative_sampler is not None:
                drawn, log_expected = self.negative_sampler(training, inputs.get("query_rows"))
                rows = tf.concat([rows, drawn], axis=0)
            features = tf.nest.map_structure(lambda tensor: tf.gather(tensor, tf.maximum(rows, 0)), self._features())
        return StepCandidates(features, self.candidate_tower.encode(features, training), rows, log_expected)

    def retrieval(self, inputs: Mapping, candidates: StepCandidates, training: bool) -> Retrieval:
        """A batch and what `step_candidates` gave for it -> its rows' losses and vectors."""
        losses = self._full_losses if candidates.rows is None else self._in_batch_losses
        return losses(inputs, candidates, training)

    def _full_losses(self, inputs: Mapping, candidates: StepCandidates, training: bool) -> Retrieval:
        raw, embedded = candidates.features, candidates.embedded
        content = None
        if training and self.content_weight > 0.0 and {"id"} < set(embedded):
            absent = {key: tf.zeros_like(embedded["id"][key]) for key in ("vector", "present")}
            unknown = embedded["id"] | absent
            content = self.candidate_tower(embedded | {"id": unknown}, training=training, alignments_learn=False)
        # after the content: of two calls of a tower in a step the last one's alignment losses count
        table = self.embed_candidates(embedded, training)  # [num_candidates, dim]
        pooled = None
        if self._has_history:
            own_id = {"id": raw["id"]} if "id" in raw else {}
            pooled = table if self.history_tower is None else self.embed_history(embedded | own_id, training)
        query = self.embed_queries(inputs["query"], pooled, training)  # [batch, dim]
        losses = self._softmax(query, table, inputs)
        if content is not None:
            # the content follows the queries and not the other way round: what is known costs nothing
            losses += self.content_weight * self._softmax(tf.stop_gradient(query), content, inputs)
        own = None if "targets" in inputs else tf.gather(table, tf.gather(inputs["candidate_rows"], inputs["positive"]))
        return Retrieval(losses, query, own)

    def _softmax(self, query: tf.Tensor, table: tf.Tensor, inputs: Mapping) -> tf.Tensor:
        logits = tf.cast(tf.matmul(query, table, transpose_b=True), tf.float32) / self.temperature
        mask = self._candidate_mask
        if "targets" in inputs:
            return multinomial(logits, tf.cast(inputs["targets"], tf.float32), candidate_mask=mask)
        positives = tf.gather(inputs["candidate_rows"], inputs["positive"])
        return full_softmax(logits, positives, candidate_mask=mask)

    def _features(self) -> dict:
        if not self._catalogue:
            raise UsageError(f"{self.loss_name} reads candidates in the catalogue: call set_catalogue before training")
        return self._catalogue[0]

    def _in_batch_losses(self, inputs: Mapping, candidates: StepCandidates, training: bool) -> Retrieval:
        rows, positives, drawn = inputs["candidate_rows"], inputs["positive"], None
        embedded = self.embed_candidates(candidates.embedded, training, candidates.rows)  # [unique + num_drawn, dim]
        size = rows.shape[0] or tf.shape(rows)[0]
        vectors, own_vectors = embedded[:size], tf.gather(embedded, positives)
        if self.negative_sampler is not None:
            log_expected, by_row = candidates.log_expected, self.negatives.kind == "mined"
            drawn = Candidates(candidates.rows[size:], embedded[size:], None, log_expected, by_row)
        query = self.embed_queries(inputs["query"], self.history_table, training)
        if self.negatives.of_batch:
            negatives, positives = of_all_replicas(
                rows,
                vectors,
                positives,
                drawn,
                frequency=self.streaming_frequency,
                log_probability=self._log_probability,
                log_drawn=None if drawn is None else self.negative_sampler.log_inclusion,
                training=training,
            )
            rows, log_probability = negatives.rows, negatives.log_probability
        else:
            negatives, log_probability = drawn, None
        own = Candidates(
            tf.gather(rows, positives),
            own_vectors,
            log_probability=None if log_probability is None else tf.gather(log_probability, positives),
        )
        losses = row_losses(
            self.loss_name,
            query,
            own,
            negatives,
            columns=positives if self.negatives.of_batch and not self.negatives.by_row else None,
            temperature=self.temperature,
            hard=self.negatives.hard,
            known=inputs["query"]["history"]["rows"] if self.negatives.mask_known else None,
        )
        return Retrieval(losses, query, own_vectors)

    def build_towers(self) -> int:
        """Creates every weight of the towers; returns the size of the vectors.

        Raises:
            UsageError: the towers' vectors differ in size.
        """
        dim = self.candidate_tower.build_from_raw()
        extra = {}
        if self._has_history:
            empty = tf.fill([1, 1], -1)
            pooled = dim if self.history_tower is None else self.history_tower.build_from_raw()
            extra["history"] = {"rows": empty, "table": tf.zeros([self.num_candidates, pooled])}
            if self.loss_name in IN_BATCH_LOSSES and self.history_table is None:
                # what histories read under these losses; refreshed every so many steps, without gradient
                self.history_table = tf.Variable(
                    tf.zeros([self.num_candidates, dim]), trainable=False, name="history_table"
                )
        query_dim = self.query_tower.build_from_raw(extra)
        if query_dim != dim:
            raise UsageError(
                f"both towers must give vectors of one size, got {query_dim} (query) and {dim} (candidate)"
            )
        return dim
