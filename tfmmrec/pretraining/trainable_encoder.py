"""An exported encoder whose weights are trained on, and which is then written again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_text  # noqa: F401  (the ops of tokenizers, which a SavedModel may hold)

from tfmmrec.pretrained.encoder_card import read_card, weights_fingerprint, write_card
from tfmmrec.types import DataError

Tensors = dict[str, tf.Tensor]
_HALVES = ("preprocess", "encode")


class TrainableEncoder:
    """What `tfmmrec encoder export` or an earlier pretraining wrote, with its weights at hand.

    Args:
        folder: of the encoder.

    Raises:
        DataError: there is none, or none of its weights can be trained.
    """

    def __init__(self, folder: str | Path):
        self.source = str(folder)
        self.card = read_card(folder)
        self.input_kind: str = self.card["input_kind"]
        try:
            self.module = tf.saved_model.load(str(folder))
        except (OSError, ValueError) as error:
            raise DataError(f"{folder}: its SavedModel cannot be loaded ({error}); export the encoder again") from error
        missing = [half for half in _HALVES if not callable(getattr(self.module, half, None))]
        if missing or not list(self.module.trainable_variables):
            found = f"no {missing[0]}" if missing else "no weights that may be trained"
            raise DataError(f"{folder}: expected an exported encoder whose weights can be trained, found {found}; "
                            "`tfmmrec encoder export SOURCE --to DIR` writes one")  # fmt: skip

    @property
    def dim(self) -> int:
        """Size of a vector."""
        return int(self.card["dim"])

    @property
    def trainable(self) -> list[tf.Variable]:
        """All weights that may be trained."""
        return list(self.module.trainable_variables)

    @property
    def layers(self) -> list[list[tf.Variable]]:
        """The same layer by layer, from the input on; one layer where the encoder does not say them."""
        return [list(layer) for layer in getattr(self.module, "layers", None) or []] or [self.trainable]

    @property
    def has_sequence(self) -> bool:
        """Whether it gives a vector for each token, too."""
        return callable(getattr(self.module, "encode_sequence", None))

    def preprocess(self, raw: tf.Tensor) -> Tensors:
        """Strings or picture bytes `[batch]` -> numeric tensors `[batch, ...]`."""
        return self.module.preprocess(raw)

    def encode(self, tensors: Tensors) -> tf.Tensor:
        """Those -> `[batch, dim]`."""
        return self.module.encode(tensors)

    def encode_sequence(self, tensors: Tensors) -> tuple[tf.Tensor, tf.Tensor]:
        """Those -> `[batch, n, token_dim]` and bool `[batch, n]`."""
        return self.module.encode_sequence(tensors)

    def write(self, folder: Path, pretraining: dict[str, Any]) -> dict[str, Any]:
        """Writes it with the weights as they are now into an empty folder.

        Args:
            folder: where to.
            pretraining: what was done; the card lists it behind earlier ones.

        Returns:
            The card.
        """
        tf.saved_model.save(self.module, str(folder))
        card = self.card | {
            "fingerprint": weights_fingerprint(variable.numpy() for variable in self.module.variables),
            "untrained": False,
            "pretraining": [*self.card.get("pretraining", []), pretraining],
        }
        card.pop("format", None)
        write_card(folder, card)
        return card
