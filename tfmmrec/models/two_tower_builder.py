"""Composes a two-tower model from a schema: which encoders stand on which side, fusion, heads, loss."""

from __future__ import annotations

from collections.abc import Callable

from tfmmrec.data.statistics import Statistics
from tfmmrec.encoders.identifier import IdentifierEncoder
from tfmmrec.fusion.early import EarlyFusion
from tfmmrec.fusion.graph import GraphFusion
from tfmmrec.fusion.late_query_head import LateQueryHead
from tfmmrec.losses.mined_negatives import MinedNegatives
from tfmmrec.models.alignments import candidate_alignments
from tfmmrec.models.candidate_fusions import candidate_fusion
from tfmmrec.models.content_reference import fixed_content
from tfmmrec.models.graph_candidates import GraphIdentifier
from tfmmrec.models.history_encoders import history_encoder as encoder_of_histories
from tfmmrec.models.identifiers import check_identifiers, identifier_encoder
from tfmmrec.models.in_batch_losses import IN_BATCH_LOSSES
from tfmmrec.models.inherited_settings import inherits_settings
from tfmmrec.models.loss_choice import choose_loss, loss_arguments
from tfmmrec.models.parts import feature_encoder, feature_encoders, of_queries
from tfmmrec.models.two_tower import TwoTower
from tfmmrec.schema import Schema
from tfmmrec.towers import Tower
from tfmmrec.types import UsageError


@inherits_settings(feature_encoder)
def build_two_tower(
    schema: Schema,
    statistics: Statistics,
    make: Callable[..., TwoTower] = TwoTower,
    *,
    dim: int = 256,
    feature_dim: int = 64,
    fusion: str = "early",
    hidden_dims: tuple[int, ...] = (),
    query_hidden_dims: tuple[int, ...] = (),
    dropout: float = 0.0,
    history_dropout: float = 0.0,
    identifier_dropout: float = 0.0,
    query_identifier_dropout: float = 0.0,
    identifier: str = "table",
    identifier_buckets: int | None = None,
    query_identifier_buckets: int | None = None,
    content_weight: float = 0.5,
    content_scale: float | None = 0.1,
    query_scale: float | None = 0.02,
    query_id: bool | None = None,
    candidate_id: bool = True,
    content: bool = True,
    query_features: bool = True,
    history: bool = True,
    history_tower: bool = True,
    history_encoder: str = "mean",
    num_history_layers: int = 2,
    num_history_heads: int = 1,
    causal_history: bool = True,
    normalize: bool = False,
    loss: str = "auto",
    temperature: float | None = None,
    global_batch_size: int | None = None,
    count_frequencies: bool = True,
    negatives: str = "in_batch",
    num_negatives: int = 1024,
    num_mined: int = 8,
    mined_depth: int = 100,
    hard_negatives: int = 0,
    mask_known_positives: bool = False,
    alignment: tuple[str, ...] = (),
    alignment_weight: float = 0.1,
    **encoding,
) -> TwoTower:
    """Builds a two-tower model for a dataset.

    Args:
        schema: the dataset's description.
        statistics: what was counted of it.
        make: takes the arguments of `TwoTower`, for a model that adds something to it.
        dim: size of both towers' vectors (of each block, under late and hybrid fusion).
        feature_dim: size of each content feature's vector.
        fusion: on the candidate's side: early, late, hybrid, attention, gated, tensor, low_rank, cross_attention,
            graph, graph_concat or graph_attention.
        hidden_dims: hidden layers of the candidate's fusion, where it has any.
        query_hidden_dims: hidden layers of the query's fusion.
        dropout: in the hidden layers of both fusions, and of a history that is read as a sequence.
        history_dropout: share of a history's entries left out in training.
        identifier_dropout: share of candidate ids made absent in training.
        query_identifier_dropout: the same for query ids.
        identifier: table (a row for each id), or hashed or quotient_remainder, where ids share fewer rows, see
            `HashedIdentifier` and `QuotientRemainderIdentifier`; tpu_embedding, see `TpuIdentifier`; both sides' ids.
            fusion=graph and the like take table.
        identifier_buckets: rows that candidate ids share; a quarter of the ids when None.
        query_identifier_buckets: the same for query ids.
        content_weight: weight of the loss on content alone, see `TwoTower`.
        content_scale: length of a feature's vector in the candidates' fusions, see `EarlyFusion`.
        query_scale: the same in the queries' fusion; less, because beside a history they say little.
        query_id: the query tower sees the query's id. None: where there is no history, for beside one an id learns by
            heart what the history says already; a served model knows the histories of known ids.
        candidate_id: the candidate tower sees the candidate's id.
        content: the candidate tower sees the candidate's features.
        query_features: the query tower sees the query's features.
        history: the query tower sees the history, where the schema has one.
        history_tower: histories pool vectors of a tower of their own, with its own id embedding and projection and the
            candidate tower's encoders of content; not under sampled_softmax, bpr and hinge.
        history_encoder: mean, or, where interactions have times, transformer, gru or lstm, which read a history in its
            order, see `SequenceHistoryEncoder`.
        num_history_layers: blocks of the transformer, layers of the gru or lstm.
        num_history_heads: of the transformer's attention; must divide `dim`.
        causal_history: in the transformer an entry sees only older ones.
        normalize: both vectors have unit length (not under late and hybrid fusion).
        loss: multinomial, full_softmax, sampled_softmax, bpr or hinge, see `TwoTower`; auto is multinomial up to 20,000
            candidates, else sampled_softmax.
        temperature: the score is divided by it in the loss; 1 when None, and 0.1 where the vectors have unit length.
        global_batch_size: interactions over all replicas in a step, for the correction of the sampled softmax.
        count_frequencies: correct the sampled softmax by counted frequencies; False estimates them from the stream.
        negatives: of sampled_softmax, bpr and hinge: in_batch, uniform, popularity, mixed or mined, see
            `NegativeOptions`.
        num_negatives: how many of them are drawn in a step, unless in_batch or mined.
        num_mined: how many mined negatives each interaction has in a step.
        mined_depth: among how many of its query's highest-scoring candidates they are drawn.
        hard_negatives: only so many negatives of a row count, the highest-scoring ones; 0 for all.
        mask_known_positives: candidates in a query's history are no negatives of it.
        alignment: of the candidate's content features, before the fusion: some of subspace, contrastive, adversarial,
            adversarial_alternating and conversion, one after the other.
        alignment_weight: of each of their losses.
        **encoding: of candidates' features, as `feature_encoder` takes it; those of queries are encoded in every step.

    Raises:
        UsageError: an unknown fusion, loss, alignment, identifier, encoder of histories or kind of negatives, buckets
            of no ids, a side left without any part, graphs of aligned content or of shared rows, or a history to be
            read in its order where there is none.
    """
    if history_encoder != "mean" and not history:
        raise UsageError(f"history_encoder={history_encoder} reads histories, but history=False leaves them out")
    query_id = not (history and schema.queries.history) if query_id is None else query_id
    check_identifiers(
        identifier,
        {"identifier_buckets": identifier_buckets, "query_identifier_buckets": query_identifier_buckets},
        {"identifier_buckets": candidate_id, "query_identifier_buckets": query_id},
    )
    fusing = candidate_fusion(fusion, dim, hidden_dims, dropout, content_scale)
    loss = choose_loss(loss, statistics.num_candidates)
    live = of_queries(encoding)

    candidate_encoders = {}
    if candidate_id:
        if isinstance(fusing, GraphFusion) and identifier != "table":
            raise UsageError(
                f"fusion={fusion} finds candidates by their rows in a table: take identifier=table, got {identifier!r}"
            )
        candidate_encoders["id"] = identifier_encoder(
            identifier,
            statistics.chosen_candidate_ids,
            dim,
            identifier_buckets,
            dropout=identifier_dropout,
            table=GraphIdentifier if isinstance(fusing, GraphFusion) else IdentifierEncoder,
        )
    if content:
        candidate_encoders |= feature_encoders(
            schema.candidates.features, statistics.candidates, feature_dim, **encoding
        )
    if isinstance(fusing, GraphFusion):
        if alignment:
            raise UsageError(f"fusion={fusion} keeps content as its encoders give it; leave out the alignment of it")
        known = len(statistics.chosen_candidate_ids) if candidate_id else statistics.num_candidates
        fusing.set_graphs(fixed_content(candidate_encoders), max(known, 1))
    pooling_tower = None
    if history and history_tower and schema.queries.history is not None and loss not in IN_BATCH_LOSSES:
        own_id = {}
        if candidate_id:
            own_id["id"] = identifier_encoder(identifier, statistics.chosen_candidate_ids, dim, identifier_buckets)
        pooling_tower = Tower(
            candidate_encoders | own_id,
            EarlyFusion(dim=dim, direct=["id"], scale=content_scale, name="fusion"),
            name="history_tower",
        )
    query_encoders = {}
    if query_id:
        query_encoders["id"] = identifier_encoder(
            identifier, statistics.query_ids, dim, query_identifier_buckets, dropout=query_identifier_dropout
        )
    if query_features:
        query_encoders |= feature_encoders(schema.queries.features, statistics.queries, feature_dim, **live)
    reader = encoder_of_histories(
        history_encoder,
        schema,
        history_dropout,
        dim=dim,
        num_layers=num_history_layers,
        num_heads=num_history_heads,
        hidden_dropout=dropout,
        causal=causal_history,
    )
    if history and reader is not None:
        query_encoders["history"] = reader

    late = getattr(fusing, "stands_last", False)
    num_blocks = len(candidate_encoders) + (fusion == "hybrid")
    head = LateQueryHead(num_blocks=num_blocks, dim=dim, name="head") if late else None
    # a mean of the candidates' own vectors needs a projection, or it could find only what is like it
    direct = ["history"] if pooling_tower is not None or history_encoder != "mean" else []
    if "history" not in query_encoders:  # beside a history, a vector of every query's own would learn by heart
        direct.append("id")
    mined = MinedNegatives(len(statistics.query_ids), mined_depth, num_mined) if negatives == "mined" else None
    return make(
        Tower(
            query_encoders,
            EarlyFusion(
                dim=dim,
                hidden_dims=query_hidden_dims,
                direct=direct,
                scale=query_scale,
                dropout=dropout,
                name="fusion",
            ),
            head=head,
            normalize=normalize and not late,
            name="query_tower",
        ),
        Tower(
            candidate_encoders,
            fusing,
            normalize=normalize and not late,
            alignments=candidate_alignments(alignment, feature_dim, alignment_weight),
            name="candidate_tower",
        ),
        history_tower=pooling_tower,
        temperature=(0.1 if late or normalize else 1.0) if temperature is None else temperature,
        content_weight=content_weight,
        num_negatives=num_negatives,
        mined=mined,
        hard_negatives=hard_negatives,
        mask_known_positives=mask_known_positives,
        **loss_arguments(loss, statistics, negatives, global_batch_size, count_frequencies),
    )


_OF_IDS = ("candidate_id", "query_id", "identifier", "identifier_buckets", "query_identifier_buckets")


@inherits_settings(build_two_tower, without=_OF_IDS)
def build_content_only(
    schema: Schema, statistics: Statistics, *, content_scale: float | None = 1.0, **settings
) -> TwoTower:
    """Builds a two-tower model without ids.

    Args:
        schema: the dataset's description.
        statistics: what was counted of it.
        content_scale: length of a feature's vector in the candidates' fusion, see `EarlyFusion`; all of it, since no
            id stands beside it.
        **settings: as `build_two_tower` takes them.
    """
    return build_two_tower(
        schema, statistics, candidate_id=False, query_id=False, content_scale=content_scale, **settings
    )
