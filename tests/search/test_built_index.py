import numpy as np
import pytest

from tfmmrec.search import built_index
from tfmmrec.search.built_index import build_index
from tfmmrec.search.exact import ExactIndex
from tfmmrec.search.index_settings import IndexSettings
from tfmmrec.search.inverted_file import InvertedFileIndex
from tfmmrec.search.scann_cells import ScannCells
from tfmmrec.types import UsageError

RANDOM = np.random.default_rng(0)
MIDDLES = 4 * RANDOM.normal(size=(30, 8))
VECTORS = (np.repeat(MIDDLES, 20, axis=0) + RANDOM.normal(size=(600, 8))).astype(np.float32)
QUERIES = np.concatenate([MIDDLES, np.zeros((5, 8))]).astype(np.float32)
IDS = [str(row) for row in range(600)]


def _build(queries=QUERIES, vectors=VECTORS, **settings):
    return build_index(IndexSettings(**settings), (IDS, vectors), lambda: queries)


def test_few_candidates_are_all_scored_unless_cells_are_asked_for(monkeypatch):
    index, described = _build()
    assert type(index) is ExactIndex and described == {"kind": "exact"}
    index, described = _build(kind="ivf", cells=30, recall=0.9)
    assert isinstance(index, InvertedFileIndex) and described["recall@100"] >= 0.9
    assert described == {"kind": "ivf", "cells": 30, "probes": int(index.cells.probes), "dtype": "int8"} | {
        "queries": 30,
        "recall@100": described["recall@100"],
    }
    monkeypatch.setattr(built_index, "IVF_FROM", 600)
    assert isinstance(_build(cells=200, dtype="float32", recall=0.2)[0], InvertedFileIndex)
    assert type(_build(kind="exact")[0]) is ExactIndex


def test_where_most_cells_would_be_read_all_candidates_are_scored(monkeypatch):
    monkeypatch.setattr(built_index, "IVF_FROM", 600)
    index, described = _build(vectors=RANDOM.normal(size=(600, 8)).astype(np.float32))
    assert type(index) is ExactIndex and described == {"kind": "exact"}


def test_scann():
    pytest.importorskip("scann")
    index, described = _build(kind="scann", cells=30, recall=0.9)
    assert described == {"kind": "scann", "cells": 30, "probes": int(index.cells.probes)} | {
        "queries": 30,
        "recall@100": described["recall@100"],
    }
    assert described["recall@100"] >= 0.9 and described["probes"] < 30
    assert isinstance(index.cells, ScannCells)


def test_scann_needs_some_candidates():
    pytest.importorskip("scann")
    with pytest.raises(UsageError, match="at least 16 candidates.*got 10 candidates and 6 cells; choose exact"):
        build_index(IndexSettings(kind="scann"), (IDS[:10], VECTORS[:10]), lambda: QUERIES)


@pytest.mark.parametrize("given", [{}, {"probes": 3}])
def test_no_queries(given):
    index, described = _build(QUERIES[:0], kind="ivf", **given)
    assert described == {"kind": "ivf", "cells": 49, "probes": given.get("probes", 49), "dtype": "int8", "queries": 0}
