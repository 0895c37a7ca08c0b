"""Which parameter server holds which weights."""

from __future__ import annotations

import json
from pathlib import Path

import tensorflow as tf

from tfmmrec.runs import write_text
from tfmmrec.sharded_tables import is_cut


def held_by_servers(model: tf.keras.Model) -> dict[str, dict[str, list[int]]]:
    """Server -> name of a weight, or of the part of it that lies there -> its shape; optimizer included."""
    found: dict[str, dict[str, list[int]]] = {}
    whole = [*model.variables, *model.optimizer.variables]
    parts = [part for variable in whole for part in (variable.variables if is_cut(variable) else [variable])]
    for variable in {id(part): part for part in parts}.values():
        device = tf.DeviceSpec.from_string(variable.device)
        held = found.setdefault(f"server {device.task}" if device.job == "ps" else "chief", {})
        held[f"{variable.name} ({len(held)})" if variable.name in held else variable.name] = variable.shape.as_list()
    return found


def write_placement(model: tf.keras.Model, run: Path) -> None:
    """Writes it to a run's `servers.json`."""
    write_text(run / "servers.json", json.dumps(held_by_servers(model), indent=2, sort_keys=True))
