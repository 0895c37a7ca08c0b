"""The process that exports pretrained encoders, with Keras 3: `python -m tfmmrec.pretrained.export_encoder`.

KerasHub and today's `keras.applications` are Keras 3, and models here are Keras 2; the two must not meet. So this
module, and what it imports alone, loads them in a process that holds no model: `run_export` starts it. What it writes
holds plain variables and graphs, which both understand.

The arguments are a folder to write to and the number of a file descriptor; a request comes as JSON from standard
input. Through the descriptor goes a JSON object a line: {"stage": ...} on the way, and {"card": ...} or {"error": ...,
"message": ...} at the end.
"""
# ruff: noqa: E402

from __future__ import annotations

import os
import sys

if getattr(sys.modules.get("tensorflow"), "_tf_uses_legacy_keras", False):
    raise ImportError(
        "tfmmrec.pretrained.export_encoder needs Keras 3 and a process of its own, but TensorFlow was imported with "
        "Keras 2 here; call tfmmrec.pretrained.run_export, which starts one"
    )
os.environ.pop("TF_USE_LEGACY_KERAS", None)  # `import tfmmrec` set it; TensorFlow has not been imported yet
os.environ["KERAS_BACKEND"] = "tensorflow"

import json
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import tensorflow_text  # noqa: F401  (the ops of tokenizers)

import tfmmrec
from tfmmrec.pretrained.export_request import ExportRequest
from tfmmrec.pretrained.halves import Halves, write_halves
from tfmmrec.types import DataError, UsageError

_LIBRARIES = ("tensorflow", "tensorflow-text", "tensorflow-hub", "keras", "keras-hub")
Stage = Callable[[str], None]


def export_encoder(request: ExportRequest, folder: Path, stage: Stage = lambda text: None) -> dict[str, Any]:
    """Writes an encoder into an empty folder.

    Args:
        request: which.
        folder: where to.
        stage: told what is being done.

    Returns:
        The card.

    Raises:
        DataError: the source is none, or its weights do not fit.
        UsageError: options that mean nothing to the source.
    """
    stage(f"reading {request.source}")
    halves = _halves(request)
    versions = {"tfmmrec": tfmmrec.__version__} | {name: version(name) for name in _LIBRARIES}
    card = {"licence": None} | halves.card | {"untrained": request.untrained, "versions": versions}
    halves = replace(halves, card=card)
    stage("writing the SavedModel")
    return write_halves(halves, folder)


def _halves(request: ExportRequest) -> Halves:
    # tensorflow_hub brings Keras 2 along, the others Keras 3
    if request.kind == "hub":
        from tfmmrec.pretrained.hub_halves import hub_halves as make
    elif request.kind == "application":
        from tfmmrec.pretrained.application_halves import application_halves as make
    else:
        from tfmmrec.pretrained.checkpoint_halves import checkpoint_halves as make
    return make(request)


def main(arguments: list[str]) -> None:
    """Serves one request."""
    folder, descriptor = arguments
    with open(int(descriptor), "w", encoding="utf-8") as reports:

        def report(**content: Any) -> None:
            print(json.dumps(content), file=reports, flush=True)

        try:
            request = ExportRequest(**json.load(sys.stdin))
            report(card=export_encoder(request, Path(folder), lambda text: report(stage=text)))
        except (DataError, UsageError) as error:
            report(error=type(error).__name__, message=str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
