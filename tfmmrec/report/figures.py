"""Plots as SVG that is part of the page: its letters, and its colours by day and by night."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from tfmmrec.report.markup import Markup, element

# Colours that stand for the variables of the page's style sheet: matplotlib writes them, the page reads variables.
INK, MUTED, LINE, ACCENT, SECOND, THIRD, SOFT = (f"#0102{number:02x}" for number in range(1, 8))
_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    LINE: "--line",
    ACCENT: "--accent",
    SECOND: "--second",
    THIRD: "--third",
    SOFT: "--soft",
}
_SETTINGS = {
    "svg.fonttype": "none",  # letters stay letters: searchable, and in the page's own font
    "font.size": 9.0,
    "text.color": INK,
    "text.parse_math": False,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
}


def plot(draw: Callable[[Axes], None], title: str, description: str, height: float = 2.5) -> Markup:
    """One plot as a `<figure>`.

    Args:
        draw: draws into the axes; takes its colours from this module.
        title: the caption.
        description: what the plot shows, in words, for those who do not see it.
        height: in inches, at a width of 3.8.
    """
    with matplotlib.rc_context(_SETTINGS | {"svg.hashsalt": title}):  # ids that no other plot of the page has
        figure = Figure(figsize=(3.8, height), layout="constrained")
        figure.patch.set_visible(False)
        axes = figure.subplots()
        axes.patch.set_visible(False)
        draw(axes)
        written = io.StringIO()
        FigureCanvasSVG(figure).print_svg(written, metadata={"Date": None, "Creator": None})
    return element("figure", element("figcaption", title), _inline(written.getvalue(), description))


def _inline(document: str, description: str) -> Markup:
    opening, inside = document[document.index("<svg") :].split(">", 1)
    inside = inside[: inside.rindex("</svg>")]
    for superfluous in (r"<metadata>.*?</metadata>", r"<style.*?</style>", r"font-family: [^;\"]*;? ?"):
        inside = re.sub(superfluous, "", inside, flags=re.DOTALL)
    used = set(re.findall(r"#(\w+)", inside))
    inside = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", inside)
    inside = re.sub(r"\n\s*", "\n", inside)
    for colour, variable in _VARIABLES.items():
        inside = inside.replace(colour, f"var({variable})")
    view_box = re.search(r'viewBox="([^"]*)"', opening)[1]
    return element("svg", Markup(inside), viewBox=view_box, role="img", aria_label=description)
