"""What is pushed, and with which queries; how it is judged is tested with `push` and `bless`."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.serving.tables import first_candidates, write_candidates
from tfmmrec.serving.evaluation_queries import evaluation_queries, read_evaluation
from tfmmrec.serving.exported_model import load_exported
from tfmmrec.serving.policy import Policy
from tfmmrec.serving.push_index import push_index
from tfmmrec.serving.withdrawal import roll_back
from tfmmrec.types import DataError, UsageError

module = sys.modules["tfmmrec.serving.push_index"]  # the package's attribute of that name is the function


@pytest.fixture(scope="module")
def base(smaller_export, song_dataset, tmp_path_factory):
    """A name with a version of 26 of the 30 songs, and the other four as a table."""
    folder = tmp_path_factory.mktemp("base")
    shutil.copytree(smaller_export, folder / "songs" / "3")
    write_candidates(folder / "new.parquet", song_dataset, [25, 26, 27, 28, 29])
    (folder / "gone.txt").write_text("s1\ns2\n")
    return folder


@pytest.fixture
def pushes(monkeypatch, tmp_path):
    """What `push_model` is told; it writes the model aside."""
    told = []

    def push_model(write, to, policy, force, queries, origin, progress, follows):
        assert follows == origin["version"], "another version that came meanwhile must not be undone"
        write(tmp_path / "written")
        told.append((to, policy, force, queries, origin))
        return "pushed"

    monkeypatch.setattr(module, "push_model", push_model)
    return told


def test_the_version_in_service_is_refreshed_and_pushed(base, pushes, tmp_path):
    name, policy = base / "songs", Policy(min_recall=0.5)
    done, pushed = push_index(name, base / "new.parquet", base / "gone.txt", policy, force=True)
    assert pushed == "pushed" and (done.added, done.unchanged, done.removed) == (4, 1, 2)
    files = {"candidates": str((base / "new.parquet").resolve()), "removed": str((base / "gone.txt").resolve())}
    assert pushes == [(name, policy, True, None, {"version": 3, **files, "dataset": None})]
    assert load_exported(tmp_path / "written").about["num_candidates"] == 28
    assert read_evaluation(tmp_path / "written").added_ids == ["s26", "s27", "s28", "s29"]


def test_a_dataset_s_queries_know_what_it_does_not_have(base, pushes, song_dataset, monkeypatch):
    """Of the new candidates s26 and s27 are in the dataset and may be found; s1 and s2 may not."""
    monkeypatch.setattr(module, "load_dataset", lambda folder: first_candidates(song_dataset, 28))
    push_index(base / "songs", base / "new.parquet", base / "gone.txt", dataset="data")
    queries = pushes[0][3]
    assert queries.added_ids == ["s28", "s29"]
    whole = evaluation_queries(song_dataset, history_length=5)
    assert [*queries.query_ids] == [
        id for id, row in zip(whole.query_ids, whole.positives, strict=True) if set(row) - {"s1", "s2"}
    ]


def test_a_source_that_was_rolled_back_meanwhile(base, tmp_path, monkeypatch):
    name, removed = tmp_path / "songs", module.read_removed
    for version in ("2", "3"):
        shutil.copytree(base / "songs" / "3", name / version)

    def rolled_back(*arguments):
        roll_back(name)
        return removed(*arguments)

    monkeypatch.setattr(module, "read_removed", rolled_back)
    with pytest.raises(UsageError, match="version 2 came into service while this one was made from version 3"):
        push_index(name, None, base / "gone.txt")


def test_a_ranking_model_alone(base, pushes, tmp_path):
    name = tmp_path / "songs"
    shutil.copytree(base / "songs", name)
    path = name / "3" / "assets.extra" / "signatures.json"
    signatures = json.loads(path.read_text())
    del signatures["recommend"]
    path.write_text(json.dumps(signatures))
    for dataset in (None, "data"):
        with pytest.raises(UsageError, match="is a ranking model alone, which recommends nothing"):
            push_index(name, base / "new.parquet", dataset=dataset)
    assert not pushes


def test_refused_before_anything_is_encoded(base, pushes, tmp_path):
    name = tmp_path / "models" / "songs"
    shutil.copytree(base / "songs", name)
    (name / "3" / "assets.extra" / "evaluation.parquet").unlink()
    with pytest.raises(UsageError, match="carries no queries to be measured with; name a dataset with --dataset"):
        push_index(name, base / "new.parquet")
    with pytest.raises(UsageError, match="is a model itself|name the folder of the versions"):
        push_index(name / "3", base / "new.parquet")
    with pytest.raises(DataError, match="no such folder"):
        push_index(tmp_path / "none", base / "new.parquet")
    with pytest.raises(DataError, match="none.txt: expected a text file"):
        push_index(name, base / "new.parquet", tmp_path / "none.txt")
    assert not pushes and not Path(tmp_path / "written").exists()
    about = json.loads((base / "songs" / "3" / "assets.extra" / "model.json").read_text())
    assert about["num_candidates"] == 26 and "refreshed" not in about, "the version in service stays as it was"
