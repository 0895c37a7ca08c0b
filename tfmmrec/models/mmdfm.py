"""MMDFM: a deep factorisation machine over multimodal fields (after Guo et al. 2017)."""

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
from tfmmrec.types import UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class MMDFM(tf.keras.layers.Layer):
    """logit = w_0 + Σ_f w_f + Σ_{f<g} ⟨v_f, v_g⟩ + MLP([v_1 ; … ; v_F]), DeepFM (Guo et al. 2017, "DeepFM").

    Fields are the ids, the features of both sides, among them each content modality, and the history; pairs are of all
    of them, those within a side too. A field comes as [v_f ; w_f]: its vector and its first-order weight, both linear
    in its input, so that both are zero where it is absent. w_0 is the bias of the MLP's last layer. The sum over pairs
    is (‖Σ_f v_f‖² − Σ_f ‖v_f‖²) / 2 (Rendle 2010).

    Args:
        num_query_fields: how many fields the query has.
        num_candidate_fields: the same of the candidate.
        hidden_dims: of the MLP.
        dropout: in it.
        use_bias: see `ScoreNetwork`.
    """

    def __init__(
        self,
        num_query_fields: int,
        num_candidate_fields: int,
        hidden_dims: Sequence[int] = (128, 64),
        dropout: float = 0.0,
        use_bias: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_query_fields = num_query_fields
        self.num_candidate_fields = num_candidate_fields
        self.network = ScoreNetwork(hidden_dims, dropout, use_bias, name="network")

    def call(self, inputs: Sequence[tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Parts `[n, query_dim]` and `[n, candidate_dim]` -> float32 `[n]`."""
        query, candidate = inputs
        query, _ = split_fields(query, self.num_query_fields)
        candidate, _ = split_fields(candidate, self.num_candidate_fields)
        fields = tf.concat([query, candidate], axis=1)  # [n, num_fields, dim + 1]
        vectors = fields[:, :, :-1]
        whole = tf.cast(fields, tf.float32)  # sums of squares overflow in half precision
        first_order = tf.reduce_sum(whole[:, :, -1], axis=1)
        whole = whole[:, :, :-1]
        of_sum = tf.reduce_sum(tf.square(tf.reduce_sum(whole, axis=1)), axis=1)
        second_order = 0.5 * (of_sum - tf.reduce_sum(tf.square(whole), axis=[1, 2]))
        flat = tf.reshape(vectors, [-1, vectors.shape[1] * vectors.shape[2]])
        return first_order + second_order + self.network(flat, training=training)

    def get_config(self):
        return super().get_config() | {
            "num_query_fields": self.num_query_fields,
            "num_candidate_fields": self.num_candidate_fields,
            "hidden_dims": list(self.network.hidden_dims),
            "dropout": self.network.dropout,
            "use_bias": self.network.use_bias,
        }


@inherits_settings(field_towers, without=["query_id"])
def build_mmdfm(
    schema: Schema,
    statistics: Statistics,
    *,
    dim: int = 64,
    hidden_dims: tuple[int, ...] = (128, 64),
    dropout: float = 0.0,
    query_id: bool = True,
    loss: str = "pointwise",
    num_negatives: int = 8,
    num_drawn: int = 256,
    **fields,
) -> RankingModel:
    """Builds a deep factorisation machine for a dataset, see `MMDFM`.

    Args:
        schema: the dataset's description.
        statistics: what was counted of it.
        dim: size of every v_f.
        hidden_dims: hidden layers of the network.
        dropout: in them.
        query_id: the query's id is a field.
        loss: pointwise or softmax, see `RankingModel`.
        num_negatives: of each interaction.
        num_drawn: candidates that a step draws for all its interactions.
        **fields: of the fields, see `field_towers`.

    Raises:
        UsageError: an unknown loss, or a number out of range.
    """
    if dim < 1:
        raise UsageError(f"mmdfm's dim must be at least 1, got {dim}")
    query_tower, candidate_tower = field_towers(
        schema,
        statistics,
        dim + 1,  # [v_f ; w_f]
        query_id=query_id,
        **fields,
    )
    num_fields = len(query_tower.encoders), len(candidate_tower.encoders)
    return RankingModel(
        query_tower,
        candidate_tower,
        MMDFM(*num_fields, hidden_dims, dropout, use_bias=loss == "pointwise", name="scorer"),
        num_candidates=statistics.num_candidates,
        candidate_counts=np.asarray(statistics.candidate_counts),
        loss=loss,
        num_negatives=num_negatives,
        num_drawn=num_drawn,
    )
