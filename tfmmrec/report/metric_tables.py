"""The metrics as tiles and tables: the model beside its baselines, and as a share of the best possible."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfmmrec.report.markup import Markup, element, join
from tfmmrec.report.metric_names import cutoffs, metric_label, model_label, slice_label, slices_of

Metrics = Mapping[str, Any]


def tiles(metrics: Metrics, shown: list[tuple[str, str]]) -> Markup:
    """The model's main numbers, large, and how each stands to the best baseline.

    Args:
        metrics: of an evaluation.
        shown: (slice, metric) of each tile.
    """
    made = []
    for name, metric in shown:
        share = metrics.get("share_of_oracle", {}).get(name, {}).get(metric)
        made.append(
            element(
                "div",
                element("p", f"{slice_label(name)} · {metric_label(metric)}", class_="label"),
                element("p", f"{metrics[name][metric]:.3f}", class_="number"),
                element("p", _against_baselines(metrics, name, metric), class_="note"),
                element("p", f"{share:.0%} of the best possible", class_="note") if share is not None else None,
                class_="tile",
            )
        )
    return element("div", *made, class_="tiles")


def comparison(metrics: Metrics, model: str, metrics_shown: list[str], slices: list[str]) -> Markup:
    """Rows: the model and its baselines; columns: metrics, grouped by slice. The best of a column is bold.

    Args:
        metrics: of an evaluation.
        model: the model's name.
        metrics_shown: such as ["ndcg@20", "recall@20"].
        slices: which slices.
    """
    rows = {model_label(model): metrics} | {
        model_label(name): baseline for name, baseline in metrics.get("baselines", {}).items()
    }
    columns = [(name, metric) for name in slices for metric in metrics_shown]
    best = {}
    for name, metric in columns:
        values = [row[name][metric] for row in rows.values() if metric in row.get(name, {})]
        best[name, metric] = max(values, default=None)
    groups = [
        element(
            "th",
            slice_label(name),
            element("span", f"{metrics[name]['num_queries']:,} queries", class_="sub"),
            colspan=len(metrics_shown),
            scope="colgroup",
            class_="group",
        )
        for name in slices
    ]
    heads = [
        element("th", metric_label(metric), scope="col", class_="first" if metric == metrics_shown[0] else None)
        for _, metric in columns
    ]
    body = [_row(label, row, columns, best, metrics_shown[0], mine=row is metrics) for label, row in rows.items()]
    if "oracle" in metrics:
        body.append(_row("Best possible", metrics["oracle"], columns, {}, metrics_shown[0], class_="oracle"))
    head = element("thead", element("tr", element("td", rowspan=2), *groups), element("tr", *heads))
    table = element("table", head, element("tbody", *body))
    return scrolling(table, f"{model} beside its baselines", narrow=len(columns) < 5)


def everything(metrics: Metrics) -> Markup:
    """All metrics of the model at every k, a table for each slice, folded away."""
    ks = cutoffs(metrics)
    folded = []
    for name in slices_of(metrics):
        kinds = list(dict.fromkeys(metric.split("@")[0] for metric in metrics[name] if "@" in metric))
        rows = [
            element(
                "tr",
                element("th", metric_label(kind), scope="row"),
                *(element("td", _number(metrics[name].get(f"{kind}@{k}"))) for k in ks),
            )
            for kind in kinds
        ]
        head = element("tr", element("td"), *(element("th", f"@{k}", scope="col") for k in ks))
        table = element("table", element("thead", head), element("tbody", *rows))
        summary = element(
            "summary", slice_label(name), " ", element("span", f"{metrics[name]['num_queries']:,} queries")
        )
        folded.append(element("details", summary, scrolling(table, f"All metrics: {slice_label(name)}", narrow=True)))
    return join(folded)


def _row(label, row, columns, best, first_metric, mine=False, class_=None) -> Markup:
    cells = []
    for name, metric in columns:
        value = row.get(name, {}).get(metric)
        share = row.get("share_of_oracle", {}).get(name, {}).get(metric)
        is_best = value is not None and 0 < value == best.get((name, metric))
        classes = [word for word, true in (("best", is_best), ("first", metric == first_metric)) if true]
        under = element("span", f"{share:.0%}", class_="sub") if share is not None else None
        cells.append(element("td", _number(value), under, class_=" ".join(classes) or None))
    return element("tr", element("th", label, scope="row"), *cells, class_="mine" if mine else class_)


def _against_baselines(metrics: Metrics, name: str, metric: str) -> str | None:
    others = {
        label: baseline[name][metric]
        for label, baseline in metrics.get("baselines", {}).items()
        if metric in baseline.get(name, {})
    }
    if not others:
        return None
    label, value = max(others.items(), key=lambda entry: entry[1])
    if value <= 0:
        return f"{model_label(label)} {value:.3f}"
    ratio = metrics[name][metric] / value
    change = f"{abs(ratio - 1):.1%} {'above' if ratio >= 1 else 'below'}" if ratio < 2 else f"{ratio:.1f} ×"
    return f"{change} {model_label(label)} ({value:.3f})"


def scrolling(table: Markup, label: str, narrow: bool = False) -> Markup:
    """A wide table that scrolls by itself on a narrow screen, by keyboard too."""
    return element(
        "div", table, class_="scroll narrow" if narrow else "scroll", tabindex=0, role="region", aria_label=label
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}" if abs(value) < 10 else f"{value:,.2f}"
