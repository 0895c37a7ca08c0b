"""What a model's catalogue lacks and brings back, beside the one in service."""

from __future__ import annotations

import pyarrow as pa

from tfmmrec.serving.catalogue_changes import (
    CatalogueChanges,
    catalogue_changes,
    read_removed_ids,
    write_removed_ids,
)
from tfmmrec.serving.described_model import DescribedModel


def _model(folder, *ids):
    (folder / "assets.extra").mkdir(parents=True)
    return DescribedModel(str(folder), {}, None, {}, pa.table({"candidate_id": pa.array(ids, pa.string())}))


def test_what_refreshes_did_is_undone(tmp_path):
    first = _model(tmp_path / "1", "a", "b", "c", "d")
    second, third = _model(tmp_path / "2", "c", "d", "new"), _model(tmp_path / "3", "a", "d", "new")
    write_removed_ids(tmp_path / "2", first.path, ["b", "a", "nobody"], ["c", "d", "new"])
    write_removed_ids(tmp_path / "3", second.path, ["c"], ["a", "d", "new"])
    assert read_removed_ids(first.path) == [] and read_removed_ids(second.path) == ["a", "b", "nobody"]
    assert read_removed_ids(third.path) == ["b", "c", "nobody"], "a was added again"
    changes = catalogue_changes(first, third)
    assert changes == CatalogueChanges(["new"], ["b", "c"])
    assert changes.notes() == [
        "1 candidates of the version in service are not in this one, and left out of what that one is measured with: "
        "new",
        "2 candidates that were removed come back with this version: b, c",
    ]
    assert catalogue_changes(third, third).notes() == []


def test_many_are_not_listed():
    note = CatalogueChanges([f"c{place}" for place in range(1200)], []).notes()[0]
    assert note.startswith("1,200 candidates") and note.endswith("c8, c9, ...")
