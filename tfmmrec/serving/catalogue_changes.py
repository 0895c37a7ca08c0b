"""Which candidates a model would take out of service, and which it would bring back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tfmmrec.serving.assets import write_json
from tfmmrec.serving.described_model import DescribedModel

REMOVED_FILE = "assets.extra/removed.json"
_SHOWN = 10


@dataclass(frozen=True)
class CatalogueChanges:
    """How a model's catalogue differs from that of the version in service, as far as nobody may have meant it.

    Attributes:
        missing: ids that only the version in service has.
        returned: ids that the model has, and that were removed on the way to the version in service.
    """

    missing: list[str]
    returned: list[str]

    def notes(self) -> list[str]:
        """What people should know of it."""
        notes = []
        if self.missing:
            notes.append(
                f"{len(self.missing):,} candidates of the version in service are not in this one, and left out of what "
                f"that one is measured with: {_listed(self.missing)}"
            )
        if self.returned:
            notes.append(
                f"{len(self.returned):,} candidates that were removed come back with this version: "
                f"{_listed(self.returned)}"
            )
        return notes


def catalogue_changes(model: DescribedModel, in_service: DescribedModel) -> CatalogueChanges:
    """What comes of the catalogue in service where a model follows it, such as one of the dataset before a refresh."""
    theirs = in_service.candidates["candidate_id"].to_pylist()
    missing = [id for id, row in zip(theirs, model.rows_of(theirs), strict=True) if row < 0]
    removed = read_removed_ids(in_service.path)
    return CatalogueChanges(missing, [id for id, row in zip(removed, model.rows_of(removed), strict=True) if row >= 0])


def read_removed_ids(folder: str | Path) -> list[str]:
    """The ids that refreshes took out of an export, those that came back since left out."""
    path = Path(folder) / REMOVED_FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def write_removed_ids(folder: Path, before: str | Path, removed: Sequence[str], ids: Sequence[str]) -> None:
    """Writes them.

    Args:
        folder: of the refreshed export.
        before: of the one that was refreshed.
        removed: what was asked to be removed now.
        ids: what the refreshed one has.
    """
    write_json(folder / REMOVED_FILE, sorted({*read_removed_ids(before), *removed} - set(ids)))


def _listed(ids: Sequence[str]) -> str:
    return ", ".join(ids[:_SHOWN]) + ", ..." * (len(ids) > _SHOWN)
