"""What the encoders of a tower give for rows of a catalogue, for parts that keep it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfmmrec.encoders.precomputed import PrecomputedEncoder
from tfmmrec.fusion.graph import GraphFusion
from tfmmrec.towers import Tower

Tables = Mapping[str, Mapping[str, np.ndarray]]


def fixed_content(encoders: Mapping[str, tf.keras.layers.Layer]) -> list[str]:
    """The features whose vectors no step changes."""
    return [
        name
        for name, encoder in encoders.items()
        if isinstance(encoder, PrecomputedEncoder) or getattr(encoder, "mode", None) in ("cached", "frozen")
    ]


def encoded(
    tower: Tower, tables: Tables, name: str, rows: np.ndarray, batch_size: int = 4096
) -> tuple[np.ndarray, np.ndarray]:
    """A feature's vectors `[num_rows, dim]`, and which are there, bool `[num_rows]`.

    Args:
        tower: has the encoder.
        tables: preprocessed features `[num_candidates, ...]`, or vectors of cached ones.
        name: of the feature.
        rows: int `[num_rows]`, of the tables.
        batch_size: rows that are encoded at once.
    """
    parts = []
    for start in range(0, max(len(rows), 1), batch_size):
        inputs = {
            key: tf.constant(np.asarray(array[rows[start : start + batch_size]])) for key, array in tables[name].items()
        }
        found = tower.encode_feature(name, inputs, training=False)
        parts.append((tf.cast(found["vector"], tf.float32).numpy(), found["present"].numpy()))
    vectors, present = (np.concatenate(values) for values in zip(*parts, strict=True))
    return vectors, present


def has_graphs(tower: Tower) -> bool:
    """Whether a tower keeps content of a catalogue, in a `GraphFusion`."""
    return isinstance(tower.fusion, GraphFusion)


def keep_reference(tower: Tower, tables: Tables) -> None:
    """Gives a tower's `GraphFusion`, if it has one, the content of the candidates that its graphs are of.

    These are the known ones, in the order of their ids' rows, or the first of the catalogue where there are no ids.
    """
    if not has_graphs(tower):
        return
    fusion: GraphFusion = tower.fusion
    if "id" in tower.encoders:
        places = np.asarray(tables["id"]["row"])  # [num_candidates], -1 for those that are not known
        rows = np.flatnonzero(places >= 0)
        places = places[rows]
    else:
        rows = places = np.arange(fusion.num_reference)
    for name in fusion.graphs:
        vectors, present = encoded(tower, tables, name, rows)
        kept = np.zeros([fusion.num_reference, vectors.shape[1]], np.float32), np.zeros(fusion.num_reference, bool)
        kept[0][places], kept[1][places] = vectors, present
        fusion.set_content(name, *kept)
