"""A dozen queries: what they chose, what they get, and what of it they chose later."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmmrec.data.dataset import Dataset
from tfmmrec.evaluation import Evaluation, cold_mask
from tfmmrec.report.gallery import Gallery
from tfmmrec.report.markup import Markup, element, join

NUM_SHOWN = 8


def choose_queries(query_rows: dict[str, np.ndarray], num_queries: int = 12, seed: int = 0) -> list[int]:
    """Draws queries, half of them with a cold positive as far as there are any.

    Args:
        query_rows: slice -> int `[queries]`, of an `Evaluation`.
        num_queries: at most so many.
        seed: of the choice.

    Returns:
        Query rows, those with a cold positive first.
    """
    random = np.random.default_rng(seed)
    cold = random.permutation(query_rows.get("cold", np.empty(0, np.int64)))
    chosen = list(cold[: num_queries // 2])
    others = random.permutation(np.setdiff1d(query_rows["all"], cold))
    chosen += list(others[: num_queries - len(chosen)])
    rest = cold[num_queries // 2 :]  # where nearly every query has a cold positive
    chosen += list(rest[: num_queries - len(chosen)])
    return [int(row) for row in chosen]


def show_examples(evaluation: Evaluation, dataset: Dataset, gallery: Gallery, rows: list[int]) -> Markup:
    """Each query as an article with strips of candidates.

    Args:
        evaluation: its recommendations are shown.
        dataset: the histories and what should be found.
        gallery: shows the candidates.
        rows: query rows.
    """
    lists = {name: _lists(evaluation.recommendations, dataset, rows, name) for name in ("all", "cold")}
    part = dataset.parts[evaluation.metrics["split"]]
    cold = np.flatnonzero(cold_mask(dataset)).tolist()
    examples = []
    for row in rows:
        history = dataset.train.candidates_of(row)
        history = history[::-1] if "timestamp" in dataset.train.columns else history
        example = _Example(
            row=row,
            history=list(dict.fromkeys(history.tolist())),
            positives=np.setdiff1d(part.candidates_of(row), history).tolist(),
            recommended=lists["all"].get(row, []),
            recommended_cold=lists["cold"].get(row, []),
        )
        examples.append(_article(example, dataset, gallery, cold))
    return element("div", *examples, class_="examples")


@dataclass(frozen=True)
class _Example:
    row: int
    history: list[int]
    positives: list[int]
    recommended: list[int]
    recommended_cold: list[int]


def _lists(recommendations: pa.Table, dataset: Dataset, rows: list[int], slice_name: str) -> dict[int, list[int]]:
    """Query row -> the first candidate rows it is recommended."""
    ids = dataset.queries.ids.take(pa.array(rows, pa.int64()))
    wanted = pc.and_(pc.equal(recommendations["slice"], slice_name), pc.is_in(recommendations["query_id"], ids))
    wanted = pc.and_(wanted, pc.less_equal(recommendations["rank"], NUM_SHOWN))
    kept = recommendations.filter(wanted).sort_by("rank").combine_chunks()
    lists: dict[int, list[int]] = {}
    if kept.num_rows:
        queries = dataset.queries.row_of(kept["query_id"])
        candidates = dataset.candidates.row_of(kept["candidate_id"])
        for query, candidate in zip(queries, candidates, strict=True):
            lists.setdefault(int(query), []).append(int(candidate))
    return lists


def _article(example: _Example, dataset: Dataset, gallery: Gallery, cold: list[int]) -> Markup:
    query_id = dataset.queries.ids[example.row].as_py()
    positives = set(example.positives)
    num_cold = len(positives & set(cold))
    facts = [f"{len(example.history):,} known choices", f"{len(positives):,} to find"]
    facts += [f"{num_cold:,} of them cold"] if num_cold else []
    parts = [
        element("h3", f"Query {query_id}"),
        element("p", join([*_features(dataset, example.row), *facts], " · "), class_="facts"),
        element("h4", "Chose before", _of(example.history)),
        gallery.strip(example.history[:NUM_SHOWN]) if example.history else element("p", "Nothing yet.", class_="facts"),
    ]
    lists = {"Gets": example.recommended}
    if num_cold and example.recommended_cold:
        lists["Gets, of the cold ones only"] = example.recommended_cold
    for title, rows in lists.items():
        parts.append(element("h4", f"{title} · {len(positives & set(rows))} of {len(rows)} right"))
        parts.append(gallery.strip(rows, positives, cold))
    return element("article", *parts)


def _of(history: list[int]) -> str | None:
    return f" · {NUM_SHOWN} of {len(history):,}" if len(history) > NUM_SHOWN else None


def _features(dataset: Dataset, row: int) -> list[str]:
    """What is known of a query, as far as it is short: "age 25"."""
    texts = []
    for name, feature in dataset.schema.queries.features.items():
        if feature.kind not in ("category", "number") or name not in dataset.queries.features:
            continue
        value = dataset.queries.features[name][row]
        value = value.as_py() if isinstance(value, pa.Scalar) else float(value)
        if isinstance(value, list):
            value = ", ".join(str(entry) for entry in value)
        elif isinstance(value, float):
            value = "" if math.isnan(value) else f"{value:g}"
        if value:
            texts.append(f"{name.replace('_', ' ')} {value}")
    return texts
