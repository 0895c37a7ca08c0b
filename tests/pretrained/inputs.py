"""What the small checkpoints read, and what they are given."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "dress", "##es", "blue", "warm", ",", "wool"]
MERGES = ["r e", "re d</w>", "b l", "bl u", "blu e</w>"]
PIECES = {
    piece: number
    for number, piece in enumerate(
        [*"abcdefghijklmnopqrstuvwxyz,", *(f"{letter}</w>" for letter in "abcdefghijklmnopqrstuvwxyz,"),
         *(merge.replace(" ", "") for merge in MERGES), "<|startoftext|>", "<|endoftext|>"]
    )
}  # fmt: skip
TEXTS = ["a red dress", "", "Red dresses, warm wool, blue, red", "blue"]


def pixels(size: int) -> np.ndarray:
    """A picture, uint8 `[size, size, 3]`."""
    return np.random.default_rng(size).integers(0, 256, (size, size, 3)).astype(np.uint8)


def png(array: np.ndarray) -> bytes:
    """A picture's bytes."""
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()
