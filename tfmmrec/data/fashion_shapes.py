"""The cuts of the catalogue `fashion`: outlines of twelve types of garment as polygons and seams.

Coordinates: x to the right and y down, both in [-1, 1], the garment centred on (0, 0). A cut is drawn from
back to front: pieces of cloth first, seams (thin darker lines) and trims (flat darker areas) on top.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

Points = list[tuple[float, float]]


@dataclass
class Cut:
    """One garment's geometry.

    Attributes:
        cloth: closed polygons filled with the cloth and outlined.
        seams: open lines.
        trims: closed polygons in a darker tone of the cloth's colour: buttons, soles, bands.
        straps: open lines of cloth, wide: handles and shoulder straps.
    """

    cloth: list[np.ndarray] = field(default_factory=list)
    seams: list[np.ndarray] = field(default_factory=list)
    trims: list[np.ndarray] = field(default_factory=list)
    straps: list[np.ndarray] = field(default_factory=list)


def cut_garment(type: str, rng: np.random.Generator) -> Cut:
    """Cuts a garment of one of `TYPES`, each time a little differently (sleeves, necklines, hems)."""
    return TYPES[type](rng)


def _mirrored(half: Points, rounds: int = 2) -> np.ndarray:
    """A closed outline from its right half, from the top of the middle to its bottom; corners rounded."""
    return _rounded(np.array(half + [(-x, y) for x, y in reversed(half) if x > 1e-9]), rounds)


def _rounded(points: np.ndarray | Points, rounds: int = 2) -> np.ndarray:
    """Cuts a closed polygon's corners (Chaikin, "An algorithm for high-speed curve generation", 1974)."""
    points = np.asarray(points, dtype=np.float64)
    for _ in range(rounds):
        ahead = np.roll(points, -1, axis=0)
        points = np.stack([0.85 * points + 0.15 * ahead, 0.15 * points + 0.85 * ahead], axis=1).reshape(-1, 2)
    return points


def _both(points: Points) -> list[np.ndarray]:
    return [np.array(points), np.array([(-x, y) for x, y in points])]


def _ellipse(x: float, y: float, width: float, height: float, start: float = 0.0, stop: float = 2.0) -> np.ndarray:
    """Points of an ellipse with the given half axes, between two angles in units of pi, clockwise."""
    angle = np.linspace(start * np.pi, stop * np.pi, 28)
    return np.stack([x + width * np.cos(angle), y + height * np.sin(angle)], axis=1)


def _buttons(x: float, top: float, bottom: float, count: int, radius: float = 0.035) -> list[np.ndarray]:
    return [_ellipse(x, y, radius, radius) for y in np.linspace(top, bottom, count)]


def _body(neck: float, depth: float, width: float, hem: float, cuff: tuple[float, float], loose: float) -> Points:
    """The right half of a top: neck opening, shoulder, sleeve down to the cuff's outer point, armpit, hem."""
    x, y = cuff
    return [
        (0.0, -0.72 + depth),
        (0.6 * neck, -0.74 + 0.8 * depth),
        (neck, -0.78),
        (0.47, -0.68),
        (x, y),
        (x - 0.19 - loose, y + 0.1),
        (width, -0.26),
        (width + 0.02, hem),
        (0.0, hem + 0.03),
    ]


def _t_shirt(rng: np.random.Generator) -> Cut:
    neck, hem, width = rng.uniform(0.2, 0.27), rng.uniform(0.62, 0.8), rng.uniform(0.42, 0.5)
    cuff = (rng.uniform(0.8, 0.9), rng.uniform(-0.32, -0.2))
    depth = rng.uniform(0.2, 0.34)
    drop = depth - 0.64
    cloth = _mirrored(_body(neck, depth, width, hem, cuff, 0.02))
    collar = np.array(
        [(x * neck, drop + lift) for x, lift in ((-0.9, -0.2), (-0.5, -0.05), (0, 0), (0.5, -0.05), (0.9, -0.2))]
    )
    return Cut([cloth], [collar, *_both([(0.44, -0.64), (width, -0.26)])])


def _shirt(rng: np.random.Generator) -> Cut:
    hem, width = rng.uniform(0.68, 0.8), rng.uniform(0.4, 0.46)
    cuff = (rng.uniform(0.86, 0.94), rng.uniform(0.4, 0.55))
    cloth = _mirrored(_body(0.2, 0.12, width, hem, cuff, 0.03))
    collar = [_rounded(p, 1) for p in _both([(0.02, -0.6), (0.13, -0.86), (0.27, -0.76), (0.22, -0.5)])]
    x, y = cuff
    seams = [np.array([(0.0, -0.58), (0.0, hem)]), *_both([(0.44, -0.64), (width, -0.26)])]
    seams += _both([(x - 0.02, y - 0.14), (x - 0.22, y - 0.06)])
    pocket = np.array([(0.14, -0.24), (0.34, -0.24), (0.34, -0.02), (0.24, 0.03), (0.14, -0.02), (0.14, -0.24)])
    return Cut([cloth, *collar], [*seams, pocket], _buttons(0.0, -0.45, hem - 0.12, 6))


def _jumper(rng: np.random.Generator) -> Cut:
    hem, width = rng.uniform(0.5, 0.64), rng.uniform(0.46, 0.54)
    cuff = (rng.uniform(0.88, 0.97), rng.uniform(0.3, 0.48))
    high = rng.random() < 0.5
    cloth = [_mirrored(_body(0.2, 0.06, width, hem, cuff, 0.09))]
    if high:
        cloth.append(_mirrored([(0.0, -0.98), (0.19, -0.97), (0.21, -0.72), (0.0, -0.66)], 1))
    else:
        cloth.append(_mirrored([(0.0, -0.68), (0.2, -0.82), (0.26, -0.76), (0.13, -0.6), (0.0, -0.57)], 1))
    x, y = cuff
    seams = _both([(x - 0.03, y - 0.12), (x - 0.29, y - 0.04)])
    seams += [np.array([(-width, hem - 0.13), (width, hem - 0.13)])]
    seams += [np.array([(i, hem - 0.12), (i, hem)]) for i in np.linspace(-width + 0.06, width - 0.06, 13)]
    return Cut(cloth, [*seams, *_both([(0.44, -0.64), (width, -0.26)])])


def _coat(rng: np.random.Generator) -> Cut:
    hem, flare = rng.uniform(0.86, 0.98), rng.uniform(0.5, 0.62)
    cuff = (rng.uniform(0.82, 0.9), rng.uniform(0.3, 0.42))
    x, y = cuff
    half = [(0.0, -0.7), (0.2, -0.82), (0.5, -0.7), (x, y), (x - 0.24, y + 0.08), (0.42, -0.2), (0.4, 0.05)]
    cloth = [_mirrored([*half, (flare, hem), (0.0, hem + 0.02)])]
    lapels = _both([(0.0, -0.2), (0.12, -0.86), (0.3, -0.78), (0.36, -0.5), (0.24, -0.44)])
    seams = [np.array([(0.06, -0.25), (0.06, hem)]), *_both([(0.45, -0.66), (0.42, -0.2)])]
    seams += _both([(0.2, 0.36), (0.4, 0.3)])
    trims = [b for dx in (-0.13, 0.19) for b in _buttons(dx, -0.12, 0.3, 3, 0.04)]
    if rng.random() < 0.5:
        trims.append(np.array([(-0.42, 0.0), (0.42, 0.0), (0.42, 0.09), (-0.42, 0.09)]))
    return Cut([*cloth, *(_rounded(p, 1) for p in lapels)], seams, trims)


def _dress(rng: np.random.Generator) -> Cut:
    waist, flare, hem = rng.uniform(0.22, 0.28), rng.uniform(0.55, 0.78), rng.uniform(0.82, 0.98)
    neck, sleeve = rng.uniform(-0.62, -0.48), rng.random() < 0.4
    shoulder = [(0.22, -0.9), (0.36, -0.86)] if sleeve else [(0.2, -0.92), (0.3, -0.9)]
    arm = [(0.58, -0.6), (0.46, -0.48), (0.33, -0.52)] if sleeve else [(0.3, -0.62), (0.36, -0.48)]
    half = [
        (0.0, neck),
        (0.12, neck - 0.06),
        *shoulder,
        *arm,
        (waist, -0.08),
        (flare, hem),
        (0.0, hem + 0.05),
    ]
    folds = [np.array([(0.35 * t, 0.05), (flare * t, hem - 0.05)]) for t in (-0.6, -0.2, 0.2, 0.6)]
    band = np.array([(-waist, -0.12), (waist, -0.12), (waist + 0.01, -0.04), (-waist - 0.01, -0.04)])
    return Cut([_mirrored(half)], folds, [band] if rng.random() < 0.6 else [])


def _skirt(rng: np.random.Generator) -> Cut:
    waist, flare, hem = rng.uniform(0.3, 0.36), rng.uniform(0.5, 0.9), rng.uniform(0.4, 0.8)
    half = [
        (0.0, -0.6),
        (waist, -0.6),
        (0.5 * (waist + flare) + 0.06, -0.1),
        (flare, hem),
        (0.5 * flare, hem + 0.07),
    ]
    cloth = _mirrored([*half, (0.0, hem + 0.09)], 1)
    folds = [np.array([(waist * t, -0.42), (flare * t, hem)]) for t in (-0.7, -0.35, 0.0, 0.35, 0.7)]
    band = np.array([(-waist, -0.64), (waist, -0.64), (waist + 0.03, -0.5), (-waist - 0.03, -0.5)])
    return Cut([cloth], folds, [band])


def _legs(waist: float, knee: float, foot: float, hem: float, gap: float) -> np.ndarray:
    half = [
        (0.0, -0.86),
        (waist, -0.86),
        (waist + 0.09, -0.4),
        (knee, 0.1 * hem),
        (foot, hem),
        (gap + 0.02, hem),
    ]
    return _mirrored([*half, (gap, 0.0), (0.0, -0.3)], 1)


def _trousers(rng: np.random.Generator) -> Cut:
    waist, foot, gap = rng.uniform(0.3, 0.36), rng.uniform(0.33, 0.58), rng.uniform(0.04, 0.1)
    cloth = _legs(waist, rng.uniform(0.4, 0.46), foot, rng.uniform(0.88, 0.97), gap)
    band = np.array([(-waist, -0.88), (waist, -0.88), (waist + 0.01, -0.78), (-waist - 0.01, -0.78)])
    creases = _both([(0.24, -0.5), (0.5 * (foot + gap) + 0.01, 0.85)])
    seams = [np.array([(0.0, -0.78), (0.0, -0.34)]), *_both([(0.2, -0.76), (0.38, -0.58)])]
    return Cut([cloth], [*seams, *creases], [band])


def _shorts(rng: np.random.Generator) -> Cut:
    waist, foot, hem = rng.uniform(0.42, 0.48), rng.uniform(0.62, 0.76), rng.uniform(0.36, 0.56)
    half = [
        (0.0, -0.56),
        (waist, -0.56),
        (waist + 0.12, -0.1),
        (foot, hem),
        (0.08, hem + 0.06),
        (0.03, 0.1),
        (0.0, 0.06),
    ]
    band = np.array([(-waist, -0.58), (waist, -0.58), (waist + 0.02, -0.45), (-waist - 0.02, -0.45)])
    seams = [np.array([(0.0, -0.45), (0.0, 0.06)]), *_both([(0.24, -0.44), (0.5, -0.2)])]
    seams += _both([(0.1, hem - 0.05), (foot - 0.03, hem - 0.1)])
    return Cut([_mirrored(half, 1)], seams, [band])


def _hat(rng: np.random.Generator) -> Cut:
    brim, height, width = rng.uniform(0.8, 0.95), rng.uniform(0.5, 0.75), rng.uniform(0.42, 0.5)
    base = 0.3
    crown = [
        (0.0, base - height - 0.1),
        (0.6 * width, base - height - 0.06),
        (0.95 * width, base - 0.6 * height),
    ]
    cloth = [_ellipse(0.0, base, brim, 0.24), _mirrored([*crown, (width + 0.05, base), (0.0, base + 0.1)])]
    wide = width + 0.04
    upper, lower = _ellipse(0.0, base - 0.16, wide - 0.02, 0.1, 0, 1), _ellipse(0.0, base, wide, 0.1, 1, 0)
    return Cut(cloth, [], [np.concatenate([upper, lower])])


def _shoes(rng: np.random.Generator) -> Cut:
    high, toe = rng.uniform(-0.62, -0.3), rng.uniform(0.8, 0.92)
    instep = [(-0.26, high), (-0.12, -0.12), (0.4, 0.06)]
    upper = [(-0.84, high + 0.04), *instep, (toe, 0.2), (toe + 0.05, 0.42), (-0.86, 0.42), (-0.76, 0.0)]
    sole = [(-0.9, 0.4), (toe + 0.09, 0.4), (toe + 0.05, 0.58), (-0.88, 0.58)]
    laces = [np.array([(x, 0.35 * x - 0.09), (x - 0.13, 0.35 * x + 0.08)]) for x in (-0.06, 0.06, 0.18, 0.3)]
    cap = np.array([(0.52, 0.1), (0.46, 0.24), (0.5, 0.4)])
    heel = np.array([(-0.6, high + 0.03), (-0.56, 0.1), (-0.6, 0.4)])
    return Cut([_rounded(upper)], [*laces, cap, heel], [_rounded(sole)])


def _bag(rng: np.random.Generator) -> Cut:
    top, bottom, height = rng.uniform(0.5, 0.66), rng.uniform(0.62, 0.8), rng.uniform(0.34, 0.7)
    body = _mirrored([(0.0, -0.2), (top, -0.2), (bottom, height), (0.0, height + 0.02)])
    handle = _ellipse(0.0, -0.2, rng.uniform(0.28, 0.38), rng.uniform(0.4, 0.62), 1.0, 2.0)
    flap = np.array([(-top, -0.2), (-0.7 * top, 0.12), (0.7 * top, 0.12), (top, -0.2)])
    return Cut([body], [flap], [_ellipse(0.0, 0.13, 0.07, 0.07)], [handle])


def _scarf(rng: np.random.Generator) -> Cut:
    left, right, wide = rng.uniform(0.55, 0.72), rng.uniform(0.68, 0.84), rng.uniform(0.24, 0.3)
    tails = [
        np.array([(-0.3, -0.3), (0.0, -0.3), (-0.08, left), (-0.1 - wide, left - 0.04)]),
        np.array([(0.0, -0.35), (0.3, -0.35), (0.14 + wide, right - 0.03), (0.12, right)]),
    ]
    loop = _ellipse(0.0, -0.5, 0.56, 0.34)
    fringe = [np.array([(x, left - 0.03), (x, left + 0.13)]) for x in np.linspace(-0.08 - wide, -0.1, 6)]
    fringe += [np.array([(x, right - 0.02), (x, right + 0.13)]) for x in np.linspace(0.14, 0.12 + wide, 6)]
    folds = [_ellipse(0.0, -0.48, 0.47, 0.24, 0.1, 0.9)]
    return Cut([_rounded(t, 1) for t in tails] + [loop], fringe + folds, [_ellipse(0.0, -0.62, 0.34, 0.13)])


TYPES: dict[str, Callable[[np.random.Generator], Cut]] = {
    "dress": _dress,
    "skirt": _skirt,
    "trousers": _trousers,
    "shorts": _shorts,
    "t-shirt": _t_shirt,
    "shirt": _shirt,
    "jumper": _jumper,
    "coat": _coat,
    "hat": _hat,
    "shoes": _shoes,
    "bag": _bag,
    "scarf": _scarf,
}
