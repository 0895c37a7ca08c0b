"""Notebooks as the tests run them: each in a kernel of its own, the installation left out, with small settings."""

from __future__ import annotations

import copy
import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "colab").glob("*.ipynb"))


def read(path: Path) -> NotebookNode:
    """A notebook, checked against its format.

    Raises:
        nbformat.ValidationError: it is none.
    """
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def tagged(notebook: NotebookNode, tag: str) -> list[int]:
    """The places of the cells that have a tag."""
    return [place for place, cell in enumerate(notebook.cells) if tag in cell.metadata.get("tags", ())]


def execute(path: Path, folder: Path, parameters: str = "", timeout_seconds: int = 1200) -> NotebookNode:
    """Runs a notebook from top to bottom in a fresh kernel.

    Args:
        path: the notebook, which is left as it is.
        folder: where the kernel works.
        parameters: code that runs behind the cell tagged `parameters`, in whose place its values come.
        timeout_seconds: for a cell.

    Returns:
        The notebook with its outputs, without the cells of the installation.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    notebook = copy.deepcopy(read(path))
    (place,) = tagged(notebook, "parameters")
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(parameters))
    left_out = set(tagged(notebook, "install"))
    notebook.cells = [cell for number, cell in enumerate(notebook.cells) if number not in left_out]
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    settings = {"PATH": path, "PYTHONPATH": str(ROOT), "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    client = NotebookClient(notebook, timeout=timeout_seconds, resources={"metadata": {"path": str(folder)}})
    client.execute(env=os.environ | settings)
    return notebook


def pictures(notebook: NotebookNode) -> list[str]:
    """The PNGs that a notebook shows, base64."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return [output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})]
