"""The pictures of the catalogue `fashion`: a garment of a type, a colour and a pattern, as a shop shows it.

A picture is drawn at four times its size with PIL and reduced, so that its edges are smooth. Cut, shade,
pose, scale, background and light vary from picture to picture; type, colour and pattern do not.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tfmmrec.data.fashion_shapes import TYPES, Cut, cut_garment
from tfmmrec.types import UsageError

PICTURE_SIZE = 64
OVERSAMPLING = 4

# Name -> the cloth's colour, and the colours its pattern may have.
COLOURS: dict[str, tuple[tuple[int, int, int], tuple[tuple[int, int, int], ...]]] = {
    "black": ((38, 38, 44), ((150, 150, 155), (170, 140, 80))),
    "grey": ((140, 143, 148), ((225, 225, 225), (70, 72, 80))),
    "white": ((242, 241, 238), ((110, 135, 185), (190, 120, 120), (120, 120, 125))),
    "red": ((196, 32, 42), ((245, 225, 215), (110, 10, 25))),
    "orange": ((238, 126, 32), ((255, 228, 190), (165, 70, 10))),
    "yellow": ((244, 205, 50), ((255, 246, 205), (175, 130, 15))),
    "green": ((46, 134, 74), ((215, 238, 205), (18, 70, 42))),
    "blue": ((48, 96, 200), ((215, 228, 250), (20, 40, 110))),
    "purple": ((122, 62, 156), ((228, 208, 242), (66, 24, 92))),
    "brown": ((118, 74, 44), ((222, 196, 160), (62, 36, 20))),
}
PATTERNS = ("plain", "stripes", "dots", "checks", "floral")
BACKGROUNDS = (
    (226, 222, 214),
    (214, 218, 222),
    (230, 216, 206),
    (208, 216, 206),
    (222, 214, 226),
    (205, 200, 194),
)


def render_garment(
    type: str, colour: str, pattern: str, rng: np.random.Generator, size: int = PICTURE_SIZE
) -> Image.Image:
    """Renders one garment.

    Args:
        type: one of `TYPES`.
        colour: one of `COLOURS`.
        pattern: one of `PATTERNS`.
        rng: decides on cut, shade, pose and background.
        size: width and height in pixels.

    Returns:
        An RGB picture, `size` x `size`.

    Raises:
        UsageError: for a type, a colour or a pattern that does not exist.
    """
    return paint_garment(type, colour, pattern, rng, size)[0]


def paint_garment(
    type: str, colour: str, pattern: str, rng: np.random.Generator, size: int = PICTURE_SIZE
) -> tuple[Image.Image, np.ndarray]:
    """Like `render_garment`; also returns where the garment is, `[size, size]` float32 from 0 to 1."""
    for name, value, known in (
        ("type", type, TYPES),
        ("colour", colour, COLOURS),
        ("pattern", pattern, PATTERNS),
    ):
        if value not in known:
            raise UsageError(f"{name} {value!r} does not exist in the catalogue; pass one of {', '.join(known)}")
    base, seconds = COLOURS[colour]
    base = _shaded(base, rng)
    second = _shaded(seconds[rng.integers(len(seconds))], rng)
    dark = tuple(int(0.62 * x) for x in base)
    if colour == "black":
        dark = (16, 16, 20)
    large = size * OVERSAMPLING
    cut = _placed(cut_garment(type, rng), large, rng)
    cloth = _weave(pattern, base, second, large, rng)
    mask = Image.new("L", (large, large))
    _lay_out(cut, cloth, mask, dark, large)
    return _photograph(cloth, mask, size, rng)


def _shaded(colour: tuple[int, int, int], rng: np.random.Generator) -> tuple[int, int, int]:
    """The colour a little lighter or darker, warmer or colder."""
    shade = np.array(colour) * rng.uniform(0.92, 1.06) + rng.normal(0.0, 4.0, 3)
    return tuple(int(x) for x in np.clip(shade, 0, 255))


def _placed(cut: Cut, large: int, rng: np.random.Generator) -> Cut:
    """The cut in pixels: scaled, turned by a few degrees and moved."""
    angle = np.deg2rad(rng.normal(0.0, 4.0))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    outline = np.concatenate(cut.cloth + cut.straps)
    low, top = outline.min(axis=0), outline.max(axis=0)
    scale = large * rng.uniform(0.37, 0.44) * 2.0 / (top - low).max()
    scale = scale * np.array([rng.choice((-1.0, 1.0)) * rng.uniform(0.93, 1.05), 1.0])
    centre = large * (0.5 + rng.uniform(-0.035, 0.035, 2))

    def place(lines: list[np.ndarray]) -> list[np.ndarray]:
        return [((points - 0.5 * (low + top)) * scale) @ turn.T + centre for points in lines]

    return Cut(place(cut.cloth), place(cut.seams), place(cut.trims), place(cut.straps))


def _flat(points: np.ndarray) -> list[float]:
    return points.ravel().tolist()


def _weave(pattern: str, base, second, large: int, rng: np.random.Generator) -> Image.Image:
    """The cloth, `large` x `large`, with its pattern at a random phase, width and angle."""
    wide = int(1.5 * large)
    cloth = Image.new("RGB", (wide, wide), base)
    if pattern == "plain":
        return cloth.crop((0, 0, large, large))
    draw = ImageDraw.Draw(cloth)
    step = large * rng.uniform(0.1, 0.14)
    start = rng.uniform(-step, 0.0)
    at = np.arange(start, wide + step, step)
    angle = rng.normal(0.0, 5.0)
    if pattern == "stripes":
        angle += 90.0 * (rng.random() < 0.5)
        for x in at:
            draw.rectangle((x, 0, x + 0.38 * step, wide), fill=second)
    elif pattern == "checks":
        middle = tuple((2 * a + b) // 3 for a, b in zip(base, second, strict=True))
        for x in at:
            draw.rectangle((x, 0, x + 0.36 * step, wide), fill=middle)
        for y in at:
            draw.rectangle((0, y, wide, y + 0.36 * step), fill=middle)
        for x in at:
            for y in at:
                draw.rectangle((x, y, x + 0.36 * step, y + 0.36 * step), fill=second)
    elif pattern == "dots":
        radius = 0.27 * step
        for row, y in enumerate(at):
            for x in at + 0.5 * step * (row % 2):
                draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=second)
    else:
        _scatter_flowers(draw, 1.75 * step, second, wide, rng)
    left = (wide - large) // 2
    return cloth.rotate(angle, fillcolor=base).crop((left, left, left + large, left + large))


def _scatter_flowers(draw: ImageDraw.ImageDraw, step: float, second, wide: int, rng: np.random.Generator) -> None:
    heart = (250, 214, 80) if second[2] > 60 or second[0] < 150 else (255, 245, 225)
    for row, y in enumerate(np.arange(0.0, wide + step, 0.85 * step)):
        for x in np.arange(0.0, wide + step, step) + 0.5 * step * (row % 2):
            x0, y0 = np.array([x, y]) + rng.uniform(-0.12, 0.12, 2) * step
            reach, petal = 0.19 * step, 0.15 * step
            for turn in rng.uniform(0.0, 2.0) + 0.4 * np.arange(5):
                px, py = x0 + reach * np.cos(turn * np.pi), y0 + reach * np.sin(turn * np.pi)
                draw.ellipse((px - petal, py - petal, px + petal, py + petal), fill=second)
            draw.ellipse((x0 - 0.7 * petal, y0 - 0.7 * petal, x0 + 0.7 * petal, y0 + 0.7 * petal), fill=heart)


def _lay_out(cut: Cut, cloth: Image.Image, mask: Image.Image, dark: tuple[int, int, int], large: int) -> None:
    """Marks the garment in `mask` and draws outlines, seams and trims upon the cloth."""
    edge, seam, strap = (max(1, round(large * share)) for share in (0.012, 0.007, 0.05))
    on_cloth, on_mask = ImageDraw.Draw(cloth), ImageDraw.Draw(mask)
    for points in cut.straps:
        on_mask.line(_flat(points), fill=255, width=strap, joint="curve")
        on_cloth.line(_flat(points), fill=dark, width=strap, joint="curve")
    for points in cut.cloth + cut.trims:
        on_mask.polygon(_flat(points), fill=255)
    for points in cut.cloth:
        on_cloth.line(_flat(np.concatenate([points, points[:2]])), fill=dark, width=edge, joint="curve")
    for points in cut.seams:
        on_cloth.line(_flat(points), fill=dark, width=seam)
        on_mask.line(_flat(points), fill=255, width=seam)
    for points in cut.trims:
        on_cloth.polygon(_flat(points), fill=dark)


def _photograph(
    cloth: Image.Image, mask: Image.Image, size: int, rng: np.random.Generator
) -> tuple[Image.Image, np.ndarray]:
    """Puts the garment before its background, with folds, light from one side and a soft shadow."""
    garment = np.asarray(cloth.resize((size, size), Image.Resampling.BOX), np.float32)
    small = mask.resize((size, size), Image.Resampling.BOX)
    inside = np.asarray(small, np.float32)[..., None] / 255.0
    blur = np.asarray(small.filter(ImageFilter.GaussianBlur(size / 28)), np.float32)[..., None] / 255.0
    shadow = np.roll(blur, (max(1, size // 32), max(1, size // 40)), axis=(0, 1))
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    slope = rng.uniform(-0.12, 0.12)
    folds = 0.035 * np.sin(2 * np.pi * (rng.uniform(2.5, 4.0) * x + rng.uniform(-0.8, 0.8) * y + rng.random()))
    light = (1.03 + slope * (x - 0.5) - 0.1 * (y - 0.5) + folds)[..., None]
    background = np.array(BACKGROUNDS[rng.integers(len(BACKGROUNDS))], np.float32) + rng.normal(0.0, 4.0, 3)
    wall = background * (1.03 - 0.1 * y - 0.12 * ((x - 0.5) ** 2 + (y - 0.5) ** 2))[..., None] * (1 - 0.3 * shadow)
    picture = inside * garment * light + (1 - inside) * wall + rng.normal(0.0, 1.5, (size, size, 1))
    return Image.fromarray(np.clip(picture + 0.5, 0, 255).astype(np.uint8)), inside[..., 0]
