"""What a model predicts beside its ranking: ratings, tags and categories, beside their baselines and in examples."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tfmmrec.report.figures import ACCENT, INK, LINE, MUTED, SOFT, plot
from tfmmrec.report.gallery import Gallery
from tfmmrec.report.markup import Markup, element
from tfmmrec.report.metric_tables import scrolling
from tfmmrec.report.model_bars import bars
from tfmmrec.task_evaluation import PredictedLabels, PredictedRatings

NUM_SHOWN = 8
MAX_LABELS = 12
_NAMES = {"rating": "Ratings", "tags": "Tags", "category": "Category"}

Predictions = Mapping[str, PredictedRatings | PredictedLabels]


def task_table(predictions: Predictions, model: str) -> Markup:
    """A row for each task: the model's number and its baselines'. The best of a row is bold."""
    head = element(
        "tr",
        element("td", colspan=2),
        element("th", model, scope="col"),
        element("th", "Baselines", scope="colgroup", colspan=2 if "rating" in predictions else 1, class_="first left"),
    )
    rows = [_row(name, found.metrics()) for name, found in predictions.items()]
    table = element("table", element("thead", head), element("tbody", *rows))
    return scrolling(table, f"{model}'s tasks beside their baselines", narrow=True)


def _row(name: str, numbers: Mapping[str, float]) -> Markup:
    if name == "rating":
        measured, metric = f"{numbers['num_ratings']:,} ratings", ("RMSE", "lower is better")
        values = [(numbers["rmse"], None), (numbers["biases_rmse"], "biases alone"), (numbers["mean_rmse"], "the mean")]
        best = min(value for value, _ in values)
    else:
        measured = f"{numbers['num_candidates']:,} new candidates"
        several = "r_precision" in numbers
        metric = ("R-precision", "share of true ones") if several else ("Accuracy", "share that is right")
        own = numbers["r_precision" if several else "accuracy"]
        values = [(own, None), (numbers["most_frequent"], "the most frequent")]
        best = max(own, numbers["most_frequent"])
    cells = [element("td", metric[0], element("span", metric[1], class_="sub"))]
    for place, (value, label) in enumerate(values):
        classes = [
            word for word, true in (("mine", place == 0), ("first", place == 1), ("best", value == best)) if true
        ]
        under = element("span", label, class_="sub") if label else None
        cells.append(element("td", f"{value:.4f}", under, class_=" ".join(classes) or None))
    title = element("th", _NAMES[name], element("span", measured, class_="sub"), scope="row")
    return element("tr", title, *cells)


def task_plots(predictions: Predictions, model: str) -> list[Markup]:
    """How far ratings are from what is expected, whether that can be believed, and which labels are found."""
    plots = []
    for name, found in predictions.items():
        if isinstance(found, PredictedRatings):
            plots += [_errors(found.metrics(), model), _calibration(found)]
        else:
            plots.append(_by_label(_NAMES[name], found))
    return plots


def _errors(numbers: Mapping[str, float], model: str) -> Markup:
    values = {model: numbers["rmse"], "Biases alone": numbers["biases_rmse"], "The mean": numbers["mean_rmse"]}
    return bars(values, "Ratings: RMSE, lower is better")


def calibration(found: PredictedRatings, num_groups: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """The mean expected and the mean given rating of groups, equally many in each, from the lowest expected on."""
    groups = np.array_split(np.argsort(found.expected, kind="stable"), min(num_groups, found.truth.size))
    means = [(found.expected[group].mean(), found.truth[group].mean()) for group in groups]
    expected, given = np.array(means).T
    return expected, given


def _calibration(found: PredictedRatings) -> Markup:
    expected, given = calibration(found)

    def draw(axes) -> None:
        ends = [min(expected.min(), given.min()), max(expected.max(), given.max())]
        axes.plot(ends, ends, color=MUTED, linestyle=(0, (2, 2)), linewidth=1.2, label="as expected")
        axes.plot(expected, given, color=ACCENT, marker="o", markersize=4, label="given")
        axes.axhline(found.mean, color=LINE, linewidth=1.2)
        axes.annotate(
            f"mean {found.mean:.2f}", (1.0, found.mean), (0, 2), xycoords=("axes fraction", "data"),
            textcoords="offset points", ha="right", va="bottom", color=MUTED,
        )  # fmt: skip
        axes.set_xlabel("rating that the model expects, tenths of all")
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        axes.legend(frameon=False, labelcolor=INK, handlelength=1.2, loc="upper left")

    told = "; ".join(f"{mean:.2f} expected, {truth:.2f} given" for mean, truth in zip(expected, given, strict=True))
    return plot(draw, "Ratings: expected and given", f"The mean ratings of tenths. {told}.")


def label_shares(found: PredictedLabels, max_labels: int = MAX_LABELS) -> list[tuple[str, int, float, float]]:
    """The labels that most of the measured candidates have: (label, how many, share found, share by frequency alone).

    A label is found where it is among as many of the likeliest as the candidate has.
    """
    size = len(found.labels)
    count, hits, often = np.zeros(size), np.zeros(size), np.zeros(size)
    order = np.argsort(-found.frequency, kind="stable")
    for place in range(found.rows.size):
        truth = found.true_labels(place)
        count[truth] += 1
        hits[np.intersect1d(truth, found.likeliest(place))] += 1
        often[np.intersect1d(truth, order[: truth.size])] += 1
    most = np.argsort(-count, kind="stable")[:max_labels]
    return [
        (found.labels[label], int(count[label]), float(hits[label] / count[label]), float(often[label] / count[label]))
        for label in most
        if count[label]
    ]


def _by_label(name: str, found: PredictedLabels) -> Markup:
    shares = label_shares(found)

    def draw(axes) -> None:
        places = np.arange(len(shares))
        values, often = [100 * share for *_, share, _ in shares], [100 * share for *_, share in shares]
        axes.barh(places, often, color=SOFT, height=0.8)
        drawn = axes.barh(places, values, color=ACCENT, height=0.42)
        axes.bar_label(drawn, [f"{value:.0f}%" for value in values], color=INK, padding=4)
        axes.set_yticks(places, [f"{_short(label)} ({count:,})" for label, count, *_ in shares], color=INK)
        axes.invert_yaxis()
        axes.tick_params(length=0)
        axes.spines["bottom"].set_visible(False)
        axes.set_xticks([])
        axes.set_xlim(0, 118)

    told = ", ".join(f"{label} {share:.0%} of {count:,}" for label, count, share, _ in shares)
    return plot(draw, f"{name}: found, by label", f"Shares found. {told}.", height=0.5 + 0.28 * len(shares))


def task_examples(predictions: Predictions, gallery: Gallery, seed: int = 0) -> list[Markup]:
    """A few candidates of each task of labels, with what they are and what they are taken for."""
    made = []
    for name, found in predictions.items():
        if not isinstance(found, PredictedLabels):
            continue
        places = np.random.default_rng(seed).permutation(found.rows.size)[:NUM_SHOWN]
        captions, right = {}, []
        for place in places.tolist():
            truth, likeliest = found.true_labels(place), found.likeliest(place)
            row = int(found.rows[place])
            captions[row] = [_listed(found, truth)]
            if set(truth) == set(likeliest):
                right.append(row)
            else:
                captions[row].append(f"taken for {_listed(found, likeliest)}")
        made.append(element("h3", f"{_NAMES[name]} of {len(captions)} new candidates drawn at random"))
        made.append(element("article", gallery.strip(list(captions), right, captions=captions, mark="right")))
    return made


def _listed(found: PredictedLabels, codes: np.ndarray) -> str:
    return ", ".join(found.labels[code] for code in sorted(codes.tolist()))


def _short(label: str, length: int = 22) -> str:
    return label if len(label) <= length else label[: length - 1] + "…"


def task_lead(predictions: Predictions, split: str) -> str:
    """What the numbers are of."""
    text = "What the model has learned beside its ranking."
    if "rating" in predictions:
        text += f" Ratings are those given in {split}; biases say how high a query and a candidate are rated at all."
    if set(predictions) - {"rating"}:
        text += (
            " Labels are predicted from content alone, of candidates that training does not have; as many are taken as "
            "a candidate has. The pale bars are what the most frequent labels alone would find."
        )
    return text
