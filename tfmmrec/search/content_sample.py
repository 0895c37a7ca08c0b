"""What a content's vector is like on average, whatever of it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf


class ContentSample(tf.Module):
    """Embedded modalities of some candidates.

    All vectors of one tower share a part that tells nothing of the candidate, and another one for each set of
    modalities that is given: to a text alone those candidates would seem nearest that have nothing but a text. Cosines
    are of what is left without that part. This sample gives it: the mean vector of its candidates, as if just the same
    modalities of them were given.

    Args:
        embedded: modality -> `vector [n, dim]`, `present [n]` and possibly sequences, of the same candidates. A
            modality that is never present stands for one that a search never gives, such as the id.
    """

    def __init__(self, embedded: Mapping[str, Mapping[str, np.ndarray]], name: str = "content_sample"):
        super().__init__(name=name)
        self.parts = {
            modality: {
                key: tf.Variable(value, trainable=False, name=f"{name}_{place}_{key}") for key, value in part.items()
            }
            for place, (modality, part) in enumerate(sorted(embedded.items()))
        }

    def means(
        self, embed: Callable[[dict[str, dict[str, tf.Tensor]]], tf.Tensor], present: Mapping[str, tf.Tensor]
    ) -> tf.Tensor:
        """The mean vectors for rows of which these modalities are given, float32 `[batch, dim]`.

        Args:
            embed: embedded modalities -> vectors `[n, dim]`; called once for each different set of modalities.
            present: modality -> bool `[batch]`, for every modality of the sample.
        """
        names = sorted(self.parts)
        stacked = tf.stack([tf.cast(present[name], tf.int32) for name in names], axis=1)  # [batch, modalities]
        patterns, places = tf.raw_ops.UniqueV2(x=stacked, axis=tf.constant([0], tf.int64))[:2]

        def mean(pattern: tf.Tensor) -> tf.Tensor:
            given = dict(zip(names, tf.unstack(pattern > 0, num=len(names)), strict=True))
            vectors = embed({name: _where(part, given[name]) for name, part in self.parts.items()})
            return tf.reduce_mean(tf.cast(vectors, tf.float32), axis=0)

        return tf.gather(tf.map_fn(mean, patterns, fn_output_signature=tf.float32), places)

    def arrays(self) -> dict[str, tf.Variable]:
        """Every variable by a name."""
        return {f"{modality}_{key}": value for modality, part in self.parts.items() for key, value in part.items()}


def _where(part: Mapping[str, tf.Variable], given: tf.Tensor) -> dict[str, tf.Tensor]:
    """The modality, absent unless it is given."""
    return {key: tf.where(given, value, tf.zeros_like(value)) for key, value in part.items()}
