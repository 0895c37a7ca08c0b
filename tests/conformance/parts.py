"""Every encoder and every fusion, listed once, with what it takes as input; the encoders in `encoders.py`.

The tests beside this file go over these lists. A new part needs one row here, and is then held to every property.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfmmrec.fusion import (
    AttentionFusion,
    BesideFactors,
    BesideHistory,
    BlockFusion,
    CrossAttentionFusion,
    EarlyFusion,
    FieldsFusion,
    GatedFusion,
    GraphFusion,
    HybridFusion,
    LateFusion,
    LateQueryHead,
    LowRankFusion,
    OneHead,
    SumFusion,
    TensorFusion,
)

MODALITIES = {"look": 3, "price": 2, "words": 4}
"""Name -> size, in the order of the names."""
PATTERNS = np.array([[row >> bit & 1 for bit in range(3)] for row in range(8)], bool)
"""Every combination of present modalities, `[8, 3]`; the first has none."""


def embedded(seed: int = 0, absent: float = 0.0, patterns: np.ndarray = PATTERNS) -> dict[str, dict[str, tf.Tensor]]:
    """Modalities of every presence pattern; `absent` is what stands in the vectors of those that are not there."""
    random = np.random.default_rng(seed)
    parts = {}
    for place, (name, dim) in enumerate(MODALITIES.items()):
        vectors = random.normal(size=(len(patterns), dim)).astype(np.float32)
        present = patterns[:, place]
        vectors[~present] = absent
        parts[name] = {"vector": tf.constant(vectors), "present": tf.constant(present)}
    return parts


SEQUENCES = {"look": (3, 5), "words": (2, 4)}
"""Of the modalities, those that have sequences -> their length and the size of their tokens."""


def embedded_with_sequences(
    seed: int = 0, absent: float = 0.0, patterns: np.ndarray = PATTERNS
) -> dict[str, dict[str, tf.Tensor]]:
    """The same with sequences, most of them shorter than their room; `absent` stands behind their ends too."""
    random, parts = np.random.default_rng(100 + seed), embedded(seed, absent, patterns)
    rows = np.arange(len(patterns))[:, None]
    for name, (length, dim) in SEQUENCES.items():
        present = patterns[:, list(MODALITIES).index(name), None]
        mask = present & (np.arange(length) <= rows % length)  # [batch, length]
        tokens = random.normal(size=(len(patterns), length, dim)).astype(np.float32)
        tokens[~mask] = absent
        parts[name] |= {"sequence": tf.constant(tokens), "sequence_mask": tf.constant(mask)}
    return parts


@dataclass(frozen=True)
class FusionPart:
    """One fusion.

    Attributes:
        name: of the row.
        make: -> a new fusion.
        full_precision: its result is float32 under mixed precision too, else it has the compute dtype.
    """

    name: str
    make: Callable[[], Any]
    full_precision: bool = False

    def inputs(self, **options) -> Any:
        """What `call` takes: modalities, one row for each presence pattern."""
        return embedded(**options)


class SequencePart(FusionPart):
    """A fusion that reads sequences where there are any."""

    def inputs(self, **options) -> Any:
        return embedded_with_sequences(**options)


class FactorsPart(FusionPart):
    """A fusion of modalities of which one, the words, has factors and says whether they are known."""

    def inputs(self, **options) -> Any:
        parts, absent = embedded(**options), options.get("absent", 0.0)
        words = parts["words"]
        factors = tf.where(words["present"][:, None], 2.0 * words["vector"][:, :2], absent)
        return parts | {"words": words | {"factors": factors, "known": words["present"]}}


class OneSizePart(FusionPart):
    """A fusion of modalities that have one size already."""

    def inputs(self, **options) -> Any:
        most = max(MODALITIES.values())
        parts = embedded(**options)
        for part in parts.values():
            part["vector"] = tf.pad(part["vector"], [(0, 0), (0, most - part["vector"].shape[1])], constant_values=0.5)
        return parts


class HeadPart(FusionPart):
    """The query's side takes one fused vector; nothing is missing in it."""

    def inputs(self, **options) -> Any:
        return tf.concat([part["vector"] for part in embedded(patterns=np.ones((8, 3), bool)).values()], axis=1)


def with_graphs(fusion: GraphFusion) -> GraphFusion:
    """With graphs of two modalities, over candidates of its own."""
    content = embedded(seed=7)
    fusion.set_graphs(["look", "price"], len(PATTERNS))
    fusion(content)  # creates the weights
    for name in fusion.graphs:
        fusion.set_content(name, content[name]["vector"].numpy(), content[name]["present"].numpy())
    return fusion


def with_content(fusion: BesideFactors) -> BesideFactors:
    """With factors that content predicts."""
    fusion(FactorsPart("", lambda: fusion).inputs())  # creates the weights
    fusion.content_map.assign(np.random.default_rng(6).normal(size=fusion.content_map.shape))
    return fusion


FUSIONS: list[FusionPart] = [
    FusionPart("early", lambda: EarlyFusion(5)),
    FusionPart("early with hidden layers", lambda: EarlyFusion(5, [8, 6], activation="tanh", dropout=0.2)),
    FusionPart("late", lambda: LateFusion(4), full_precision=True),
    FusionPart("hybrid", lambda: HybridFusion(4, [6], dropout=0.2), full_precision=True),
    FusionPart("attention", lambda: AttentionFusion(4, 6, direct=["words"], dropout=0.2)),
    FusionPart("attention over short content", lambda: AttentionFusion(4, direct=["words"], scale=0.1)),
    FusionPart("gated", lambda: GatedFusion(5, dropout=0.2)),
    FusionPart("gated over short content", lambda: GatedFusion(4, direct=["words"], scale=0.1)),
    FusionPart("tensor", lambda: TensorFusion(5, modality_dim=2, scale=1.0)),
    FusionPart("tensor beside what is added", lambda: TensorFusion(4, direct=["words"], scale=0.5, max_size=40)),
    FusionPart("low rank", lambda: LowRankFusion(5, rank=2)),
    FusionPart("low rank beside what is added", lambda: LowRankFusion(4, rank=3, direct=["words"], scale=0.5)),
    FusionPart("cross attention", lambda: CrossAttentionFusion(4, 2)),
    FusionPart("cross attention over short content", lambda: CrossAttentionFusion(4, 1, direct=["words"], scale=0.1)),
    SequencePart("cross attention of sequences", lambda: CrossAttentionFusion(4, 2)),
    SequencePart("cross attention of all tokens", lambda: CrossAttentionFusion(6, 3, hierarchical=False, scale=1.0)),
    FusionPart("graph", lambda: with_graphs(GraphFusion(5, activation="tanh"))),
    FusionPart("graph, concatenated", lambda: with_graphs(GraphFusion(4, "concat", direct=["words"], scale=0.5))),
    FusionPart("graph, attended", lambda: with_graphs(GraphFusion(4, "attention", activation="tanh"))),
    FusionPart("block", lambda: BlockFusion(5, direct=["words"])),
    FusionPart("block of short content", lambda: BlockFusion(4, scale=0.1)),
    FusionPart("fields", lambda: FieldsFusion(5)),
    FusionPart("fields of short content", lambda: FieldsFusion(4, direct=["words"], scale=0.1)),
    FactorsPart("beside factors", lambda: with_content(BesideFactors(EarlyFusion(5), 2, direct="words"))),
    FusionPart("beside a history", lambda: BesideHistory(EarlyFusion(5, dropout=0.2), 3, 1, history="words")),
    OneSizePart("sum", lambda: SumFusion()),
    HeadPart("one head", lambda: OneHead()),
    HeadPart("late query head", lambda: LateQueryHead(3, 4), full_precision=True),
]
FUSIONS_OF_MODALITIES = [part for part in FUSIONS if not isinstance(part, HeadPart)]


def arrays(tensors) -> Any:
    """Tensors in any structure, as arrays."""
    return tf.nest.map_structure(lambda tensor: tensor.numpy(), tensors)


def by_name(part) -> str:
    """What a test is called by."""
    return part.name
