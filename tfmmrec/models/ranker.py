"""The ranker: a network over a query's and a candidate's vector, their product, and their content."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfmmrec.data.statistics import Statistics
from tfmmrec.fusion.fields import split_fields
from tfmmrec.models.field_towers import field_towers
from tfmmrec.models.inherited_settings import inherits_settings
from tfmmrec.models.ranking_model import RankingModel
from tfmmrec.models.score_network import ScoreNetwork
from tfmmrec.schema import Schema


@tf.keras.utils.register_keras_serializable("tfmmrec")
class Ranker(tf.keras.layers.Layer):
    """logit = MLP([q ; c ; q ⊙ c ; features]), the ranking stage of Covington et al. 2016 over two towers.

    q = Σ_f v_f over the fields of the query, c the same of the candidate: linear early fusion. The features are the
    fields of content of both sides, and which fields are there.

    Args:
        query_fields: names of the query's fields, in their order.
        candidate_fields: the same of the candidate.
        hidden_dims: of the MLP.
        dropout: in it.
        use_bias: see `ScoreNetwork`.
    """

    def __init__(
        self,
        query_fields: Sequence[str],
        candidate_fields: Sequence[str],
        hidden_dims: Sequence[int] = (128, 64),
        dropout: float = 0.0,
        use_bias: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.query_fields = tuple(query_fields)
        self.candidate_fields = tuple(candidate_fields)
        self.network = ScoreNetwork(hidden_dims, dropout, use_bias, name="network")

    def call(self, inputs: Sequence[tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Parts `[n, query_dim]` and `[n, candidate_dim]` -> float32 `[n]`."""
        fused, features = [], []
        for parts, names in zip(inputs, (self.query_fields, self.candidate_fields), strict=True):
            vectors, present = split_fields(parts, len(names))  # [n, num_fields, dim], [n, num_fields]
            fused.append(tf.reduce_sum(vectors, axis=1))
            content = [vectors[:, place] for place, name in enumerate(names) if name not in ("id", "history")]
            features += [*content, tf.cast(present, vectors.dtype)]
        query, candidate = fused
        return self.network(tf.concat([query, candidate, query * candidate, *features], axis=1), training=training)

    def get_config(self):
        return super().get_config() | {
            "query_fields": list(self.query_fields),
            "candidate_fields": list(self.candidate_fields),
            "hidden_dims": list(self.network.hidden_dims),
            "dropout": self.network.dropout,
            "use_bias": self.network.use_bias,
        }


@inherits_settings(field_towers, without=["query_id"])
def build_ranker(
    schema: Schema,
    statistics: Statistics,
    *,
    dim: int = 64,
    hidden_dims: tuple[int, ...] = (128, 64),
    dropout: float = 0.0,
    query_id: bool | None = None,
    loss: str = "pointwise",
    num_negatives: int = 8,
    num_drawn: int = 256,
    **fields,
) -> RankingModel:
    """Builds a ranker for a dataset, see `Ranker`.

    Args:
        schema: the dataset's description.
        statistics: what was counted of it.
        dim: size of every field, and of q and c.
        hidden_dims: hidden layers of the network.
        dropout: in them.
        query_id: the query's id is a field. None: where there is no history, beside which it learns by heart.
        loss: pointwise or softmax, see `RankingModel`.
        num_negatives: of each interaction.
        num_drawn: candidates that a step draws for all its interactions.
        **fields: of the fields, see `field_towers`.

    Raises:
        UsageError: an unknown loss, or a number out of range.
    """
    query_tower, candidate_tower = field_towers(
        schema,
        statistics,
        dim,
        query_id=schema.queries.history is None if query_id is None else query_id,
        **fields,
    )
    fields = sorted(query_tower.encoders), sorted(candidate_tower.encoders)
    return RankingModel(
        query_tower,
        candidate_tower,
        Ranker(*fields, hidden_dims, dropout, use_bias=loss == "pointwise", name="scorer"),
        num_candidates=statistics.num_candidates,
        candidate_counts=np.asarray(statistics.candidate_counts),
        loss=loss,
        num_negatives=num_negatives,
        num_drawn=num_drawn,
    )
