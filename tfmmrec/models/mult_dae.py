"""Mult-DAE: a denoising autoencoder of histories under the multinomial likelihood (Liang et al. 2018)."""

from __future__ import annotations

from tfmmrec.data.statistics import Statistics
from tfmmrec.encoders.history import HistoryEncoder
from tfmmrec.encoders.identifier import IdentifierEncoder
from tfmmrec.fusion.early import EarlyFusion
from tfmmrec.fusion.one_head import OneHead
from tfmmrec.fusion.sum import SumFusion
from tfmmrec.models.inherited_settings import inherits_settings
from tfmmrec.models.loss_choice import loss_arguments
from tfmmrec.models.parts import feature_encoder, feature_encoders
from tfmmrec.models.two_tower import TwoTower
from tfmmrec.schema import Schema
from tfmmrec.towers import Tower
from tfmmrec.types import UsageError

_STDDEV = 0.01  # of the initial decoder: at first all candidates are worth the same


@inherits_settings(feature_encoder)
def build_mult_dae(
    schema: Schema,
    statistics: Statistics,
    *,
    dim: int = 256,
    dropout: float = 0.0,
    content: bool = False,
    feature_dim: int = 64,
    content_scale: float | None = 0.1,
    content_weight: float = 0.5,
    identifier_dropout: float = 0.0,
    **encoding,
) -> TwoTower:
    """Builds Mult-DAE for a dataset: z = tanh(W_1ᵀ x / ‖x‖₂ + b_1), logits W_2 z + b_2, multinomial likelihood.

    x is 1 for the candidates of a query's history. A row of W_1 is what a history pools of a candidate, the row of
    [W_2 ; b_2] is the candidate's vector, z with a one behind it the query's: a two-tower model. With `content` both
    tables are the sum of an id's row and projections of the candidate's features, so that candidates which train does
    not have are read in histories and can be recommended.

    Three things are not the paper's. Entries of x are dropped before the normalisation, not after it: what is left has
    unit length in training as when served. A history has at most `schema.queries.history.length` entries, the newest.
    And the likelihood is that of a query's other candidates, which are not in x, see `QueryBatches`.

    Args:
        schema: the dataset's description; it must have a history.
        statistics: what was counted of it.
        dim: size of z.
        dropout: share of a history's entries left out in training, beside the targets, which are never in it and are a
            fifth to four fifths of what a query chose: more of it makes it worse on MovieLens (validation NDCG@20 .182
            without, .153 at .5, the paper's share, which has no other).
        content: both tables see the candidates' features too.
        feature_dim: size of each content feature's vector.
        content_scale: length of a feature's vector beside the id's, see `EarlyFusion`.
        content_weight: weight of the loss on content alone, see `TwoTower`.
        identifier_dropout: share of the decoder's ids made absent in training; with `content`.
        **encoding: of candidates' features, as `feature_encoder` takes it.

    Raises:
        UsageError: the schema has no history, a size below 1, or a share outside [0, 1).
    """
    if schema.queries.history is None:
        raise UsageError("mult_dae reads histories, this dataset has none; set queries.history in its config")
    if content and not schema.candidates.features:
        raise UsageError("mult_dae with content needs candidates with at least one feature, this dataset has none")
    if not content and (identifier_dropout or encoding.get("pretrained")):
        raise UsageError("identifier_dropout and pretrained are of mult_dae with content: set content=True")
    features = {}
    if content:
        features = feature_encoders(schema.candidates.features, statistics.candidates, feature_dim, **encoding)

    def table(name: str, size: int, **options) -> Tower:
        identity = IdentifierEncoder(statistics.chosen_candidate_ids, size, name="id", **options)
        if not features:
            return Tower({"id": identity}, SumFusion(name="fusion"), name=name)
        fusion = EarlyFusion(size, direct=["id"], scale=content_scale, name="fusion")
        return Tower({"id": identity} | features, fusion, name=name)

    history = HistoryEncoder(schema.queries.history.length, exponent=0.5, dropout=dropout, name="history")
    return TwoTower(
        Tower(
            {"history": history},
            EarlyFusion(dim, direct=["history"], activation="tanh", name="fusion"),  # b_1 is its bias
            head=OneHead(name="head"),
            name="query_tower",
        ),
        table("candidate_tower", dim + 1, dropout=identifier_dropout, embeddings_stddev=_STDDEV),  # [W_2 ; b_2]
        history_tower=table("history_tower", dim),  # W_1
        content_weight=content_weight,
        **loss_arguments("multinomial", statistics),
    )
