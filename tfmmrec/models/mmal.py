"""MMAL: attention of a query over the modalities of a candidate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfmmrec.data.statistics import Statistics
from tfmmrec.fusion.fields import split_fields
from tfmmrec.masked_attention import MultiHeadAttention
from tfmmrec.models.field_towers import field_towers
from tfmmrec.models.inherited_settings import inherits_settings
from tfmmrec.models.ranking_model import RankingModel
from tfmmrec.models.score_network import ScoreNetwork
from tfmmrec.schema import Schema
from tfmmrec.types import UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class MMAL(tf.keras.layers.Layer):
    """a = Attention(q, V, V), logit = MLP([q ; a ; q ⊙ a]): multi-head attention (Vaswani et al. 2017) that asks a
    candidate's modalities what they have for this query.

    q = Σ_f v_f over the fields of the query (id, history and features); V are the fields of the candidate, its id among
    them, of which only those that are there can be seen.

    Args:
        num_query_fields: how many fields the query has.
        num_candidate_fields: the same of the candidate.
        dim: size of the fields.
        num_heads: of the attention; must divide `dim`.
        hidden_dims: of the MLP.
        dropout: in it.
        use_bias: see `ScoreNetwork`.
    """

    def __init__(
        self,
        num_query_fields: int,
        num_candidate_fields: int,
        dim: int,
        num_heads: int = 4,
        hidden_dims: Sequence[int] = (128, 64),
        dropout: float = 0.0,
        use_bias: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_query_fields = num_query_fields
        self.num_candidate_fields = num_candidate_fields
        self.attention = MultiHeadAttention(dim, num_heads, name="attention")
        self.network = ScoreNetwork(hidden_dims, dropout, use_bias, name="network")

    def call(self, inputs: Sequence[tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Parts `[n, query_dim]` and `[n, candidate_dim]` -> float32 `[n]`."""
        query, candidate = inputs
        question = tf.reduce_sum(split_fields(query, self.num_query_fields)[0], axis=1)  # [n, dim]
        tokens, present = split_fields(candidate, self.num_candidate_fields)  # [n, num_fields, dim], [n, num_fields]
        attended = self.attention(question[:, None], tokens, present[:, None])[:, 0]  # [n, dim]
        return self.network(tf.concat([question, attended, question * attended], axis=1), training=training)

    def get_config(self):
        return super().get_config() | {
            "num_query_fields": self.num_query_fields,
            "num_candidate_fields": self.num_candidate_fields,
            "dim": self.attention.dim,
            "num_heads": self.attention.num_heads,
            "hidden_dims": list(self.network.hidden_dims),
            "dropout": self.network.dropout,
            "use_bias": self.network.use_bias,
        }


@inherits_settings(field_towers, without=["query_id"])
def build_mmal(
    schema: Schema,
    statistics: Statistics,
    *,
    dim: int = 64,
    num_heads: int = 4,
    hidden_dims: tuple[int, ...] = (128, 64),
    dropout: float = 0.0,
    query_id: bool = True,
    loss: str = "pointwise",
    num_negatives: int = 8,
    num_drawn: int = 256,
    **fields,
) -> RankingModel:
    """Builds a model of attention over modalities for a dataset, see `MMAL`.

    Args:
        schema: the dataset's description.
        statistics: what was counted of it.
        dim: size of every field, of q and of a.
        num_heads: of the attention; must divide `dim`.
        hidden_dims: hidden layers of the network.
        dropout: in them.
        query_id: the query's id is a field.
        loss: pointwise or softmax, see `RankingModel`.
        num_negatives: of each interaction.
        num_drawn: candidates that a step draws for all its interactions.
        **fields: of the fields, see `field_towers`.

    Raises:
        UsageError: candidates without features, an unknown loss, or a number out of range.
    """
    if not schema.candidates.features:
        raise UsageError(
            "mmal needs candidates with at least one feature, this dataset has none: there is nothing to choose from "
            "by attention; describe one in its config, or take ranker"
        )
    query_tower, candidate_tower = field_towers(
        schema,
        statistics,
        dim,
        query_id=query_id,
        **fields,
    )
    num_fields = len(query_tower.encoders), len(candidate_tower.encoders)
    return RankingModel(
        query_tower,
        candidate_tower,
        MMAL(*num_fields, dim, num_heads, hidden_dims, dropout, use_bias=loss == "pointwise", name="scorer"),
        num_candidates=statistics.num_candidates,
        candidate_counts=np.asarray(statistics.candidate_counts),
        loss=loss,
        num_negatives=num_negatives,
        num_drawn=num_drawn,
    )
