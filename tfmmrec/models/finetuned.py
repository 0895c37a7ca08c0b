"""No encoder that is to be finetuned is silently frozen."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfmmrec.encoders.encoder import Encoder
from tfmmrec.towers import Tower
from tfmmrec.types import UsageError


def check_finetuned(model: tf.Module, variables: Sequence[tf.Variable], gradients: Sequence) -> None:
    """Checks that a step trains every encoder whose mode is `finetuned`; costs nothing once the step is a graph.

    Args:
        model: with the encoders somewhere in it.
        variables: what the step trains.
        gradients: of its loss, one for each of them; None where there is no path from one to the other.

    Raises:
        UsageError: none of an encoder's weights got a gradient.
    """
    reached = {v.ref() for v, gradient in zip(variables, gradients, strict=True) if gradient is not None}
    for part in model.submodules:
        if not isinstance(part, Encoder) or getattr(part, "mode", None) != "finetuned":
            continue
        # beside a pretrained encoder there may be weights of ours, which pool what it gives
        own = part.trainable_variables if part.handle is None else sum(part.layers, [])
        if not reached & {variable.ref() for variable in own}:
            why = "the loss does not depend on them" if part.trainable_variables else "none of them is trainable"
            raise UsageError(
                f"the encoder {_name(model, part)} is to be finetuned, but no gradient reaches its weights ({why}): it "
                f"would stay as it is. Use mode 'cached' or 'frozen', or a model that reads it in every step"
            )


def _name(model: tf.Module, encoder: Encoder) -> str:
    """What a user calls an encoder: the feature that it is of, where it stands in a tower."""
    for tower in (part for part in model.submodules if isinstance(part, Tower)):
        for feature, own in tower.encoders.items():
            if own is encoder:
                return f"of {feature!r} ({tower.name})"
            if any(part is encoder for part in own.submodules):
                return f"of {feature!r} ({tower.name}, its part {encoder.name!r})"
    return repr(encoder.name)
