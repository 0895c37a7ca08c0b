"""Every kind of index, exported, in a process that knows nothing of this project, and again with other candidates."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tests.conformance.reindexing import reindex
from tests.conformance.serving import PythonModel, ServedCase, ask_stock_runtime, check_ranking, make_run
from tests.serving.catalogue import songs
from tfmmrec.search.index_settings import IndexSettings
from tfmmrec.serving.export import export_run

KINDS = {
    "ivf": IndexSettings("ivf", cells=6, probes=1),
    "exact": IndexSettings("exact"),
    "ivf bfloat16": IndexSettings("ivf", cells=4, probes=4, dtype="bfloat16"),
}
QUERIES = 6
pytestmark = pytest.mark.slow  # tests/search tries every kind without an export, test_serving_signatures an export
KNOWN_OPS = """
import json, os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow_text
from tensorflow.python.framework import op_def_registry
print(json.dumps([name for name in json.load(sys.stdin) if op_def_registry.get(name) is None]))
"""


@pytest.fixture(scope="module", params=KINDS)
def answered(request, tmp_path_factory):
    """The kind, and of its exports of 30 songs and of 50 the folder, the model and what it answered."""
    folder = tmp_path_factory.mktemp("kinds")
    few, many = songs(num_candidates=30), songs(num_candidates=50)
    run = make_run(ServedCase("songs", "two_tower"), few, folder / "run")
    requests = _requests(few.schema.queries.history.length)
    old, new = folder / "of 30", folder / "of 50"
    export_run(run, old, few, index=KINDS[request.param])
    reindex(old, new, run, many)
    answers = ask_stock_runtime([(old, requests), (new, requests)], folder, lambda path: request.param == "ivf")
    models = PythonModel(run, few), PythonModel(run, many, few)
    return request.param, tuple(zip((old, new), models, answers, strict=True))


def _requests(length):
    k = {"k": np.array([50, 3], np.int32)}
    history = np.array([["s4", "s2"] + [""] * (length - 2), [""] * length])
    artist = np.array([["artist=artist 3"] + [""] * 15, [""] * 16])
    folk = np.array([["genre=folk"] + [""] * 15] * 2)
    one_of_two = {"k": np.array([2, 2], np.int32), "cap": np.array([1, 1], np.int32)}
    several = {
        "query_id": np.array([f"q{row}" for row in range(QUERIES)]),
        "history": np.array([[f"s{row}", f"s{row + 1}"] + [""] * (length - 2) for row in range(QUERIES)]),
    }
    return [
        ("embed_query", {"query_id": np.array(["q1", "nobody"]), "history": history}),
        ("recommend", {"query_id": np.array(["q1", "nobody"]), "history": history, **k}),
        ("recommend", {"query_id": np.array(["q1", "nobody"]), "history": history, "allow": artist, **k}),
        ("similar", {"candidate_id": np.array(["s4", "s9"]), **k}),
        ("recommend", {"query_id": np.array(["q1", "nobody"]), "history": history, "allow": folk, **one_of_two}),
        ("embed_query", several),
        ("recommend", {**several, "k": np.ones(QUERIES, np.int32)}),
    ]


@pytest.mark.parametrize("which", [0, 1], ids=["exported", "with other candidates"])
def test_all_that_pass_are_found_with_their_scores(answered, which):
    """What is asked for is more than there is, so an approximate index must widen to all of it."""
    _, model, (embedded, recommended, of_artist, similar, *_) = answered[1][which]
    size = len(model.ids)
    scores = embedded["vectors"] @ model.vectors.T
    scores[0, [4, 2, *model.stored("q1")]] = -np.inf
    check_ranking(model, recommended, 0, scores[0], 50)
    assert recommended["source"].tolist() == [b"history", b"popular"]
    check_ranking(model, recommended, 1, model.counts.astype(float), 3)
    check_ranking(model, of_artist, 0, np.where(np.arange(size) % 5 == 3, scores[0], -np.inf), 50)
    cosines = model.cosines(model.vectors[[4, 9]] - model.vectors.mean(axis=0))
    cosines[0, 4] = -np.inf
    check_ranking(model, similar, 0, cosines[0], 50)


@pytest.mark.parametrize("which", [0, 1], ids=["exported", "with other candidates"])
def test_a_cap_that_leaves_less_than_is_asked_for(answered, which):
    """One of a genre, of which one is allowed: the second is looked for among all."""
    _, model, (embedded, *_, capped, _, _) = answered[1][which]
    genres = songs(num_candidates=len(model.ids)).candidates.features["genre"].to_pylist()
    is_folk = np.array(["folk" in (genre or []) for genre in genres])
    scores = embedded["vectors"] @ model.vectors.T
    scores[0, [4, 2, *model.stored("q1")]] = -np.inf
    assert is_folk.sum() > 8, "more than are looked at first"
    check_ranking(model, capped, 0, np.where(is_folk, scores[0], -np.inf), 1)
    check_ranking(model, capped, 1, np.where(is_folk, model.counts.astype(float), -np.inf), 1)


@pytest.mark.parametrize("which", [0, 1], ids=["exported", "with other candidates"])
def test_one_is_found_in_the_cells_that_are_read(answered, which):
    kind, (folder, model, (*_, embedded, one)) = answered[0], answered[1][which]
    size, num_probed = len(model.ids), 0
    scores = embedded["vectors"] @ model.vectors.T
    owners = np.zeros(size, int) if KINDS[kind].kind == "exact" else _owners(folder, size)
    for row in range(QUERIES):
        scores[row, [row, row + 1, *model.stored(f"q{row}")]] = -np.inf
        means = {cell: model.vectors[owners == cell].mean(axis=0) @ embedded["vectors"][row] for cell in set(owners)}
        read = sorted(means, key=means.get)[::-1][: KINDS[kind].probes]
        probed = np.where(np.isin(owners, read), scores[row], -np.inf)
        suffices = np.isfinite(probed).any()
        num_probed += suffices
        check_ranking(model, one, row, probed if suffices else scores[row], 1)
    assert num_probed > 0, "some are answered from one cell"


def _owners(folder, size):
    """The cell of each candidate of an export, int `[size]`."""
    path, owners = str(folder / "variables" / "variables"), np.full(size, -1)
    names = (f"index_arrays/cell_{what}/.ATTRIBUTES/VARIABLE_VALUE" for what in ("starts", "tile_rows"))
    starts, rows = (tf.train.load_variable(path, name) for name in names)
    for cell, (start, end) in enumerate(zip(starts[:-1], starts[1:], strict=True)):
        own = rows[start:end].ravel()
        owners[own[own >= 0]] = cell
    assert (owners >= 0).all()
    return owners


def test_no_operation_is_foreign_to_stock_servers(answered):
    names = set()
    for folder, _, _ in answered[1]:
        content = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs[0]
        library = content.graph_def.library.function
        functions = {function.signature.name for function in library}
        nodes = [*content.graph_def.node, *(node for function in library for node in function.node_def)]
        names |= {node.op for node in nodes} - functions
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    options = {"capture_output": True, "text": True, "env": environment, "cwd": folder, "timeout": 240}
    done = subprocess.run([sys.executable, "-c", KNOWN_OPS], input=json.dumps(sorted(names)), **options)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == [] and "MatMul" in names


def test_the_kind_is_written_down(answered):
    kind, [(folder, _, _), _] = answered
    described = json.loads((folder / "assets.extra" / "model.json").read_text())["index"]
    if kind == "exact":
        assert described == {"kind": "exact"}
        return
    settings = KINDS[kind]
    chosen = {"kind": "ivf", "cells": settings.cells, "probes": settings.probes, "dtype": settings.dtype}
    assert {key: described[key] for key in chosen} == chosen
    assert 0 < described["recall@30"] <= 1
