"""Fusions: the embedded modalities of one side to one vector, masked by presence."""

from tfmmrec._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "AttentionFusion": "attention",
        "BesideFactors": "beside_factors",
        "BesideHistory": "beside_history",
        "BlockFusion": "block",
        "CrossAttentionFusion": "cross_attention",
        "EarlyFusion": "early",
        "FieldsFusion": "fields",
        "GatedFusion": "gated",
        "GraphFusion": "graph",
        "HybridFusion": "hybrid",
        "LateFusion": "late",
        "LateQueryHead": "late_query_head",
        "LowRankFusion": "low_rank",
        "OneHead": "one_head",
        "SumFusion": "sum",
        "TensorFusion": "tensor",
    },
)
