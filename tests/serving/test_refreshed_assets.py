import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfmmrec.serving.catalogue_changes import read_removed_ids
from tfmmrec.serving.contents import Contents, read_contents
from tfmmrec.serving.evaluation_queries import read_evaluation
from tfmmrec.serving.exported_model import load_exported
from tfmmrec.serving.merging import Merge, merged_contents
from tfmmrec.serving.refreshed_assets import Refreshed, write_refreshed_assets


@pytest.fixture(scope="module")
def model(smaller_export, tmp_path_factory):
    """An export without queries, and with files that others have put beside it."""
    folder = tmp_path_factory.mktemp("assets") / "export"
    shutil.copytree(smaller_export, folder)
    (folder / "assets.extra" / "evaluation.parquet").unlink()
    (folder / "assets.extra" / "blessing.json").write_text("{}")
    (folder / "assets.extra" / "note.txt").write_text("of the operator")
    return load_exported(folder)


def test_what_is_kept_and_what_is_written_anew(model, tmp_path):
    """s0 goes, s1 is given anew with another title, n is new; its table has another column, and no moods."""
    old = read_contents(model.path)
    new = Contents(["s1", "n"], [b"1" * 16, b"2" * 16], {name: c[:2] for name, c in old.filters.items()}, old.looked_at)
    merged = Merge(np.array([*range(1, 26), -1]), np.array([0, *[-1] * 24, 1]))
    display = pa.table({"candidate_id": ["s1", "n"], "title": ["another", "new"], "colour": ["red", "blue"]})
    done = Refreshed(26, added=1, changed=1, unchanged=0, removed=1, encoded=2)
    write_refreshed_assets(model, tmp_path, merged, merged_contents(merged, old, new), display, ["s0"], done)
    extra = tmp_path / "assets.extra"
    assert not (extra / "blessing.json").exists() and not (extra / "evaluation.parquet").exists()
    assert (extra / "note.txt").read_text() == "of the operator" and (extra / "tf_serving_warmup_requests").exists()
    assert read_removed_ids(tmp_path) == ["s0"]
    about = json.loads((extra / "model.json").read_text())
    assert about == model.about | {"num_candidates": 26, "refreshed": done.counts()}
    assert read_evaluation(tmp_path) is None
    contents = read_contents(tmp_path)
    assert contents.ids == [*(f"s{i}" for i in range(1, 26)), "n"]
    assert contents.digests == [b"1" * 16, *old.digests[2:], b"2" * 16]
    shown = pq.read_table(extra / "candidates.parquet")
    assert shown.column_names == ["candidate_id", "title", "mood"]
    assert shown.slice(0, 1).to_pylist() == [{"candidate_id": "s1", "title": "another", "mood": None}]
    assert shown.slice(25, 1).to_pylist() == [{"candidate_id": "n", "title": "new", "mood": None}]
    assert shown.slice(1, 24).to_pylist() == model.candidates.slice(2, 24).to_pylist()


def test_what_was_measured_of_an_index_with_other_candidates_is_no_more(model, tmp_path, monkeypatch):
    measured = {"kind": "ivf", "cells": 4, "probes": 2, "queries": 12, "recall@26": 0.99}
    monkeypatch.setattr(model, "about", model.about | {"index": measured})
    old = read_contents(model.path)
    merged = Merge(np.arange(26), np.full(26, -1))
    done = Refreshed(26, added=0, changed=0, unchanged=0, removed=0, encoded=0)
    write_refreshed_assets(model, tmp_path, merged, old, model.candidates.slice(0, 0), [], done)
    about = json.loads((tmp_path / "assets.extra" / "model.json").read_text())
    assert about["index"] == {"kind": "ivf", "cells": 4, "probes": 2}


def test_counts():
    done = Refreshed(5, 1, 2, 3, 4, 6, notes=["something"])
    assert done.counts() == {
        "num_candidates": 5, "added": 1, "changed": 2, "unchanged": 3, "removed": 4, "encoded": 6
    }  # fmt: skip
