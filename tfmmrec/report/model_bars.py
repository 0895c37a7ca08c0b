"""A model beside its baselines, slice by slice: warm against cold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfmmrec.report.figures import ACCENT, INK, MUTED, SOFT, plot
from tfmmrec.report.markup import Markup
from tfmmrec.report.metric_names import metric_label, model_label, slice_label


def model_bars(metrics: Mapping[str, Any], model: str, shown: list[tuple[str, str]]) -> list[Markup]:
    """A plot for each pair of slice and metric.

    Each has an axis of its own: cold candidates are ranked among themselves, which is easier than among all.

    Args:
        metrics: of an evaluation, with or without baselines and oracle.
        model: the model's name.
        shown: (slice, metric) of each plot.
    """
    return [_bars(metrics, model, metric, name) for name, metric in shown]


def _bars(metrics: Mapping[str, Any], model: str, metric: str, slice_name: str) -> Markup:
    values = {model_label(model): metrics[slice_name].get(metric, 0.0)}
    for name, baseline in metrics.get("baselines", {}).items():
        if metric in baseline.get(slice_name, {}):
            values[model_label(name)] = baseline[slice_name][metric]
    best = metrics.get("oracle", {}).get(slice_name, {}).get(metric)
    return bars(values, f"{slice_label(slice_name)}: {metric_label(metric)}", best)


def bars(values: Mapping[str, float], title: str, best: float | None = None) -> Markup:
    """A plot of one number of several models, the first of them in colour.

    Args:
        values: name -> number, 0 or more.
        title: the caption.
        best: the best possible number, as a line.
    """

    def draw(axes) -> None:
        names, heights = list(values), list(values.values())
        colours = [ACCENT] + [SOFT] * (len(names) - 1)
        drawn = axes.barh(range(len(names)), heights, color=colours, height=0.66)
        axes.bar_label(drawn, [f"{value:.3f}" for value in heights], color=INK, padding=4)
        axes.set_yticks(range(len(names)), names, color=INK)
        axes.invert_yaxis()
        axes.tick_params(length=0)
        axes.spines["bottom"].set_visible(False)
        axes.set_xticks([])
        axes.set_xlim(0, 1.18 * max(*heights, best or 0.0, 1e-9))
        if best is not None:
            axes.axvline(best, color=MUTED, linestyle=(0, (2, 2)), linewidth=1.2)
            axes.annotate(
                f"best possible {best:.3f}", (best, 1.0), (-4, 2), xycoords=("data", "axes fraction"),
                textcoords="offset points", ha="right", va="bottom", color=MUTED,
            )  # fmt: skip

    told = ", ".join(f"{name} {value:.3f}" for name, value in values.items())
    told += f"; the best possible ranking {best:.3f}" if best is not None else ""
    return plot(draw, title, f"Bars of {title}. {told}.", height=0.7 + 0.34 * len(values))
