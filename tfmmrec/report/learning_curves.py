"""Learning curves from a run's history.csv."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from matplotlib.ticker import LogLocator, NullLocator

from tfmmrec.report.figures import ACCENT, INK, MUTED, SECOND, THIRD, plot
from tfmmrec.report.markup import Markup
from tfmmrec.report.metric_names import metric_label

Curve = tuple[list[int], list[float]]
_PHASES = {"select": "choosing the epoch", "refit": "refit on all of train"}


def read_history(path: str | Path) -> dict[str, dict[str, Curve]]:
    """Phase -> column -> (epochs, values); cells that are empty or no numbers are left out.

    Args:
        path: a history.csv with the columns phase and epoch; {} where there is no such file.
    """
    path = Path(path)
    if not path.is_file():
        return {}
    phases: dict[str, dict[str, Curve]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            epoch = _number(row.pop("epoch", None))
            curves = phases.setdefault(row.pop("phase", None) or "select", {})
            for name, cell in row.items():
                value = _number(cell)
                if epoch is not None and value is not None:
                    epochs, values = curves.setdefault(name, ([], []))
                    epochs.append(int(epoch))
                    values.append(value)
    return phases


def learning_curves(
    history: dict[str, dict[str, Curve]], chosen_epoch: int | None = None, monitor: str = "val_ndcg@20"
) -> list[Markup]:
    """The loss of both phases, and the validation metrics with the epoch that was chosen.

    Args:
        history: from `read_history`; no plot for what it lacks.
        chosen_epoch: is marked.
        monitor: the column by which it was chosen.
    """
    losses = {phase: curves["loss"] for phase, curves in history.items() if "loss" in curves}
    plots = []
    if losses:
        labelled = {_PHASES.get(phase, phase): curve for phase, curve in losses.items()}
        plots.append(_plot(labelled, "Training loss", None, logarithmic=True))
    validation = _validation(history.get("select", {}), monitor)
    if validation:
        plots.append(_plot(validation, "On validation data", chosen_epoch))
    return plots


def _validation(curves: dict[str, Curve], monitor: str) -> dict[str, Curve]:
    measured = {name: curve for name, curve in curves.items() if name.startswith("val_")}
    wanted = [monitor, monitor.replace("ndcg", "recall"), monitor.replace("recall", "ndcg")]
    names = [name for name in dict.fromkeys(wanted) if name in measured] or list(measured)[:2]
    return {metric_label(name.removeprefix("val_")): measured[name] for name in names}


def _plot(curves: dict[str, Curve], title: str, chosen_epoch: int | None, logarithmic: bool = False) -> Markup:
    def draw(axes) -> None:
        for (name, (epochs, values)), colour in zip(curves.items(), (ACCENT, SECOND, THIRD), strict=False):
            marker = "o" if len(epochs) < 3 else None
            axes.plot(epochs, values, color=colour, label=name, marker=marker, markersize=4)
        if chosen_epoch is not None:
            axes.axvline(chosen_epoch, color=MUTED, linestyle=(0, (2, 2)), linewidth=1.2)
            axes.annotate(
                f"epoch {chosen_epoch} ", (chosen_epoch, 0.0), (-3, 4), xycoords=("data", "axes fraction"),
                textcoords="offset points", ha="right", va="bottom", color=MUTED,
            )  # fmt: skip
        everything = [value for _, values in curves.values() for value in values]
        if logarithmic and min(everything) > 0 and max(everything) > 4 * min(everything):
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(axis="y")
        axes.legend(frameon=False, labelcolor=INK, handlelength=1.2, loc="best")

    told = "; ".join(
        f"{name} from {values[0]:.4g} in epoch {epochs[0]} to {values[-1]:.4g} in epoch {epochs[-1]}"
        for name, (epochs, values) in curves.items()
    )
    marked = f" Epoch {chosen_epoch} was chosen." if chosen_epoch is not None else ""
    return plot(draw, title, f"Curves by epoch. {told}.{marked}")


def _number(cell: str | None) -> float | None:
    try:
        value = float(cell)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
