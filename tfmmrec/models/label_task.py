"""What is written of a candidate, its tags or its category, predicted from its content as a task beside retrieval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfmmrec.types import UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class LabelTask(tf.keras.layers.Layer):
    """logits = W c + b, where c is the candidate tower's vector of the `sources` alone.

    The tower is shared with the retrieval, and everything but the sources is absent in this call of it (`only`), so
    that nothing is predicted from itself, also where the feature stands among what the retrieval's vector is made of.

    The loss of a candidate is −log of the likelihood of its labels: with several, the sum of the sigmoid
    cross-entropies over all labels, each of which it may have or not; else the softmax cross-entropy. Without any
    label, or without any source, a candidate has no loss.

    Args:
        feature: a category or an identifier of candidates, whose values are the labels.
        sources: features of candidates that predict it.
        num_labels: the first so many values of the feature's vocabulary, which are its most frequent ones; others are
            taken as missing.
        several: whether a candidate may have more than one.

    Raises:
        UsageError: no labels, no sources, or the feature among them.
    """

    def __init__(self, feature: str, sources: Sequence[str], num_labels: int, several: bool = False, **kwargs):
        super().__init__(**({"dtype": "float32"} | kwargs))
        if num_labels < 1:
            raise UsageError(f"{feature}: a task needs at least one label, got {num_labels}")
        if not sources or feature in sources:
            raise UsageError(f"{feature} must be predicted from other features, got {', '.join(sources) or 'none'}")
        self.feature = feature
        self.sources = tuple(sources)
        self.num_labels = num_labels
        self.several = several
        self.output_layer = tf.keras.layers.Dense(num_labels, dtype=self.dtype_policy, name="output")

    def call(self, vectors: tf.Tensor) -> tf.Tensor:
        """Vectors of the sources alone, `[n, dim]` -> logits float32 `[n, num_labels]`."""
        return self.output_layer(vectors)

    def only(self, embedded: Mapping[str, Mapping]) -> dict[str, dict]:
        """Embedded modalities, of which all but the sources are absent."""
        return {name: dict(part) if name in self.sources else _absent(part) for name, part in embedded.items()}

    def codes(self, features: Mapping[str, Mapping]) -> tf.Tensor:
        """Preprocessed features -> the labels, int32 `[n, num_values]`, -1 for none."""
        codes = features[self.feature]
        codes = codes["codes"] if "codes" in codes else codes["row"][:, None]  # an identifier has one
        return tf.where(codes < self.num_labels, codes, -1)

    def losses(self, logits: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
        """`[n, num_labels]` and int32 `[n, num_values]` -> float32 `[n]`, 0 where there is no label."""
        if self.several:
            # Σ_v softplus(x_v) − Σ_true x_v, which needs no matrix of truths; a label that a row has twice counts once
            own = tf.gather(logits, tf.maximum(codes, 0), batch_dims=1) * tf.cast(_once(codes), logits.dtype)
            losses = tf.reduce_sum(tf.math.softplus(logits), axis=1) - tf.reduce_sum(own, axis=1)
        else:
            labels = tf.maximum(codes[:, 0], 0)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        return tf.where(_is_labelled(codes), losses, 0.0)

    def counted(self, embedded: Mapping[str, Mapping], codes: tf.Tensor) -> tf.Tensor:
        """Which candidates have a label and a source to predict it from, bool `[n]`."""
        present = tf.stack([embedded[name]["present"] for name in self.sources], axis=1)
        return _is_labelled(codes) & tf.reduce_any(present, axis=1)

    def get_config(self):
        return super().get_config() | {
            "feature": self.feature,
            "sources": list(self.sources),
            "num_labels": self.num_labels,
            "several": self.several,
        }


def _is_labelled(codes: tf.Tensor) -> tf.Tensor:
    return tf.reduce_any(codes >= 0, axis=1)


def _once(codes: tf.Tensor) -> tf.Tensor:
    """Which of a row's codes are labels that do not stand before in it, bool `[n, num_values]`."""
    same = codes[:, :, None] == codes[:, None, :]  # [n, num_values, num_values]
    before = tf.linalg.band_part(tf.cast(same, tf.int32), -1, 0) - tf.linalg.band_part(tf.cast(same, tf.int32), 0, 0)
    return (codes >= 0) & (tf.reduce_sum(before, axis=2) == 0)


def _absent(part: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    part = dict(part) | {"present": tf.zeros_like(part["present"])}
    return part | ({"sequence_mask": tf.zeros_like(part["sequence_mask"])} if "sequence_mask" in part else {})
