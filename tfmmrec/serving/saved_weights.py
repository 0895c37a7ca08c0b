"""Which variables the signatures read, by the paths of the parts that own them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import tensorflow as tf

from tfmmrec.serving.inputs import Input


def weights_read(
    body: Callable[[dict[str, tf.Tensor]], Any],
    inputs: Mapping[str, Input],
    paths: Mapping[int, str],
    others: Iterable[tf.Module],
) -> dict[str, tf.Variable]:
    """The variables that a function of raw inputs reads, by their paths.

    Args:
        body: the function.
        inputs: of it.
        paths: of variables by their identity, see `weight_paths`.
        others: whose variables are left out.
    """
    specs = {name: made.spec for name, made in inputs.items()}
    read = tf.function(body, autograph=False).get_concrete_function(specs).graph.variables
    own = {id(variable) for part in others for variable in part.variables}
    named = {paths.get(id(v), v.name.split(":")[0]): v for v in read if id(v) not in own}
    return dict(sorted(named.items()))


def weight_paths(model, prefix: str = "") -> dict[int, str]:
    """The path of every part of a model by its identity, such as candidate_tower/encoders/id/embeddings."""
    sides = ("query_tower", "candidate_tower", "history_tower", "scorer")
    parts = {side: getattr(model, side, None) for side in sides}
    waiting = [(prefix + side, part) for side, part in parts.items() if part is not None]
    found: dict[int, str] = {}
    for path, parent in waiting:  # grows while it is walked, so that the shortest path is found first
        for name, child in tf.train.TrackableView.children(parent).items():
            if id(child) not in found:
                found[id(child)] = f"{path}/{name}"
                waiting.append((f"{path}/{name}", child))
    return found


def loaded_objects(model) -> list[Any]:
    """What TF-Hub encoders were loaded as: they may capture more than variables, such as tables, which live there."""
    sides = (model.query_tower, model.candidate_tower, getattr(model, "scorer", None))
    parts = [part for side in sides if side is not None for part in side.submodules]
    return [part.resolved_object for part in parts if hasattr(part, "resolved_object")]
