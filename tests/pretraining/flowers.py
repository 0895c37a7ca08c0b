"""A generated catalogue in which pictures and texts tell the same things, and a text's words tell each other."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import pandas as pd
from PIL import Image

from tfmmrec.data.dataset import Dataset, dataset_from_frames

FLOWERS = ["poppy", "lavender", "sunflower", "fern", "rose", "lily"]
COLOURS = ["red", "purple", "yellow", "green", "pink", "white"]
PLACES = ["Nice", "Graz", "Bonn", "Lund"]
_SHADES = [(200, 30, 30), (120, 40, 160), (230, 210, 40), (40, 140, 60), (240, 150, 180), (245, 245, 245)]
NUM_ABSENT = 3


def picture(kind: int, random: np.random.Generator, size: int = 24) -> bytes:
    """A disc of the flower's colour, somewhere on a grey ground."""
    pixels = np.full((size, size, 3), 90 + random.integers(-20, 20), np.float64)
    rows, columns = np.mgrid[:size, :size]
    middle, radius = random.uniform(8, size - 8, 2), random.uniform(5, 8)
    pixels[(rows - middle[0]) ** 2 + (columns - middle[1]) ** 2 < radius**2] = _SHADES[kind]
    pixels = np.clip(pixels + random.normal(0, 6, pixels.shape), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@cache
def flowers(num_candidates: int = 200, seed: int = 0, chosen_seed: int = 0, is_numbered: bool = True) -> Dataset:
    """Flowers: a name says its colour and the reverse; the last three have neither picture nor text.

    `chosen_seed` is of the interactions; without numbers many texts are the same.
    """
    random = np.random.default_rng(seed)
    kinds = random.integers(0, len(FLOWERS), num_candidates)
    texts = [f"{COLOURS[k]} {FLOWERS[k]} from {PLACES[random.integers(4)]}" for k in kinds]
    texts = [f"{text}, {number} cm" for number, text in enumerate(texts)] if is_numbered else texts
    pictures: list[bytes | None] = [picture(kind, random) for kind in kinds]
    texts[-NUM_ABSENT:], pictures[-NUM_ABSENT:] = ["", "  ", None], [None, None, b"no picture"]
    candidates = pd.DataFrame({"id": [f"c{i}" for i in range(num_candidates)], "text": texts, "picture": pictures})
    chosen = np.random.default_rng(chosen_seed)
    log = pd.DataFrame({"query": [f"q{i % 20}" for i in range(400)], "candidate": ""})
    log["candidate"] = [f"c{i}" for i in chosen.integers(0, num_candidates, 400)]
    schema = {
        "interactions": {"query": "query", "candidate": "candidate", "split": {"method": "ratio"}},
        "candidates": {"id": "id", "features": {"text": {"kind": "text"}, "picture": {"kind": "image"}}},
    }
    return dataset_from_frames(schema, log, candidates)
