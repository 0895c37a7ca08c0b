"""Cross-attention fusion: the tokens of each modality look at those of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfmmrec.fusion.tokens import Tokens
from tfmmrec.masked_attention import AttentionPooling, MultiHeadAttention
from tfmmrec.types import Embedded, UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class CrossAttentionFusion(tf.keras.layers.Layer):
    """Attention within each modality, then between them, then over them (Vaswani et al. 2017; ViLBERT, Lu et al. 2019).

    1. T_m: a modality's sequence, or its vector as a sequence of one, brought to one size (`Tokens`).
    2. S_m = T_m + Attention_m(T_m, T_m): self-attention, with weights of its own for every modality. A sequence of one
       has none: over itself alone, attention is one more linear map behind the projection.
    3. C_m = S_m + Attention(S_m, S_others): cross-modal attention, tokens asking those of all other modalities.
    4. e = Σ_i a_i c_i over all tokens, a a masked softmax of learned scores (`AttentionPooling`).

    Hierarchical: each S_m is pooled to one vector by a step 4 of its own, and steps 3 and 4 are between those.
    There is no normalisation of layers: it would undo `scale`. Tokens carry no position but what their encoder gives
    them. Sequences need encoders that run with the towers, since of what is cached there is the vector alone; where
    no modality has a sequence, both forms are the same attention between single vectors. For each row the scores are
    num_heads · n² numbers, n being the tokens of one modality, and those of all if not hierarchical.

    Args:
        dim: size of the result and of the tokens.
        num_heads: of every attention; must divide `dim`.
        hierarchical: within a modality first, then between the modalities' summaries; else between all tokens.
        direct: modalities that are taken as they are, see `Tokens`.
        scale: length of the others' tokens before their projection, see `Tokens`.

    Raises:
        UsageError: a number below 1, heads that do not divide `dim`, no modality, or a direct modality of another size
            than `dim`.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int = 4,
        hierarchical: bool = True,
        direct: Sequence[str] = (),
        scale: float | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.dim = dim
        self.num_heads = num_heads
        self.hierarchical = hierarchical
        self.direct = tuple(direct)
        self.scale = scale
        self.tokens = Tokens(dim, direct=self.direct, scale=scale, name="tokens")
        self.across = MultiHeadAttention(dim, num_heads, name="across")
        self.within: dict[str, MultiHeadAttention] = {}
        self.summaries: dict[str, AttentionPooling] = {}
        self.pooling: AttentionPooling | None = None

    def build(self, input_shape):
        if not input_shape:
            raise UsageError("a fusion needs at least one modality, got none; give the tower an encoder")
        sizes = {name: shapes["sequence"][1] if "sequence" in shapes else 1 for name, shapes in input_shape.items()}
        sizes = dict(sorted(sizes.items()))
        for place, (name, size) in enumerate(sizes.items()):
            if size > 1:
                self.within[name] = MultiHeadAttention(self.dim, self.num_heads, name=f"within_{place}")
                if self.hierarchical:
                    self.summaries[name] = AttentionPooling(self.dim, (size,), name=f"summary_{place}")
        groups = [1] * len(sizes) if self.hierarchical else list(sizes.values())
        self.pooling = AttentionPooling(self.dim, groups, name="pooling")
        super().build(input_shape)

    def call(self, embedded: Mapping[str, Embedded], training: bool | None = None) -> tf.Tensor:
        """Modalities of any sizes, with sequences or without -> `[batch, dim]`, zero where nothing is there."""
        tokens, masks, modality_of = [], [], []
        for place, (name, (own, mask)) in enumerate(zip(sorted(embedded), self.tokens(embedded), strict=True)):
            if name in self.within:
                own += self.within[name](own, own, mask[:, None])  # [batch, n_m, dim]
            if name in self.summaries:
                own = self.summaries[name](own, mask)[:, None]  # [batch, 1, dim]
                mask = tf.reduce_any(mask, axis=1, keepdims=True)  # [batch, 1]
            tokens.append(own)
            masks.append(mask)
            modality_of += [place] * own.shape[1]
        tokens, mask = tf.concat(tokens, axis=1), tf.concat(masks, axis=1)  # [batch, n, dim], [batch, n]
        if len(embedded) > 1:
            others = np.not_equal.outer(modality_of, modality_of)  # [n, n]
            tokens += self.across(tokens, tokens, others & mask[:, None])
        return self.pooling(tokens, mask)

    def get_config(self):
        return super().get_config() | {
            "dim": self.dim,
            "num_heads": self.num_heads,
            "hierarchical": self.hierarchical,
            "direct": list(self.direct),
            "scale": self.scale,
        }
