"""VBPR: matrix factorisation that sees content (He & McAuley 2016)."""

from __future__ import annotations

from tfmmrec.data.statistics import Statistics
from tfmmrec.encoders.identifier import IdentifierEncoder
from tfmmrec.fusion.block import BlockFusion
from tfmmrec.fusion.one_head import OneHead
from tfmmrec.fusion.sum import SumFusion
from tfmmrec.models.in_batch_losses import IN_BATCH_LOSSES
from tfmmrec.models.inherited_settings import inherits_settings
from tfmmrec.models.loss_choice import choose_loss, loss_arguments
from tfmmrec.models.parts import feature_encoder, feature_encoders
from tfmmrec.models.two_tower import TwoTower
from tfmmrec.schema import Schema
from tfmmrec.towers import Tower
from tfmmrec.types import UsageError

_STDDEV = 0.01  # of the initial biases and ids: what is not known yet is worth the same to everyone


@inherits_settings(feature_encoder)
def build_vbpr(
    schema: Schema,
    statistics: Statistics,
    *,
    dim: int = 64,
    content_dim: int = 64,
    feature_dim: int = 64,
    content_scale: float | None = None,
    identifier_dropout: float = 0.0,
    loss: str = "bpr",
    temperature: float = 1.0,
    global_batch_size: int | None = None,
    count_frequencies: bool = True,
    negatives: str | None = None,
    num_negatives: int = 1024,
    hard_negatives: int = 0,
    **encoding,
) -> TwoTower:
    """Builds VBPR for a dataset: x_ui = β_i + γ_uᵀγ_i + Σ_m (θ_umᵀ E_m f_im + β'_mᵀ f_im).

    u is a query, i a candidate, f_im its features of modality m. The paper has one modality, its picture; here each
    has its own θ_m, E_m and β'_m, and what a candidate lacks adds nothing. The paper's α and β_u are the same for all
    candidates of a query: they change neither a ranking nor the loss, and are left out. As one dot product it is
    ⟨[γ_u ; θ_u1 ; … ; θ_uM ; 1], [γ_i ; E_1 f_i1 ; … ; E_M f_iM ; β_i + Σ_m β'_mᵀ f_im]⟩.

    A query that train does not have gets the biases alone, a candidate that train does not have its content alone.

    The paper compares an interaction with one candidate, drawn uniformly. Here all interactions of a step are compared
    with the same `num_negatives` uniform ones and the mean is taken, with less noise. Unlike the paper's, they may hold
    other candidates that the query has chosen.

    Args:
        schema: the dataset's description.
        statistics: what was counted of it.
        dim: size of γ.
        content_dim: size of each θ_m.
        feature_dim: size of each f_m that an encoder learns.
        content_scale: length that each f_m is brought to, see `EarlyFusion`; None leaves them as they are.
        identifier_dropout: share of candidate ids made absent in training, so that content learns to do without.
        loss: bpr as in the paper, auto (multinomial up to 20,000 candidates, else sampled_softmax) or another one of
            `TwoTower`'s.
        temperature: the score is divided by it in the loss.
        global_batch_size: interactions over all replicas in a step, for the correction of the sampled softmax.
        count_frequencies: correct the sampled softmax by counted frequencies; False estimates them from the stream.
        negatives: of sampled_softmax, bpr and hinge: in_batch, uniform, popularity or mixed, see `TwoTower`; uniform
            when None.
        num_negatives: how many of them are drawn in a step, unless in_batch.
        hard_negatives: only so many negatives of a row count, the highest-scoring ones; 0 for all.
        **encoding: of candidates' features, as `feature_encoder` takes it.

    Raises:
        UsageError: candidates without features, an unknown loss or kind of negatives, or a size below 1.
    """
    content = feature_encoders(schema.candidates.features, statistics.candidates, feature_dim, **encoding)
    if not content:
        raise UsageError(
            "vbpr needs candidates with at least one feature, this dataset has none; describe one in its config, or "
            "take id_only with loss='bpr' and negatives='uniform', which has ids without biases"
        )
    if min(dim, content_dim) < 1:
        raise UsageError(f"vbpr's sizes must be at least 1, got dim={dim}, content_dim={content_dim}")
    loss = choose_loss(loss, statistics.num_candidates)
    if negatives is None:
        negatives = "uniform" if loss in IN_BATCH_LOSSES else "in_batch"
    # [γ_u ; θ_u1 ; … ; θ_uM] and, for candidates, [γ_i ; β_i]
    query_id = IdentifierEncoder(statistics.query_ids, dim + len(content) * content_dim, name="id")
    candidate_id = IdentifierEncoder(
        statistics.chosen_candidate_ids, dim + 1, identifier_dropout, embeddings_stddev=_STDDEV, name="id"
    )
    return TwoTower(
        Tower({"id": query_id}, SumFusion(name="fusion"), head=OneHead(name="head"), name="query_tower"),
        Tower(
            {"id": candidate_id} | content,
            BlockFusion(content_dim, direct=["id"], scale=content_scale, name="fusion"),
            name="candidate_tower",
        ),
        temperature=temperature,
        num_negatives=num_negatives,
        hard_negatives=hard_negatives,
        **loss_arguments(loss, statistics, negatives, global_batch_size, count_frequencies),
    )
