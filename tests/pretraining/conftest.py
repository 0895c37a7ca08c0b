"""Small encoders, written once for all tests that begin with one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pretraining.flowers import COLOURS, FLOWERS, PLACES
from tfmmrec.pretrained.halves import write_halves
from tfmmrec.pretraining.small_image import small_image_halves
from tfmmrec.pretraining.small_text import small_text_halves


@pytest.fixture(scope="session")
def small_text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text encoder of 8 numbers, over the words of the generated catalogue."""
    folder = tmp_path_factory.mktemp("encoder")
    words = [word.lower() for word in (*COLOURS, *FLOWERS, *PLACES)]
    write_halves(small_text_halves(words, 6, dim=8, num_layers=1, num_heads=2), folder)
    return folder


@pytest.fixture(scope="session")
def small_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder of pictures of 16 pixels into 8 numbers."""
    folder = tmp_path_factory.mktemp("encoder")
    write_halves(small_image_halves(dim=8, size=16), folder)
    return folder
