"""The report of an evaluation: one HTML file with everything in it, no script, nothing from elsewhere."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tfmmrec.data.dataset import Dataset
from tfmmrec.evaluation import Evaluation
from tfmmrec.report.examples import choose_queries, show_examples
from tfmmrec.report.facts import dataset_name, run_facts
from tfmmrec.report.gallery import Gallery
from tfmmrec.report.learning_curves import learning_curves, read_history
from tfmmrec.report.markup import Markup, element
from tfmmrec.report.metric_names import cutoffs, headline, main_cutoff, main_slices, slices_of
from tfmmrec.report.metric_tables import comparison, everything, tiles
from tfmmrec.report.model_bars import model_bars
from tfmmrec.report.popularity import popularity_plot, popularity_shares, popularity_table, popularity_words
from tfmmrec.report.style import STYLE
from tfmmrec.report.task_section import Predictions, task_examples, task_lead, task_plots, task_table
from tfmmrec.runs import RunConfig

NUM_EXAMPLES = 12
_KINDS = ("ndcg", "recall", "precision", "mrr", "hit_rate")


def write_report(
    path: str | Path,
    evaluation: Evaluation,
    dataset: Dataset,
    config: RunConfig | None = None,
    history: str | Path | None = None,
    model: str | None = None,
    seed: int = 0,
    predictions: Predictions | None = None,
) -> Path:
    """Writes the report, whole or not at all.

    Args:
        path: the HTML file.
        evaluation: metrics, with or without "baselines", "oracle", "share_of_oracle" and "notes", and
            recommendations.
        dataset: what was evaluated on.
        config: of the run, for its facts.
        history: the run's history.csv; without it, or where there is no such file, no learning curves.
        model: what the model is called; the config's model when None.
        seed: of the choice of queries and of labelled candidates.
        predictions: what the model predicts beside its ranking, see `predict_tasks`.

    Returns:
        The path.
    """
    path = Path(path)
    model = model or (config.model if config is not None else "model")
    metrics = evaluation.metrics
    k = main_cutoff(cutoffs(metrics))
    gallery = Gallery(dataset)
    sections = [
        _head(metrics, dataset, config, model, k),
        _metrics(metrics, model, k),
        _tasks(predictions, metrics["split"], model, gallery, seed),
        _learning(history, config),
        _popularity(evaluation, dataset, k),
        _examples(evaluation, dataset, gallery, seed),
        _unreadable(gallery),
        element("footer", f"Written by tfmmrec on {datetime.now(UTC):%Y-%m-%d}."),
    ]
    title = f"{model} on {dataset_name(dataset)}"
    document = element(
        "html",
        element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="color-scheme", content="light dark"),
            element("title", title),
            element("style", Markup(STYLE)),
        ),
        element("body", element("main", *sections)),
        lang="en",
    )
    beside = path.with_name(f".{path.name}.unfinished")
    beside.write_text(f"<!doctype html>\n{document}\n", encoding="utf-8")
    os.replace(beside, path)
    return path


def _section(title: str, *content: Any, lead: str | None = None) -> Markup:
    return element("section", element("h2", title), element("p", lead, class_="lead") if lead else None, *content)


def _head(metrics, dataset, config, model, k) -> Markup:
    facts = [
        element("div", element("dt", name), element("dd", text)) for name, text in run_facts(dataset, config).items()
    ]
    return element(
        "header",
        element("p", f"Evaluation on {metrics['split']}, {metrics['num_queries']:,} queries", class_="eyebrow"),
        element("h1", model, " ", element("span", f"on {dataset_name(dataset)}")),
        tiles(metrics, headline(metrics, k)),
        element("dl", *facts),
    )


def _metrics(metrics, model, k) -> Markup:
    main = main_slices(metrics)
    missing = [name for name in slices_of(metrics) if name not in main]
    first = headline(metrics, k)
    kinds, plotted = (("ndcg", "recall"), first[-2:]) if "cold" in metrics else (_KINDS, first[:2])
    notes = [element("li", note) for note in metrics.get("notes", [])]
    return _section(
        "Metrics",
        comparison(metrics, model, [f"{name}@{k}" for name in kinds], main),
        element("div", *model_bars(metrics, model, plotted), class_="plots"),
        element("h3", "Where something is missing") if missing else None,
        comparison(metrics, model, [f"ndcg@{k}"], missing) if missing else None,
        element("ul", *notes, class_="notes") if notes else None,
        element("h3", "All metrics of the model"),
        everything(metrics),
        lead=_reading(metrics),
    )


def _reading(metrics) -> str:
    text = "Every candidate is ranked for every query, what it chose in training left out."
    if "cold" in metrics:
        text += " Warm candidates were chosen in training and are ranked among all; cold ones never were, and are"
        text += " ranked among themselves, so that warm and cold numbers do not compare."
    if "share_of_oracle" in metrics:
        text += " The small percentages are shares of the best possible ranking, which is known for this catalogue."
    return text


def _tasks(predictions, split, model, gallery, seed) -> Markup | None:
    if not predictions:
        return None
    return _section(
        "Other tasks",
        task_table(predictions, model),
        element("div", *task_plots(predictions, model), class_="plots"),
        *task_examples(predictions, gallery, seed),
        lead=task_lead(predictions, split),
    )


def _learning(history, config) -> Markup | None:
    curves = read_history(history) if history is not None else {}
    chosen = config.num_epochs if config is not None else None
    monitor = config.options.get("monitor", "val_ndcg@20") if config is not None else "val_ndcg@20"
    plots = learning_curves(curves, chosen or None, monitor)
    return _section("Learning", element("div", *plots, class_="plots")) if plots else None


def _popularity(evaluation, dataset, k) -> Markup | None:
    if not evaluation.recommendations.num_rows:
        return None
    shares = popularity_shares(dataset, evaluation.recommendations, evaluation.metrics["split"], k)
    shown = [popularity_plot(shares, k), popularity_table(shares, k)]
    return _section("Popularity", element("div", *shown, class_="plots"), lead=popularity_words(shares))


def _examples(evaluation, dataset, gallery, seed) -> Markup | None:
    if not evaluation.recommendations.num_rows:
        return None
    rows = choose_queries(evaluation.query_rows, NUM_EXAMPLES, seed)
    shown = show_examples(evaluation, dataset, gallery, rows)
    lead = f"{len(rows)} queries drawn at random"
    lead += ", half of them with something cold to find." if "cold" in evaluation.query_rows else "."
    lead += " A hit is what the query chose in the part that was kept from training."
    return _section("Queries", shown, lead=lead)


def _unreadable(gallery) -> Markup | None:
    broken = gallery.num_unreadable
    return element("p", f"{broken:,} of these pictures could not be read.", class_="facts") if broken else None


__all__ = ["NUM_EXAMPLES", "write_report"]
