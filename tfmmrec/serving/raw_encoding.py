"""Candidates from a table through an exported model's own `embed_candidate`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfmmrec.data.entities import Entities
from tfmmrec.embedding import raw_batch
from tfmmrec.schema import MEDIA_KINDS, Feature
from tfmmrec.serving.exported_model import ExportedModel

Progress = Callable[[str, int, int], None]
_ROWS_AT_ONCE, _MEDIA_AT_ONCE = 512, 32


@dataclass
class Encoded:
    """What the model made of some rows.

    Attributes:
        rows: int `[n]`, those that it could encode, ascending.
        tables: "vectors", "history_vectors", "parts", those that it makes: float32 `[n, dim]`.
        unusable: what is wrong with the other rows.
    """

    rows: np.ndarray
    tables: dict[str, np.ndarray]
    unusable: dict[int, str]


def encode_candidates(
    model: ExportedModel,
    candidates: Entities,
    rows: np.ndarray,
    looked_at: Sequence[str],
    progress: Progress | None = None,
) -> Encoded:
    """Encodes some rows of a table; one that the model cannot encode does not keep it from the others.

    Args:
        model: has `embed_candidate`.
        candidates: the table.
        rows: int `[n]`, ascending.
        looked_at: the features that its towers look at; no other is read.
        progress: called with ("encoding", rows done, rows in all).
    """
    described = model.signatures["embed_candidate"]
    own = model.schema.candidates.features
    names = [name for name in own if name in looked_at or f"candidate_{name}" in described["required"]]
    features = {name: own[name] for name in names if f"candidate_{name}" in described["inputs"]}
    has_media = any(feature.kind in MEDIA_KINDS for feature in features.values())
    size = _MEDIA_AT_ONCE if has_media else _ROWS_AT_ONCE
    kept, parts, unusable = [], [], {}
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        for group, made in _encoded(model, candidates, part, features, unusable):
            finite = np.all([np.isfinite(table).all(axis=1) for table in made.values()], axis=0)
            unusable |= {int(row): "it has no finite vector" for row in group[~finite]}
            kept.append(group[finite])
            parts.append({name: table[finite] for name, table in made.items()})
        if progress is not None:
            progress("encoding", min(start + size, len(rows)), len(rows))
    tables = {name: np.concatenate([part[name] for part in parts]) for name in (parts[0] if parts else ())}
    return Encoded(np.concatenate(kept) if kept else rows[:0], tables, unusable)


def _encoded(model, candidates, rows, features, unusable) -> list[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """The rows at once, or, where the graph refuses one of them, one by one."""
    try:
        return [(rows, model.ask_many("embed_candidate", **_inputs(model, candidates, rows, features)))]
    except tf.errors.OpError as error:
        if len(rows) == 1:
            unusable[int(rows[0])] = error.message.splitlines()[0][:200]
            return []
    halves = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    return [found for half in halves for found in _encoded(model, candidates, half, features, unusable)]


def _inputs(model, candidates: Entities, rows: np.ndarray, features: dict[str, Feature]) -> dict[str, np.ndarray]:
    described = model.signatures["embed_candidate"]["inputs"]
    inputs = {"candidate_id": raw_batch(candidates, "id", None, rows)}
    for name, feature in features.items():
        raw = raw_batch(candidates, name, feature, rows, "list_length" in described[f"candidate_{name}"])
        inputs[f"candidate_{name}"] = np.nan_to_num(raw) if feature.kind == "vector" else raw
    return inputs
