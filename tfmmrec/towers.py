"""One side of a two-tower model."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from tfmmrec.encoders.encoder import Encoder
from tfmmrec.types import UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class Tower(tf.keras.layers.Layer):
    """Encoders, fusion and head: features -> `[batch, dim]`. Query and candidate are two instances of it.

    Args:
        encoders: feature name -> encoder.
        fusion: a layer from the embedded modalities to `[batch, dim]`.
        head: a layer after the fusion, or None.
        normalize: scale the result to unit length.

    Raises:
        UsageError: no encoder; or a head or normalisation after a fusion that must stand last (late, hybrid).
    """

    def __init__(
        self,
        encoders: Mapping[str, Encoder],
        fusion: tf.keras.layers.Layer,
        head: tf.keras.layers.Layer | None = None,
        normalize: bool = False,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)  # encoders read their tensors in full precision
        if not encoders:
            raise UsageError(f"{self.name} needs at least one encoder; give the side an id or a feature")
        if getattr(fusion, "stands_last", False) and (head is not None or normalize):
            raise UsageError(
                f"{type(fusion).__name__} gives one block per modality whose weighted sum is the score; a head or "
                f"normalisation after it would break that: leave out head and set normalize=False"
            )
        self.encoders = dict(encoders)
        self.fusion = fusion
        self.head = head
        self.normalize = normalize

    @property
    def cached_features(self) -> tuple[str, ...]:
        """Features whose encoder runs once for each row, before training."""
        return tuple(name for name, encoder in self.encoders.items() if getattr(encoder, "mode", None) == "cached")

    def build_from_raw(self, extra: Mapping[str, Mapping[str, tf.Tensor]] | None = None) -> int:
        """Creates every weight by embedding one empty row; `extra` holds tensors for features without raw values.

        Returns:
            The size of the tower's vectors.
        """
        specs = {name: spec for name, spec in self.raw_signature().items() if name not in (extra or {})}
        raw = {
            name: tf.fill([1, *spec.shape[1:]], "") if spec.dtype == tf.string else tf.zeros([1, *spec.shape[1:]])
            for name, spec in specs.items()
        }
        return int(self(self.preprocess(raw) | dict(extra or {}), training=False).shape[-1])

    def raw_signature(self) -> dict[str, tf.TensorSpec]:
        """Feature name -> dtype and shape of its raw batch."""
        return {name: encoder.raw_spec() for name, encoder in sorted(self.encoders.items())}

    def preprocess(self, raw: Mapping[str, tf.Tensor]) -> dict[str, dict[str, tf.Tensor]]:
        """Raw features `[batch, ...]` -> numeric tensors by feature."""
        return {name: self.encoders[name].preprocess(value) for name, value in raw.items()}

    def encode(self, inputs: Mapping[str, Mapping[str, tf.Tensor]], training: bool | None = None) -> dict:
        """Numeric tensors by feature -> embedded modalities. A feature that brings its `vector` is cached.

        Of a cached feature there is the vector alone, where its encoder runs too: a fusion is served what it was
        trained on.
        """
        missing = sorted(set(self.encoders) - set(inputs))
        if missing:
            raise UsageError(f"{self.name} expects the features {sorted(self.encoders)}, these are missing: {missing}")
        embedded = {
            name: dict(inputs[name]) if "vector" in inputs[name] else encoder(inputs[name], training=training)
            for name, encoder in sorted(self.encoders.items())
        }
        for name in self.cached_features:
            embedded[name] = {key: part for key, part in embedded[name].items() if not key.startswith("sequence")}
        return embedded

    def call(self, inputs: Mapping[str, Mapping[str, tf.Tensor]], training: bool | None = None) -> tf.Tensor:
        fused = self.fusion(self.encode(inputs, training), training=training)  # [batch, fused_dim]
        if self.head is not None:
            fused = self.head(fused, training=training)
        if self.normalize:  # in float32: half precision has no epsilon to keep a row of zeros from 0 / 0
            fused = tf.math.l2_normalize(tf.cast(fused, tf.float32), axis=-1)
        return fused

    def get_config(self):
        serialize = tf.keras.layers.serialize
        return super().get_config() | {
            "encoders": {name: serialize(encoder) for name, encoder in self.encoders.items()},
            "fusion": serialize(self.fusion),
            "head": None if self.head is None else serialize(self.head),
            "normalize": self.normalize,
        }

    @classmethod
    def from_config(cls, config):
        deserialize = tf.keras.layers.deserialize
        config = dict(config)
        config["encoders"] = {name: deserialize(encoder) for name, encoder in config["encoders"].items()}
        config["fusion"] = deserialize(config["fusion"])
        config["head"] = None if config["head"] is None else deserialize(config["head"])
        return cls(**config)
