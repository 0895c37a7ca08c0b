"""The style sheet has every colour by day and by night, and fetches nothing."""

from __future__ import annotations

import re

from tfmmrec.report import figures
from tfmmrec.report.style import STYLE


def colours(block: str) -> dict[str, str]:
    return dict(re.findall(r"(--[a-z]+): (#[0-9a-f]{6})", block))


def contrast(one: str, other: str) -> float:
    """WCAG 2's contrast ratio."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


DAY, NIGHT = (colours(block) for block in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL))


def test_every_colour_has_two_values():
    assert DAY.keys() == NIGHT.keys()
    used = set(re.findall(r"var\((--[a-z]+)\)", STYLE)) - {"--shape"}
    assert used | set(figures._VARIABLES.values()) == DAY.keys()


def test_letters_can_be_read():
    for colour_of in (DAY, NIGHT):
        for ground in ("--paper", "--card"):
            for letters in ("--ink", "--muted", "--accent", "--good", "--cold"):
                assert contrast(colour_of[letters], colour_of[ground]) >= 4.5, (letters, ground)


def test_nothing_is_fetched():
    assert "url(" not in STYLE and "@import" not in STYLE
