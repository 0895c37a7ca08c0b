"""BM3: a graph model that learns without negatives, of views that dropout makes (Zhou et al. 2023)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfmmrec.data.statistics import Statistics
from tfmmrec.models.graph_model import LOSSES, GraphModel
from tfmmrec.models.graph_towers import A_CONTENT, SET_BY_MODELS, choose_scale, content_features, graph_towers
from tfmmrec.models.inherited_settings import inherits_settings
from tfmmrec.models.light_propagation import LightPropagation
from tfmmrec.randomness import Dropout
from tfmmrec.schema import Schema
from tfmmrec.sparse_graph import BipartiteGraph
from tfmmrec.towers import Tower
from tfmmrec.types import UsageError


class ResidualPropagation(LightPropagation):
    """LightGCN's t_i, and its z_i plus the embedding itself: h_i = z_i + e_i."""

    def call(
        self,
        graph: BipartiteGraph,
        queries: tf.Tensor,
        candidates: tf.Tensor,
        content: Mapping[str, tf.Tensor] | None = None,
        training: bool | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Embeddings `[num_queries, dim]` and `[num_candidates, dim]` -> h and t, `[num_candidates, dim]` each."""
        candidates = tf.convert_to_tensor(candidates)
        # an identity has the gradients of its own uses: sums of two terms have an order
        found, pooled = super().call(graph, queries, tf.identity(candidates))
        return found + candidates, pooled


class Bm3Model(GraphModel):
    """A graph model whose vectors go through one linear predictor P before they are compared.

    A row with query u and candidate i, whose content of modality m is x_m and projected h_m = W_m x_m + b_m, loses

        C(P h_u, h_i) + C(P h_i, h_u) + alignment_weight · Σ_m [C(P h_m, h_i) + C(P h_m, h_m)] + l2 (‖h_u‖² + ‖h_i‖²)

    with C(a, b) = 1 − cos(a, b'): b' is b after dropout, and gets no gradient. What a candidate lacks adds nothing.
    Scores are ⟨P h_u, P h_i⟩. Another loss than bootstrap is taken of these scores, and bootstrap_weight times the
    above without its squares is added to it.

    Args:
        query_tower: as of `GraphModel`, but not normalised.
        candidate_tower: as of `GraphModel`.
        propagation: gives h_i.
        loss: bootstrap, or one of `GraphModel`'s.
        bootstrap_weight: of the bootstrap loss beside another one.
        alignment_weight: of what aligns the modalities.
        dropout: share of a view's numbers that are set to zero, in [0, 1).
        l2: of the propagated vectors.
        kwargs: as of `GraphModel`.

    Raises:
        UsageError: an unknown loss, or a number out of range.
    """

    known_losses = ("bootstrap", *LOSSES)

    def __init__(
        self,
        query_tower: Tower,
        candidate_tower: Tower,
        propagation: ResidualPropagation,
        *,
        loss: str = "bootstrap",
        bootstrap_weight: float = 1.0,
        alignment_weight: float = 2.0,
        dropout: float = 0.3,
        l2: float = 0.0,
        **kwargs,
    ):
        super().__init__(query_tower, candidate_tower, propagation, loss=loss, **kwargs)
        if not min(bootstrap_weight, alignment_weight, l2) >= 0.0:
            raise UsageError(
                f"bootstrap_weight, alignment_weight and l2 must be 0 or more, got {bootstrap_weight}, "
                f"{alignment_weight} and {l2}"
            )
        self.bootstrap_weight = 1.0 if loss == "bootstrap" else bootstrap_weight
        self.alignment_weight = alignment_weight
        self.l2_of_propagated = l2
        self.predictor = tf.keras.layers.Dense(propagation.dim, dtype="float32", name="predictor")
        self.projections = {
            name: tf.keras.layers.Dense(propagation.dim, dtype="float32", name=f"{name}_projection")
            for name in sorted(set(candidate_tower.encoders) - {"id"})
        }
        self.dropout = Dropout(dropout, name="dropout", dtype="float32")

    def embed_queries(self, inputs: Mapping, table: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        """Query features -> P h_u, `[batch, dim]`, see `GraphModel`."""
        return self.finish(super().embed_queries(inputs, table, training))

    def finish(self, vectors: tf.Tensor) -> tf.Tensor:
        """h -> P h, `[n, dim]`, of unit length with `normalize`; zero, of whom nothing is known, stays zero."""
        vectors = tf.cast(vectors, tf.float32)
        is_known = tf.reduce_any(vectors != 0.0, axis=1, keepdims=True)  # else it would be the predictor's bias
        return super().finish(tf.where(is_known, self.predictor(vectors), 0.0))

    def row_losses(
        self,
        queries: tf.Tensor,
        table: tf.Tensor,
        positives: tf.Tensor,
        negatives: tf.Tensor,
        training: bool = False,
    ) -> tf.Tensor:
        """The bootstrap loss, the squares, and the ranking's loss where there is one, float32 `[batch]`."""
        candidates = tf.gather(table, positives)  # [batch, dim]
        content, present = self._content_of(positives)
        views, batch = [queries, candidates, *content], tf.shape(queries)[0]
        ranked = table[:0] if self.loss_name == "bootstrap" else table
        # one call of the predictor, and identities below: sums of more than two gradients have no order
        sizes = [batch] * len(views) + [tf.shape(ranked)[0]]
        *predicted, ranked = tf.split(self.predictor(tf.concat([*views, ranked], axis=0)), sizes)
        of_query, of_candidate, *of_content = predicted
        targets = self.dropout(tf.stop_gradient(tf.stack(views)), training=training)  # [2 + num_modalities, batch, dim]
        losses = _distance(tf.identity(of_query), targets[1]) + _distance(of_candidate, targets[0])
        for place, (vectors, there) in enumerate(zip(of_content, present, strict=True), start=2):
            aligned = _distance(vectors, targets[1]) + _distance(vectors, targets[place])
            losses += self.alignment_weight * tf.where(there, aligned, 0.0)
        losses *= self.bootstrap_weight
        losses += self.l2_of_propagated * tf.reduce_sum(tf.square(queries) + tf.square(candidates), axis=1)
        if self.loss_name == "bootstrap":
            return losses
        scored = (super(Bm3Model, self).finish(vectors) for vectors in (tf.identity(of_query), ranked))
        return losses + self.ranking_losses(*scored, positives, negatives)

    def _content_of(self, rows: tf.Tensor) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """For each modality the projected content of some candidates `[batch, dim]`, and whether it is there."""
        projected, present = [], []
        for name, project in self.projections.items():
            vectors = tf.gather(tf.convert_to_tensor(self.candidate_tower.fusion.content[name]), rows)
            projected.append(project(vectors))
            present.append(tf.reduce_any(vectors != 0.0, axis=1))
        return projected, present

    def build_towers(self) -> int:
        """Creates every weight, see `GraphModel`. Returns the size of the vectors."""
        dim = super().build_towers()
        self.predictor.build([None, dim])
        for name, project in self.projections.items():
            project.build(self.candidate_tower.fusion.content[name].shape)
        return dim


def _distance(vectors: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """1 − cos, `[batch]`."""
    return 1.0 - tf.reduce_sum(_unit(vectors) * _unit(targets), axis=1)


def _unit(vectors: tf.Tensor) -> tf.Tensor:
    """Of unit length; zero, as of a target all of which was dropped, stays zero."""
    return tf.math.l2_normalize(vectors, axis=1)


@inherits_settings(graph_towers, without=SET_BY_MODELS)
def build_bm3(
    schema: Schema,
    statistics: Statistics,
    *,
    dim: int = 64,
    num_layers: int = 1,
    dropout: float = 0.3,
    alignment_weight: float = 2.0,
    loss: str = "bootstrap",
    bootstrap_weight: float = 1.0,
    normalize: bool | None = None,
    temperature: float | None = None,
    l2: float = 1e-4,
    num_negatives: int = 1024,
    **content,
) -> Bm3Model:
    """Builds BM3 for a dataset: what a query and its candidate predict of each other, and content of its candidate.

    Content is the candidates' texts, media and vectors. The views that are predicted are the vectors themselves
    after dropout, without a gradient: the paper needs neither negatives nor a second network. See `Bm3Model` for its
    equations; its −cos is 1 − cos here. A candidate that is not in the graph gets the mean of its nearest neighbours'
    vectors, see `GraphCandidates`. A query that train does not have is embedded exactly by its history, see
    `GraphModel`.

    Args:
        schema: the dataset's description.
        statistics: what was counted of it.
        dim: size of the embeddings.
        num_layers: how far a propagation goes; the authors choose of 1 and 2.
        dropout: share of a view's numbers that are set to zero; the authors choose of 0.3 and 0.5.
        alignment_weight: of the losses of content; 1 in the paper, 2 in the authors' code.
        loss: bootstrap as in the paper; or bpr, or full_softmax over all candidates, with the bootstrap loss beside.
        bootstrap_weight: of the bootstrap loss beside another one.
        normalize: scale vectors of both sides to unit length; None: for full_softmax.
        temperature: the score is divided by it in the loss; None: 0.2 with `normalize`, else 1.
        l2: weight of the squared length of a step's propagated vectors.
        num_negatives: of bpr, drawn in a step.
        **content: of encoders and histories, and of candidates outside the graph, see `graph_towers`.

    Raises:
        UsageError: candidates without content, an unknown loss, or a number out of range.
    """
    if not content_features(schema):
        raise UsageError(
            f"bm3 needs candidates with {A_CONTENT}, this dataset has none; describe one in its config, or "
            "take lightgcn, which learns of ids alone"
        )
    normalize, temperature = choose_scale(loss, normalize, temperature)
    return Bm3Model(
        *graph_towers(
            schema,
            statistics,
            dim,
            identifier_weight=1.0 / (num_layers + 1),
            normalize=False,
            **content,
        ),
        ResidualPropagation(dim, num_layers, name="propagation"),
        loss=loss,
        bootstrap_weight=bootstrap_weight,
        alignment_weight=alignment_weight,
        dropout=dropout,
        l2=l2,
        candidate_counts=np.asarray(statistics.candidate_counts),
        normalize=normalize,
        temperature=temperature,
        num_negatives=num_negatives,
    )
