"""What a person should know about an answer beside its candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfmmrec.schema import Feature
from tfmmrec.serving.exported_model import ExportedModel
from tfmmrec.serving.remote_model import RemoteModel

Model = ExportedModel | RemoteModel


def unknown_values(model: Model, side: str, inputs: Mapping[str, Any], features: Mapping[str, Feature]) -> list[str]:
    """A note on values of categories and identifiers that are in no vocabulary of the model."""
    unknown = []
    for name, feature in features.items():
        given = inputs.get(f"{side}_{name}")
        if given is None or feature.kind not in ("category", "identifier"):
            continue
        values = [value for value in ([given] if isinstance(given, str) else given) if isinstance(value, str)]
        if feature.separator is not None:
            values = [part for value in values for part in value.split(feature.separator)]
        if feature.kind == "category":  # as its encoder does
            values = [value.strip() for value in values]
        unknown += [f"{name}={value}" for value in values if value and not model.knows_value(side, name, value)]
    return [f"unknown to the model: {', '.join(unknown)}"] if unknown else []


def unknown_excluded(model: Model, exclude: Sequence[str]) -> list[str]:
    """A note on ids to be excluded that the model does not have."""
    unknown = [id for id, row in zip(exclude, model.rows_of(exclude), strict=True) if row < 0]
    return [f"to be excluded, but unknown to the model: {', '.join(unknown)}"] if unknown else []


def filter_notes(model: Model, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Notes on values to be allowed or denied that no candidate has, and on filters that leave nothing.

    Args:
        model: that was asked.
        wanted: `allow`, `deny` and `min_score`, those that were given.
        found: its answer, with `candidate_ids`.
    """
    absent = model.absent_values([*wanted.get("allow", []), *wanted.get("deny", [])])
    notes = [f"to be allowed or denied, but no candidate has it: {', '.join(absent)}"] if absent else []
    given = [f"{name} {', '.join(wanted[name])}" for name in ("allow", "deny") if name in wanted]
    given += [f"min_score {wanted['min_score']:g}"] if "min_score" in wanted else []
    if given and not len(found["candidate_ids"]):
        what = "it" if len(given) == 1 else "one of these"
        notes.append(
            f"no candidate is left: none that was found passes {' and '.join(given)}; change {what}, or leave it out"
        )
    return notes
