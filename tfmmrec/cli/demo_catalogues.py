"""The embedded catalogues, as the demo tells of them."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfmmrec.data import fashion, songs


@dataclass(frozen=True)
class DemoCatalogue:
    """A catalogue and its words.

    Attributes:
        about: what it has.
        candidates: what its candidates are called,
        queries: and its queries.
        write: called with (folder, seed); returns the folder.
        question: makes content that nobody has seen: what it is called, and what `answer` takes.
        text: words that one might ask with.
        runs: the folder of the demo's runs.
    """

    about: str
    candidates: str
    queries: str
    write: Callable[[Path, int], Path]
    question: Callable[[], tuple[str, dict[str, Any]]]
    text: str
    runs: str


def _dress() -> tuple[str, dict[str, Any]]:
    picture = io.BytesIO()
    fashion.render_garment("dress", "red", "floral", np.random.default_rng(7)).save(picture, "PNG")
    words = "breezy summer wear, washed flax linen for a day by the sea"
    return f"a new picture of a red floral dress and the words '{words}'", {
        "image": picture.getvalue(),
        "text": words,
    }


def _song() -> tuple[str, dict[str, Any]]:
    random = np.random.default_rng(7)
    sound = songs.wav_bytes(songs.synthesise("fast", "bell", "high", random))
    words = "a wistful song about the sea"
    return f"a new sound, fast high bells, a spinning cover and the words '{words}'", {
        "audio": sound,
        "video": songs.animate("spin", random),
        "text": words,
    }


CATALOGUES = {
    "fashion": DemoCatalogue(
        about="garments with pictures and words, shoppers, and what they chose",
        candidates="garments",
        queries="shoppers",
        write=lambda folder, seed: fashion.write_fashion(folder, seed=seed),
        question=_dress,
        text="linen for the beach in summer",
        runs="runs",
    ),
    "songs": DemoCatalogue(
        about="songs with sounds, moving covers and words, listeners, and what they played",
        candidates="songs",
        queries="listeners",
        write=lambda folder, seed: songs.write_songs(folder, seed=seed),
        question=_song,
        text="a joyful song about the open road",
        runs="runs_songs",
    ),
}
