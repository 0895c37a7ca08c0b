"""Tables of a side's features, made once for all models whose encoders make the same of them."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfmmrec.data.dataset import Entities
from tfmmrec.embedding import preprocess_entities
from tfmmrec.schema import Feature
from tfmmrec.towers import Tower

_MADE: dict[tuple, dict[str, np.ndarray]] = {}


def preprocessed(
    tower: Tower, entities: Entities, features: Mapping[str, Feature], cached: tuple[str, ...] = ()
) -> dict[str, dict[str, np.ndarray]]:
    """What `preprocess_entities` makes; a feature's table is looked up by its encoder's config, weights and precision.

    The entities are held by their identity: they must be those of a catalogue that stays.
    """
    tables = {}
    for name in sorted(set(tower.encoders) - {"history"}):
        encoder = tower.encoders[name]
        runs = name in cached  # to the end: only then its weights matter
        weights = tuple(variable.numpy().tobytes() for variable in encoder.variables) if runs else ()
        config = json.dumps([encoder.get_config(), runs, tower.reads_terms], sort_keys=True, default=str)
        policy = tf.keras.mixed_precision.global_policy().name
        key = (id(entities), name, type(encoder), config, policy, weights)
        if key not in _MADE:
            _MADE[key] = preprocess_entities(tower, entities, features, cached, only=(name,))[name]
        tables[name] = {part: array.copy() for part, array in _MADE[key].items()}
    return tables
