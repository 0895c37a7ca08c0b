"""Ids whose table is TensorFlow Recommenders' `TPUEmbedding`."""

from __future__ import annotations

import tensorflow as tf
import tensorflow_recommenders as tfrs

from tfmmrec.encoders.identifier import IdentifierEncoder
from tfmmrec.types import UsageError

_UNABLE = {
    "multiworker": tf.distribute.MultiWorkerMirroredStrategy,
    "parameter_server": tf.distribute.ParameterServerStrategy,
}
_PLAIN = tf.tpu.experimental.HardwareFeature.EmbeddingFeature.UNSUPPORTED


@tf.keras.utils.register_keras_serializable("tfmmrec")
class TpuIdentifier(IdentifierEncoder):
    """An `IdentifierEncoder` that reads its rows through `tfrs.layers.embedding.TPUEmbedding`.

    On anything but a TPU that layer emulates itself: its table is an ordinary trainable variable under the model's
    optimizer ("Using this layer on CPU" in its documentation), so that steps, checkpoints and exports are those of an
    `IdentifierEncoder`.

    Under a `TPUStrategy`, where this was never run, the layer is made for a "TPU without embedding lookup accelerator"
    (its documentation): every core has the whole table, and the model's optimizer trains it there too. The accelerator
    cuts tables up over the cores and has an optimizer of its own. But it can be made once only for each start of a
    TPU, and a run has a table for each tower in each of its phases; it takes rows that are direct inputs of a step,
    all calls of one size, and some losses embed the whole catalogue; and its variables are stale between checkpoints,
    whereas validation reads them (`tf.tpu.experimental.embedding.TPUEmbedding`, TensorFlow 2.20).

    Args:
        vocabulary: the known ids.
        dim: size of the embedding.
        dropout: share of the ids that are made absent in a training step, in [0, 1).
        embeddings_stddev: standard deviation of the initial embeddings; 1/sqrt(dim) when None.

    Raises:
        UsageError: a number out of range, or a strategy under which the layer cannot be made: its bookkeeping has a
            string, which workers cannot tell each other, and no parts, which parameter servers hold.
    """

    def _table(self, initializer: tf.keras.initializers.Initializer) -> tf.Variable:
        strategy = tf.distribute.get_strategy()
        _check_strategy(strategy)
        api = tf.tpu.experimental.embedding
        table = api.TableConfig(self.num_terms, self.dim, initializer=initializer, name="embeddings")
        self._feature = api.FeatureConfig(table, name="row")
        self._of_tpu = isinstance(strategy, tf.distribute.TPUStrategy)
        self.layer = tfrs.layers.embedding.TPUEmbedding(
            {"row": self._feature},
            optimizer=None,  # the model's trains the table; one of the layer's own would only add slots without use
            embedding_feature=_PLAIN,
        )
        self.layer.build({"row": tf.TensorShape([None])})
        return self.layer.embedding_tables[table]

    def _vectors(self, rows: tf.Tensor) -> tf.Tensor:
        # one that was made under a TPUStrategy refuses to be called outside of it, where validation is
        outside = self._of_tpu and not isinstance(tf.distribute.get_strategy(), tf.distribute.TPUStrategy)
        return self.layer({"row": rows}, serving_config={"row": self._feature} if outside else None)["row"]


def check_tpu_identifiers(model: tf.keras.Model, strategy: tf.distribute.Strategy) -> None:
    """Refuses a model that has such an encoder, made outside of the strategy, where it is to be made under it.

    Raises:
        UsageError: as `TpuIdentifier`.
    """
    if any(isinstance(part, TpuIdentifier) for part in model.submodules):
        _check_strategy(strategy)


def _check_strategy(strategy: tf.distribute.Strategy) -> None:
    for name, unable in _UNABLE.items():
        if isinstance(strategy, unable):
            raise UsageError(
                f"identifier=tpu_embedding cannot be made under strategy {name}: take strategy cpu, mirrored or "
                "tpu, or identifier=table"
            )
