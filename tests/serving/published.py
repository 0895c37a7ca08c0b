"""Folders that look like versions, for tests of how they are moved."""

from __future__ import annotations

import json
from pathlib import Path

from tfmmrec.serving.paths import BLESSING_FILE, MODEL_FILE


def make_version(folder: Path, content: str = "graph", blessed: bool = False) -> Path:
    """A folder with what tells that it is an export; nothing in it can be loaded."""
    (folder / "assets.extra").mkdir(parents=True)
    (folder / MODEL_FILE).write_text(json.dumps({"format": "tfmmrec"}))
    (folder / "saved_model.pb").write_text(content)
    if blessed:
        (folder / BLESSING_FILE).write_text("{}")
    return folder
