"""An export whose index is ScaNN's, through all that an export goes through; for servers that have its operations."""

import numpy as np
import pytest

from tests.serving.tables import first_candidates, write_candidates
from tfmmrec.search.index_settings import IndexSettings
from tfmmrec.serving.development_server.model_version import ModelVersion
from tfmmrec.serving.export import export_run
from tfmmrec.serving.exported_model import load_exported
from tfmmrec.serving.refresh import refresh_index
from tfmmrec.serving.replay import replay_check
from tfmmrec.types import UsageError

pytest.importorskip("scann")

QUESTIONS = [
    ("recommend", {"query_id": "q1", "k": 5}),
    ("recommend", {"query_id": "q2", "k": 30, "allow": ["genre=folk"], "deny": ["artist=artist 2"]}),
    ("recommend", {"query_id": "", "history": ["s8", "s3"], "cap": 2, "k": 9}),
    ("recommend", {"query_id": "", "k": 4}),
    ("similar", {"candidate_id": "s7", "k": 6}),
]

NAMES = "candidate_ids", "scores"


@pytest.fixture(scope="module")
def scann_export(song_run, song_dataset, tmp_path_factory):
    """All but four songs in four cells, of which a query reads one."""
    folder = tmp_path_factory.mktemp("scann") / "songs"
    settings = IndexSettings("scann", cells=4, probes=1)
    return export_run(song_run, folder, first_candidates(song_dataset, 26), index=settings)


def _assert_answers_alike(one, other, k_of_cells):
    """Every list has as many candidates, with the scores that an exact index gives them."""
    for place, (signature, inputs) in enumerate(QUESTIONS):
        found, exact = one.ask(signature, **inputs), other.ask(signature, **inputs)
        assert found.get("source") == exact.get("source")
        everything = dict(zip(*(other.ask(signature, **inputs | {"k": 30})[name] for name in NAMES), strict=True))
        there = found["candidate_ids"] != ""
        assert there.sum() == (exact["candidate_ids"] != "").sum(), "as many as there are"
        scores = [everything[id] for id in found["candidate_ids"][there]]
        np.testing.assert_allclose(found["scores"][there], scores, rtol=1e-3, atol=1e-4)
        if place in k_of_cells:
            np.testing.assert_array_equal(found["candidate_ids"], exact["candidate_ids"])


@pytest.mark.slow
def test_it_is_refreshed_replayed_and_served_like_any_index(scann_export, exported, song_dataset, tmp_path):
    model = load_exported(scann_export)
    assert model.about["index"].items() >= {"kind": "scann", "cells": 4, "probes": 1}.items()
    table = write_candidates(tmp_path / "new.parquet", song_dataset, list(range(24, 30)))
    assert refresh_index(scann_export, tmp_path / "new", table).counts()["added"] == 4
    refreshed = load_exported(tmp_path / "new")
    whole = [1, 3, 4]  # filters that leave less than k, the popular ones, and cosines: all candidates are scored
    _assert_answers_alike(refreshed, load_exported(exported), whole)
    assert len(refreshed.module.index.cells.parts["datapoint_to_token"].numpy()) == 30
    with pytest.raises(UsageError, match="at least 16 candidates, but 15 would be left; keep more"):
        refresh_index(scann_export, tmp_path / "few", removed=model.candidates["candidate_id"].to_pylist()[:11])
    assert not (tmp_path / "few").exists()
    check = replay_check(refreshed)
    assert check.passed, check.says
    assert set(ModelVersion(2, str(tmp_path / "new")).signatures) >= set(refreshed.signatures)
