"""The covers of the catalogue `songs`: small animations whose motion carries the taste; shape and colours do not."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw

from tfmmrec.types import UsageError

SIZE = 48
"""Pixels in height and width."""
NUM_FRAMES = 8
MOTIONS = ("still", "spin", "drift", "bounce", "pulse", "blink")
_SHAPES = (3, 4, 5, 6)  # corners
_LARGE = 4  # drawn so many times larger, then made smaller: smooth edges


def animate(motion: str, rng: np.random.Generator) -> bytes:
    """A shape that moves, as an animated GIF of `NUM_FRAMES` frames.

    Args:
        motion: one of `MOTIONS`.
        rng: shape, colours, size, place and phase, which mean nothing.

    Raises:
        UsageError: for a motion that does not exist.
    """
    if motion not in MOTIONS:
        raise UsageError(f"motion {motion!r} does not exist in the catalogue; pass one of {', '.join(MOTIONS)}")
    corners, turned = rng.choice(_SHAPES), rng.uniform(0.0, 2.0 * np.pi)
    back, front = (tuple(int(part) for part in rng.integers(low, low + 100, 3)) for low in (0, 150))
    if rng.random() < 0.5:
        back, front = front, back
    radius, phase = rng.uniform(0.2, 0.28), rng.uniform(0.0, 1.0)
    x, y = rng.uniform(0.42, 0.58, 2)
    frames = []
    for number in range(NUM_FRAMES):
        at = (phase + number / NUM_FRAMES) % 1.0
        moved = {"x": x, "y": y, "radius": radius, "turned": turned, "shown": True}
        wave = np.sin(2.0 * np.pi * at)
        if motion == "spin":
            moved["turned"] = turned + 2.0 * np.pi / corners * at
        elif motion == "drift":
            moved["x"] = (x + at) % 1.0
        elif motion == "bounce":
            moved["y"] = 0.75 - 0.5 * abs(wave)
        elif motion == "pulse":
            moved["radius"] = radius * (1.0 + 0.6 * wave)
        elif motion == "blink":
            moved["shown"] = at % 0.5 < 0.25
        frames.append(_draw(corners, back, front, **moved))
        frames[-1].putpixel((number, SIZE - 1), front)  # the writer would make one of two equal frames
    written = io.BytesIO()
    frames[0].save(
        written, "GIF", save_all=True, append_images=frames[1:], duration=120, loop=0, disposal=1, optimize=False
    )
    return written.getvalue()


def _draw(corners: int, back, front, x: float, y: float, radius: float, turned: float, shown: bool) -> Image.Image:
    large = SIZE * _LARGE
    picture = Image.new("RGB", (large, large), back)
    if shown:
        angles = turned + 2.0 * np.pi * np.arange(corners) / corners
        for shift in (-1.0, 0.0, 1.0):  # what leaves on one side comes in on the other
            points = [(large * (x + shift + radius * np.cos(a)), large * (y + radius * np.sin(a))) for a in angles]
            ImageDraw.Draw(picture).polygon(points, fill=front)
    return picture.resize((SIZE, SIZE), Image.Resampling.BOX)
