"""Any pretrained encoder that is a reusable TF2 SavedModel: a TF-Hub handle or a local directory."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import tensorflow as tf
import tensorflow_hub as hub
import tensorflow_text  # noqa: F401  (the ops of tokenizers, which a SavedModel may hold)

from tfmmrec.encoders.encoder import Encoder
from tfmmrec.encoders.mean_centering import MeanCentering
from tfmmrec.encoders.picture_augmentation import PictureAugmentation
from tfmmrec.encoders.pictures import decode_pictures
from tfmmrec.types import DataError, Embedded, UsageError

Mode = Literal["frozen", "cached", "finetuned"]
_NOUNS = {"text": "texts", "image": "pictures", "video": "videos"}
_READABLE = {"audio": (), "video": ("video", "image")}  # kind of feature -> what halves of use to it read, if not that


@tf.keras.utils.register_keras_serializable("tfmmrec")
class SavedModelEncoder(Encoder):
    """A reusable SavedModel (tensorflow.org/hub/reusable_saved_models) through `hub.KerasLayer`.

    One that `tfmmrec encoder export` wrote offers both halves, `preprocess` and `encode`, and takes pictures as bytes:
    words are split and pictures resized once, as its weights expect. Of any other the whole runs in `call`.

    Args:
        handle: a TF-Hub handle or a directory.
        input_kind: `text` (the model takes strings `[batch]`) or `image` (it takes floats in [0, 1]
            `[batch, height, width, 3]`, the common signature of image feature vectors on TF-Hub).
        mode: `frozen` (runs in every step, weights fixed), `cached` (weights fixed, run once for each candidate)
            or `finetuned` (weights trained with the rest).
        height: pictures are resized to this many pixels (`image` without halves only),
        width: by this many.
        augmentation: none, flip, crop or full, see `PictureAugmentation`: how pictures are changed at random in the
            steps that finetune it, before `encode` makes its own numbers of them. Where `preprocess` gives floats,
            whose range is not known, they can be flipped and cropped only.
        centered: towers take off its vectors what all of a catalogue's have in common, see `MeanCentering`.

    Raises:
        UsageError: an augmentation of what is no picture, or of what no step trains.
        DataError: the handle cannot be loaded, is not reusable, or reads the other kind: what was found and needed.
    """

    kinds = ("text", "image")
    """What it may read; of a subclass others."""

    def __init__(
        self,
        handle: str,
        input_kind: Literal["text", "image", "audio", "video"],
        mode: Mode = "cached",
        height: int = 224,
        width: int = 224,
        augmentation: Literal["none", "flip", "crop", "full"] = "none",
        centered: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if mode not in ("frozen", "cached", "finetuned"):
            raise UsageError(f"mode (pretrained_mode) must be frozen, cached or finetuned, got {mode!r}")
        if input_kind not in self.kinds:
            raise UsageError(f"input_kind must be {' or '.join(self.kinds)}, got {input_kind!r}")
        self.handle = str(handle)
        self.input_kind = input_kind
        self.mode = mode
        self.height = height
        self.width = width
        self.augmentation = PictureAugmentation(augmentation, name="augmentation")
        self.centering = MeanCentering(name="centering") if centered else None
        if augmentation != "none" and (mode != "finetuned" or input_kind not in ("image", "video")):
            raise UsageError(
                f"augmentation={augmentation!r} (image_augmentation) changes pictures in the steps that train an "
                f"encoder of them, but {self.name} reads {input_kind} and has mode={mode!r}, whose vectors stay as "
                f"they are: use mode 'finetuned' (pretrained_mode), or augmentation='none'"
            )
        local = Path(self.handle)
        if "://" not in self.handle and not (local / "saved_model.pb").exists():
            raise DataError(
                f"{self.handle}: expected a TF-Hub handle or a directory with saved_model.pb, found neither; "
                f"export the encoder as a reusable SavedModel first: tfmmrec encoder export SOURCE --to DIR"
            )
        try:
            # a SavedModel's signature is fixed: it computes in float32 whatever the policy
            self.module = hub.KerasLayer(self.handle, trainable=mode == "finetuned", dtype="float32", name="module")
        except (ValueError, OSError) as error:
            raise DataError(
                f"{self.handle}: not a reusable TF2 SavedModel (an object with __call__, variables and "
                f"trainable_variables): {error}"
            ) from error
        if mode == "finetuned" and not self.module.trainable_variables:
            raise DataError(f"{self.handle}: has no trainable_variables, so it cannot be finetuned; use mode='cached'")
        loaded = self.module.resolved_object
        self.has_halves = all(callable(getattr(loaded, half, None)) for half in ("preprocess", "encode"))
        if self.has_halves:
            tensors = loaded.preprocess(tf.constant([""]))
            reads = "video" if "clip" in tensors else "image" if "pixels" in tensors else "text"
            if reads not in _READABLE.get(input_kind, (input_kind,)):
                raise DataError(
                    f"{self.handle}: reads {_NOUNS[reads]}, but is given a feature of kind {input_kind}; name the "
                    f"encoder for another feature, or export one for this"
                )

    @property
    def layers(self) -> list[list[tf.Variable]]:
        """What may be trained, layer by layer from the input on; one layer where the SavedModel does not say them."""
        told = getattr(self.module.resolved_object, "layers", None) or []
        whole = [list(self.module.trainable_variables)]
        try:
            layers = [list(layer) for layer in told]  # a SavedModel of Keras has layers that are objects
        except TypeError:
            return whole
        return layers if layers and all(isinstance(v, tf.Variable) for layer in layers for v in layer) else whole

    def raw_spec(self) -> tf.TensorSpec:
        return tf.TensorSpec([None], tf.string)

    def preprocess(self, raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """Strings or picture bytes `[batch]` -> what the module takes, and `given`, bool `[batch]`."""
        is_text = self.input_kind == "text"
        given = tf.strings.length(tf.strings.strip(raw) if is_text else raw) > 0
        if self.has_halves:
            return self.module.resolved_object.preprocess(raw) | {"given": given}
        if is_text:
            return {"text": raw, "given": given}
        pixels, present = decode_pictures(raw, self.height, self.width)
        return {"pixels": pixels, "given": present}

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> Embedded:
        present = inputs["given"]
        if self.input_kind == "image":
            pixels = self.augmentation(inputs["pixels"], training=training)
            inputs = dict(inputs) | {"pixels": pixels}
        if self.has_halves:
            tensors = {name: tensor for name, tensor in inputs.items() if name != "given"}
            vector = self._run(self.module.resolved_object.encode, tensors)
        else:
            raw = inputs["text"] if self.input_kind == "text" else tf.cast(inputs["pixels"], tf.float32) / 255.0
            vector = self._run(self.module, raw, training=bool(training) and self.mode == "finetuned")
        if isinstance(vector, dict):  # text models of TF-Hub's common signature
            vector = vector["pooled_output"] if "pooled_output" in vector else vector["default"]
        vector = tf.cast(vector, self.compute_dtype)
        return {"vector": vector * tf.cast(present, vector.dtype)[:, None], "present": present}

    def _run(self, function, raw, **options):
        if not (tf.distribute.has_strategy() and tf.distribute.in_cross_replica_context()):
            return function(raw, **options)
        strategy = tf.distribute.get_strategy()

        @tf.function
        def of_one_replica(raw):
            # what was loaded under a strategy runs inside of its replicas only: where weights are made, or a callback
            # of a training embeds rows, all of them run it over the same, and one's result is taken
            found = strategy.run(function, (raw,), options)
            return tf.nest.map_structure(lambda part: strategy.experimental_local_results(part)[0], found)

        return of_one_replica(raw)

    def get_config(self):
        return super().get_config() | {
            "handle": self.handle,
            "input_kind": self.input_kind,
            "mode": self.mode,
            "height": self.height,
            "width": self.width,
            "augmentation": self.augmentation.manner,
            "centered": self.centering is not None,
        }
