"""`encoder.json`: what an exported encoder is, beside its SavedModel."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfmmrec.types import DataError, UsageError

CARD_FILE = "encoder.json"
FORMAT = "tfmmrec-encoder"


def weights_fingerprint(arrays: Iterable[np.ndarray]) -> str:
    """A digest of weights: of their numbers, shapes and order."""
    digest = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array)
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Writes a card into an encoder's folder."""
    text = json.dumps({"format": FORMAT, **card}, indent=2, ensure_ascii=False)
    (folder / CARD_FILE).write_text(text + "\n", encoding="utf-8")


def read_card(folder: str | Path) -> dict[str, Any]:
    """The card of an exported encoder.

    Raises:
        DataError: the folder holds none.
    """
    path = Path(folder) / CARD_FILE
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        card = None
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise DataError(f"{folder}: expected an exported encoder with {CARD_FILE}, found none; "
                        f"`tfmmrec encoder export SOURCE --to DIR` writes one")  # fmt: skip
    return card


def check_target(target: str | Path, overwrite: bool) -> None:
    """Refuses a place where an encoder must not be written.

    Raises:
        UsageError: an encoder is there and `overwrite` is False, or something else is.
    """
    path = Path(target)
    if "://" in str(target):
        raise UsageError(f"{target}: encoders are written to this machine; name a folder, and copy it then")
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    try:
        read_card(path)
    except DataError:
        raise UsageError(
            f"{target}: holds something that is no exported encoder, and is not replaced; name another folder"
        ) from None
    if not overwrite:
        raise UsageError(f"{target}: holds an exported encoder already; --overwrite replaces it")
