"""`assets.extra/` of an export whose index was refreshed: of the old one what is still true, and the rest anew."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tfmmrec.data.issues import Issue
from tfmmrec.serving.assets import size_of, write_json
from tfmmrec.serving.catalogue_changes import write_removed_ids
from tfmmrec.serving.contents import CONTENTS_FILE, Contents, write_contents
from tfmmrec.serving.evaluation_queries import (
    EVALUATION_FILE,
    read_evaluation,
    with_added,
    without_candidates,
    write_evaluation,
)
from tfmmrec.serving.exported_model import ExportedModel, read_extra
from tfmmrec.serving.merging import Merge
from tfmmrec.serving.paths import BLESSING_FILE, MODEL_FILE

_NOT_COPIED = {Path(path).name for path in (CONTENTS_FILE, EVALUATION_FILE, MODEL_FILE, BLESSING_FILE)}
_NOT_COPIED |= {"candidates.parquet", "size.json"}


@dataclass
class Refreshed:
    """What a refresh did.

    Attributes:
        num_candidates: in the index now.
        added: how many candidates are new.
        changed: how many have another content than before.
        unchanged: how many were given again as they were.
        removed: how many are there no longer.
        encoded: how many were encoded: those added and changed, and what could not be.
        issues: what was counted and survived, such as pictures that cannot be read.
        notes: what people should know.
    """

    num_candidates: int
    added: int
    changed: int
    unchanged: int
    removed: int
    encoded: int
    issues: list[Issue] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """The numbers."""
        return {key: value for key, value in asdict(self).items() if isinstance(value, int)}


def write_refreshed_assets(
    model: ExportedModel,
    to: Path,
    merged: Merge,
    contents: Contents,
    display: pa.Table,
    removed: Sequence[str],
    done: Refreshed,
) -> None:
    """Writes them.

    Args:
        model: the old export, loaded, with the new index.
        to: the new one's folder.
        merged: which candidates it has.
        contents: theirs.
        display: the display columns of the table of new candidates.
        removed: ids that are there no longer.
        done: what the refresh did; is told what becomes of the evaluation.
    """
    extra = to / "assets.extra"
    shutil.copytree(Path(model.path) / "assets.extra", extra, ignore=lambda *_: _NOT_COPIED, dirs_exist_ok=True)
    write_contents(to, contents)
    shown = {"candidate_id": pa.array(contents.ids, pa.string())}
    for name in model.candidates.column_names[1:]:
        column = display[name] if name in display.column_names else pa.nulls(display.num_rows, pa.large_string())
        shown[name] = merged.taken(model.candidates[name], column)
    pq.write_table(pa.table(shown), extra / "candidates.parquet")
    queries = read_evaluation(model.path)
    if queries is not None:
        was = set(model.candidates["candidate_id"].to_pylist())
        left = without_candidates(queries, removed)
        write_evaluation(to, with_added(left, [id for id in contents.ids if id not in was]))
        if len(left) < len(queries):
            done.notes.append(
                f"{len(queries) - len(left)} of the {len(queries)} queries that it is measured with looked for removed "
                "candidates only, and are left out"
            )
    write_removed_ids(to, model.path, removed, contents.ids)
    write_json(to / MODEL_FILE, _about(model) | {"num_candidates": len(merged), "refreshed": done.counts()})
    write_json(extra / "size.json", _sizes(model))


def _about(model: ExportedModel) -> dict[str, Any]:
    """The old one's, without what was measured of an inverted file with its candidates."""
    if "index" not in model.about:
        return model.about
    kept = {key: value for key, value in model.about["index"].items() if key != "queries" and "@" not in key}
    return model.about | {"index": kept}


def _sizes(model: ExportedModel) -> dict[str, Any]:
    sizes = read_extra(model.path, "size.json")
    sizes["index"] = {name: size_of(variable) for name, variable in model.module.index_arrays.items()}
    groups = [group for group in sizes.values() if isinstance(group, dict)]
    return sizes | {"total_bytes": sum(entry["bytes"] for group in groups for entry in group.values())}
