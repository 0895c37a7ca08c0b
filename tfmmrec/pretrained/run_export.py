"""Starts the process that exports a pretrained encoder, and puts what it wrote in its place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tfmmrec
from tfmmrec.pretrained.encoder_card import check_target
from tfmmrec.pretrained.export_request import ExportRequest
from tfmmrec.staging import staged
from tfmmrec.types import DataError, UsageError

_ERRORS = {"DataError": DataError, "UsageError": UsageError}
_LOG_LINES = 20


def run_export(
    request: ExportRequest,
    to: str | Path,
    overwrite: bool = False,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Exports a pretrained encoder as a reusable SavedModel, whole or not at all.

    Args:
        request: which encoder, and how.
        to: the folder of the SavedModel.
        overwrite: replace an exported encoder that is there.
        progress: told what is being done.

    Returns:
        The encoder's card.

    Raises:
        DataError: the source is none, or its weights do not fit.
        UsageError: the folder is taken or cannot be written, or options mean nothing to the source.
        RuntimeError: the process failed; the end of what it said.
    """
    request.kind  # refuses what is nowhere before a process is started  # noqa: B018
    with staged(to, lambda target: check_target(target, overwrite)) as folder:
        return _run(request, folder, progress or (lambda text: None))


def _run(request: ExportRequest, folder: Path, progress: Callable[[str], None]) -> dict[str, Any]:
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "tfmmrec.pretrained.export_encoder", str(folder), str(writing)]
    with tempfile.TemporaryFile() as log, open(reading, encoding="utf-8") as reports:
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, pass_fds=[writing], env=_environment()
        )
        os.close(writing)
        try:
            child.stdin.write(json.dumps(asdict(request)).encode())
            child.stdin.close()
            for line in reports:
                said = json.loads(line)
                if "card" in said:
                    return said["card"]
                if "error" in said:
                    raise _ERRORS[said["error"]](said["message"])
                progress(said["stage"])
            code = child.wait()
            log.seek(0)
            last = log.read().decode(errors="replace").splitlines()[-_LOG_LINES:]
            raise RuntimeError(f"the export's process ended with code {code}: {last[-1] if last else 'no word'}\n\n"
                               + "\n".join(last))  # fmt: skip
        finally:
            if sys.exc_info()[0] is not None:
                child.kill()
            child.wait()


def _environment() -> dict[str, str]:
    """Keras 3 and no accelerator: an export computes next to nothing."""
    changed = {
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3"),
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONPATH": os.pathsep.join(
            [str(Path(tfmmrec.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
        ),
    }
    return {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"} | changed
