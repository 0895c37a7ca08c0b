"""The candidate's fusions by name, as hyperparameters and the command line call them."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Sequence

import tensorflow as tf

from tfmmrec.fusion.attention import AttentionFusion
from tfmmrec.fusion.cross_attention import CrossAttentionFusion
from tfmmrec.fusion.early import EarlyFusion
from tfmmrec.fusion.gated import GatedFusion
from tfmmrec.fusion.graph import GraphFusion
from tfmmrec.fusion.hybrid import HybridFusion
from tfmmrec.fusion.late import LateFusion
from tfmmrec.fusion.low_rank import LowRankFusion
from tfmmrec.fusion.tensor import TensorFusion
from tfmmrec.types import UsageError

DIRECT = ("id",)  # an id's embedding has the result's size already
MOST_HEADS = 4  # fewer where they would not divide dim
TENSOR_SIZE = 8192  # numbers for each candidate: all candidates' products stand in memory in a step over a catalogue

FUSIONS: dict[str, Callable[..., tf.keras.layers.Layer]] = {
    "early": lambda dim, hidden_dims, dropout, scale: EarlyFusion(
        dim, hidden_dims, direct=DIRECT, scale=scale, dropout=dropout, name="fusion"
    ),
    "late": lambda dim, hidden_dims, dropout, scale: LateFusion(dim, name="fusion"),
    "hybrid": lambda dim, hidden_dims, dropout, scale: HybridFusion(dim, hidden_dims, dropout, name="fusion"),
    "attention": lambda dim, hidden_dims, dropout, scale: AttentionFusion(
        dim, direct=DIRECT, scale=scale, dropout=dropout, name="fusion"
    ),
    "gated": lambda dim, hidden_dims, dropout, scale: GatedFusion(
        dim, direct=DIRECT, scale=scale, dropout=dropout, name="fusion"
    ),
    "tensor": lambda dim, hidden_dims, dropout, scale: TensorFusion(
        dim, direct=DIRECT, scale=scale, max_size=TENSOR_SIZE, name="fusion"
    ),
    "low_rank": lambda dim, hidden_dims, dropout, scale: LowRankFusion(dim, direct=DIRECT, scale=scale, name="fusion"),
    "cross_attention": lambda dim, hidden_dims, dropout, scale: CrossAttentionFusion(
        dim, math.gcd(dim, MOST_HEADS), direct=DIRECT, scale=scale, name="fusion"
    ),
    "graph": lambda dim, hidden_dims, dropout, scale: GraphFusion(dim, direct=DIRECT, scale=scale, name="fusion"),
    "graph_concat": lambda dim, hidden_dims, dropout, scale: GraphFusion(
        dim, "concat", direct=DIRECT, scale=scale, name="fusion"
    ),
    "graph_attention": lambda dim, hidden_dims, dropout, scale: GraphFusion(
        dim, "attention", direct=DIRECT, scale=scale, name="fusion"
    ),
}
"""Name -> (dim, hidden_dims, dropout, scale) -> a new layer; each takes of them what it has."""


def candidate_fusion(
    fusion: str, dim: int, hidden_dims: Sequence[int] = (), dropout: float = 0.0, scale: float | None = None
) -> tf.keras.layers.Layer:
    """A new fusion by its name.

    Args:
        fusion: a name of `FUSIONS`.
        dim: size of the result, or of each block under late and hybrid fusion.
        hidden_dims: hidden layers, where the fusion has any.
        dropout: in them.
        scale: length that a feature's vector is brought to, where the fusion has such a setting; see `EarlyFusion`.

    Raises:
        UsageError: no such fusion.
    """
    if fusion not in FUSIONS:
        near = difflib.get_close_matches(fusion.lower().removesuffix("fusion"), list(FUSIONS), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"fusion must be one of {', '.join(FUSIONS)}, got {fusion!r}{hint}")
    return FUSIONS[fusion](dim, hidden_dims, dropout, scale)
