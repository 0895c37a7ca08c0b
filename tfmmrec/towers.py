"""One side of a two-tower model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfmmrec.encoders.encoder import Encoder
from tfmmrec.losses.negatives import first_occurrences
from tfmmrec.replicas import of_all_replicas
from tfmmrec.types import UsageError


@tf.keras.utils.register_keras_serializable("tfmmrec")
class Tower(tf.keras.layers.Layer):
    """Encoders, fusion and head: features -> `[batch, dim]`. Query and candidate are two instances of it.

    Args:
        encoders: feature name -> encoder.
        fusion: a layer from the embedded modalities to `[batch, dim]`.
        head: a layer after the fusion, or None.
        normalize: scale the result to unit length.
        alignments: layers from embedded modalities to embedded modalities, applied one after the other between the
            encoders and the fusion; in training each adds its loss. Keras keeps the losses of a tower's last call
            only: a model that calls its tower twice in a step makes the call whose losses it wants the last one, and
            the others with `alignments_learn=False`.

    Raises:
        UsageError: no encoder; or a head or normalisation after a fusion that must stand last (late, hybrid).
    """

    def __init__(
        self,
        encoders: Mapping[str, Encoder],
        fusion: tf.keras.layers.Layer,
        head: tf.keras.layers.Layer | None = None,
        normalize: bool = False,
        alignments: Sequence[tf.keras.layers.Layer] = (),
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
        self.alignments = list(alignments)

    @property
    def cached_features(self) -> tuple[str, ...]:
        """Features whose encoder runs once for each row, before training."""
        return tuple(name for name, encoder in self.encoders.items() if getattr(encoder, "mode", None) == "cached")

    @property
    def reads_terms(self) -> bool:
        """Whether the fusion reads the modalities' sparse form, which tables of cached features then hold too."""
        return getattr(self.fusion, "reads_terms", False)

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

        Of a cached feature there is the vector alone (and terms, for a fusion that reads them), where its encoder runs
        too: a fusion is served what it was trained on. Vectors in tables are centred already, where an
        encoder's are.
        """
        missing = sorted(set(self.encoders) - set(inputs))
        if missing:
            raise UsageError(f"{self.name} expects the features {sorted(self.encoders)}, these are missing: {missing}")
        raw = sorted(name for name in self.encoders if not isinstance(inputs[name], Mapping))
        if raw:
            raise UsageError(
                f"{self.name} takes of each feature what its encoder's preprocess gives, but {', '.join(raw)} "
                f"{'is' if len(raw) == 1 else 'are'} raw: pass {self.name}.preprocess(...) of them"
            )
        embedded = {name: self.encode_feature(name, inputs[name], training) for name in sorted(self.encoders)}
        for name, part in embedded.items():
            unread = (() if self.reads_terms else ("term",)) + (("sequence",) if name in self.cached_features else ())
            embedded[name] = {key: value for key, value in part.items() if not key.startswith(unread)}
        return embedded

    def encode_feature(self, name: str, inputs: Mapping[str, tf.Tensor], training: bool | None = None) -> dict:
        """One feature's numeric tensors -> the embedded modality; one that brings its `vector` stays as it is."""
        if "vector" in inputs:
            return dict(inputs)
        encoder = self.encoders[name]
        embedded = dict(encoder(inputs, training=training))
        centering = getattr(encoder, "centering", None)
        if centering is not None:
            embedded["vector"] = centering(embedded["vector"], embedded["present"])
        return embedded

    def _align(self, embedded: dict, training: bool | None = None, rows: tf.Tensor | None = None) -> dict:
        if not self.alignments:
            return embedded
        if not training or rows is None:
            return self._aligned(embedded, None, training)
        untouched = set.intersection(*(set(getattr(layer, "exclude", ())) for layer in self.alignments))
        looked_at = {name: part for name, part in embedded.items() if name not in untouched}
        everywhere, counted = _of_all_replicas(looked_at, rows)
        aligned = self._aligned(everywhere, counted, training)
        own = {name: {key: _own_rows(tensor) for key, tensor in part.items()} for name, part in aligned.items()}
        return {name: dict(part) | own.get(name, {}) for name, part in embedded.items()}

    def call(
        self,
        inputs: Mapping[str, Mapping[str, tf.Tensor]],
        training: bool | None = None,
        rows: tf.Tensor | None = None,
        alignments_learn: bool = True,
    ) -> tf.Tensor:
        """Features -> `[batch, dim]`.

        Args:
            inputs: numeric tensors by feature, or embedded modalities.
            training: dropout is on, and alignments add their losses.
            rows: int32 `[batch]`, which entity each row is, -1 for padding. Given, alignments count each once over all
                replicas; None where every replica has the same rows, all different.
            alignments_learn: False where this is not the call of a training step whose alignments' losses count.
        """
        embedded = self._align(self.encode(inputs, training), training and alignments_learn, rows)
        fused = self.fusion(embedded, training=training)  # [batch, fused_dim]
        if self.head is not None:
            fused = self.head(fused, training=training)
        return _unit(fused) if self.normalize else fused

    def _aligned(self, embedded: dict, counted: tf.Tensor | None, training: bool | None) -> dict:
        for alignment in self.alignments:
            # vectors are aligned: a fusion that prefers sequences would pass by what was made of them
            embedded = {
                name: {key: value for key, value in part.items() if not key.startswith("sequence")}
                if name not in getattr(alignment, "exclude", ())
                else part
                for name, part in embedded.items()
            }
            embedded = alignment(embedded, counted=counted, training=training)
        return embedded

    def get_config(self):
        serialize = tf.keras.layers.serialize
        return super().get_config() | {
            "encoders": {name: serialize(encoder) for name, encoder in self.encoders.items()},
            "fusion": serialize(self.fusion),
            "head": None if self.head is None else serialize(self.head),
            "normalize": self.normalize,
            "alignments": [serialize(alignment) for alignment in self.alignments],
        }

    @classmethod
    def from_config(cls, config):
        deserialize = tf.keras.layers.deserialize
        config = dict(config)
        config["encoders"] = {name: deserialize(encoder) for name, encoder in config["encoders"].items()}
        config["fusion"] = deserialize(config["fusion"])
        config["head"] = None if config["head"] is None else deserialize(config["head"])
        config["alignments"] = [deserialize(alignment) for alignment in config["alignments"]]
        return cls(**config)


def _unit(vectors: tf.Tensor) -> tf.Tensor:
    """Vectors of unit length, in float32; a row of zeros stays one and gets no gradient, which would be boundless."""
    vectors = tf.cast(vectors, tf.float32)
    square = tf.reduce_sum(tf.square(vectors), axis=-1, keepdims=True)
    is_zero = square < 1e-12
    return tf.where(is_zero, 0.0, vectors * tf.math.rsqrt(tf.where(is_zero, 1.0, square)))


def _of_all_replicas(embedded: Mapping[str, Mapping[str, tf.Tensor]], rows: tf.Tensor) -> tuple[dict, tf.Tensor]:
    """Vectors and presence of all replicas' rows, in the replicas' order, and which of the rows count.

    A row that several replicas have counts once, padding never: every replica has the same before it, so that the
    losses of all are those of one.
    """
    rows = of_all_replicas(rows)
    everywhere = {}
    for name, part in sorted(embedded.items()):
        present = of_all_replicas(tf.cast(part["present"], tf.int32)) > 0  # not all devices gather bool
        everywhere[name] = {"vector": of_all_replicas(part["vector"]), "present": present}
    return everywhere, first_occurrences(rows) & (rows >= 0)


def _own_rows(tensor: tf.Tensor) -> tf.Tensor:
    """This replica's share of the rows of all, `[replicas * batch, ...]` -> `[batch, ...]`."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return tensor
    batch = (tensor.shape[0] or tf.shape(tensor)[0]) // context.num_replicas_in_sync
    shares = tf.reshape(tensor, [context.num_replicas_in_sync, batch, *tensor.shape[1:]])
    return shares[context.replica_id_in_sync_group]
