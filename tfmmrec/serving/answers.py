"""From a question as a person puts it to recommendations with titles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tfmmrec.data.dataset import Dataset
from tfmmrec.data.media import NOUNS, MediaError
from tfmmrec.data.usable_media import usable_media
from tfmmrec.embedding import raw_batch
from tfmmrec.schema import MEDIA_KINDS, Feature
from tfmmrec.serving.answer_notes import filter_notes, unknown_excluded, unknown_values
from tfmmrec.serving.described_model import DescribedModel
from tfmmrec.serving.exported_model import ExportedModel
from tfmmrec.serving.remote_model import RemoteModel
from tfmmrec.serving.warmup import histories
from tfmmrec.types import DataError, UsageError


@dataclass
class Recommended:
    """One candidate of an answer, with its display columns."""

    candidate_id: str
    score: float
    display: dict[str, str | None] = field(default_factory=dict)


@dataclass
class Answer:
    """What a model answered.

    Attributes:
        source: query, history, features or popular; content for the neighbours of content.
        candidates: best first.
        notes: what a person should know about the answer.
    """

    source: str
    candidates: list[Recommended]
    notes: list[str] = field(default_factory=list)


def answer(
    model: ExportedModel | RemoteModel,
    *,
    query_id: str | None = None,
    history: Sequence[str] | None = None,
    image: str | Path | bytes | None = None,
    audio: str | Path | bytes | None = None,
    video: str | Path | bytes | None = None,
    text: str | None = None,
    features: Mapping[str, Any] | None = None,
    exclude: Sequence[str] = (),
    allow: Sequence[str] = (),
    deny: Sequence[str] = (),
    cap: int | None = None,
    min_score: float | None = None,
    k: int = 10,
    dataset: Dataset | None = None,
) -> Answer:
    """Asks a model one question: for a known query, for a history, or for content that nobody has seen.

    Args:
        model: an exported model, or one on a server.
        query_id: who is asking; the model has what a known query chose in train.
        history: ids of candidates chosen before, newest first.
        image: a picture's file or bytes, for all image features of candidates.
        audio: a sound's file or bytes, for all audio features of candidates.
        video: a video's or an animation's file or bytes, for all video features of candidates.
        text: for all text features of candidates.
        features: single ones by name: of the query where there is a query id or a history, of the content where
            there is other content, else of whichever side has them. Strings are read by the feature's kind.
        exclude: ids that shall not be recommended.
        allow: "feature=value": of each feature that is named a candidate must have one of the values.
        deny: the same form: a candidate must have none of these.
        cap: at most so many of a main category, which is the first value of the first category feature.
        min_score: lower scores are left out.
        k: how many, 1 to 1000.
        dataset: where the features of `query_id` are looked up, and a history that may be newer than the model's.

    Raises:
        UsageError: no question, or two at once; a feature that the model does not have; a ranking model alone; `k`
            outside 1 to 1000, a `cap` below 1, or filters by what candidates cannot be filtered by.
        ServerError: the server does not answer.
        DataError: a picture, a sound or a video that cannot be read.
    """
    features = dict(features or {})
    if cap is not None and cap < 1:
        raise UsageError(f"cap must be at least 1, got {cap}; leave it out for any number of a category")
    wanted = {"allow": list(allow) or None, "deny": list(deny) or None, "cap": cap, "min_score": min_score}
    wanted = {name: value for name, value in wanted.items() if value is not None} | {"k": k}
    if "recommend" not in model.signatures:
        raise UsageError(
            f"{model.path}: {model.about['model']} is a ranking model, which scores pairs and finds nothing by itself; "
            "export it behind a retrieval model: tfmmrec export RUN --retriever RUN (retriever=RUN)"
        )
    content = {"image": image, "audio": audio, "video": video, "text": text}
    content = {kind: value for kind, value in content.items() if value is not None}
    if _asks_for_content(model, query_id, history, content, features):
        if dataset is not None:
            raise UsageError("a dataset gives the features of a known query; for content, leave it out")
        return _nearest(model, content, features, exclude, wanted)
    if query_id is not None and history is not None:
        raise UsageError("a known query or a history, not both: give the query id, or the history")
    if dataset is not None and query_id is None:
        raise UsageError("a dataset gives the features of a known query; add the query id, or leave the dataset out")
    return _recommended(model, query_id, history, features, exclude, wanted, dataset)


def _asks_for_content(model, query_id, history, content, features) -> bool:
    asks_query, asks_content = query_id is not None or history is not None, bool(content)
    if asks_query and asks_content:
        raise UsageError(f"a query id or history asks for a query, {_listed(content)} for content; give one of the two")
    if asks_query or asks_content:
        return asks_content
    if not features:
        raise UsageError("nothing is asked; give a query id, a history, an image, audio, a video, a text, or features")
    sides = {
        side: all(name in getattr(model.schema, side).features for name in features)
        for side in ("queries", "candidates")
    }
    if all(sides.values()):
        raise UsageError(f"queries and candidates both have {_listed(features)}; add a query id, or content")
    if not any(sides.values()):
        known = {side: _listed(getattr(model.schema, side).features) for side in sides}
        raise UsageError(
            f"neither queries nor candidates have all of {_listed(features)}; queries have {known['queries']}, "
            f"candidates {known['candidates']}"
        )
    return sides["candidates"]


def _recommended(model, query_id, history, features, exclude, wanted, dataset) -> Answer:
    own = model.schema.queries.features
    described = model.signatures["recommend"]["inputs"]
    inputs = _feature_inputs("query", features, own, described)
    asked_with, notes = dict(inputs), unknown_excluded(model, exclude)
    if query_id is not None:
        inputs["query_id"] = query_id
    if dataset is not None:
        inputs = _looked_up(model, dataset, query_id, notes) | inputs
    if history is not None:
        history = list(dict.fromkeys(history))
        unknown = [id for id, row in zip(history, model.rows_of(history), strict=True) if row < 0]
        if unknown:
            notes.append(f"unknown to the model: {', '.join(unknown)}")
        inputs["history"] = history[: described["history"]["list_length"]]
    inputs["exclude"] = [*exclude, *inputs.get("exclude", [])][: max(described["exclude"]["list_length"], len(exclude))]
    found = model.ask("recommend", **wanted, **inputs)
    filtered = filter_notes(model, wanted, found)
    notes = unknown_values(model, "query", asked_with, own) + notes + filtered
    source, is_empty = found["source"], not len(found["candidate_ids"])
    if query_id is not None and source != "query" and not model.knows_query(query_id):
        notes.append(f"the query {query_id!r} is unknown to the model")
    if is_empty and not filtered:
        notes.append("no candidate is left: all are excluded, or were chosen before")
    if source == "popular" and not is_empty:
        notes.append(
            "the model knows nothing to go by of whoever asks: these are the most popular candidates, scored by "
            "popularity"
        )
    lacking = [name for name in own if model.looks_at("query", name)]
    if query_id is not None and dataset is None and not features and lacking:
        notes.append(f"the query's features ({_listed(lacking)}) were not given: add --dataset or --feature NAME=VALUE")
    return _with_display(model, source, found, notes)


def _looked_up(model, dataset: Dataset, query_id: str, notes: list[str]) -> dict[str, Any]:
    """The inputs that a dataset has for a query: its features, its history, and what else it has chosen."""
    row = dataset.queries.row_of([query_id])
    if row[0] < 0:
        notes.append(f"the dataset has no query {query_id!r}")
        return {}
    described = model.signatures["recommend"]["inputs"]
    inputs = {}
    for name, feature in dataset.schema.queries.features.items():
        entry = described.get(f"query_{name}")
        if entry is not None:
            raw = raw_batch(dataset.queries, name, feature, row, "list_length" in entry)[0]
            inputs[f"query_{name}"] = np.nan_to_num(raw) if feature.kind == "vector" else raw
    ids = histories(dataset, row, described["history"]["list_length"], model.about["seed"])[0]
    inputs["history"] = [id for id in ids if id]
    seen = dataset.candidates.ids.take(dataset.train.candidates_of(int(row[0]))).to_pylist()
    inputs["exclude"] = [id for id in dict.fromkeys(seen) if id not in inputs["history"]]
    return inputs


def _nearest(model, content, features, exclude, wanted) -> Answer:
    own = model.schema.candidates.features
    if "search" not in model.signatures:
        raise UsageError(f"{model.path}: its candidates have no features, so content cannot be searched by")
    inputs = {}
    for kind, value in content.items():
        names = [name for name, feature in own.items() if feature.kind == kind]
        if not names:
            raise UsageError(f"this model's candidates have no {kind} feature; they have {_listed(own)}")
        given = media(kind, value) if kind in MEDIA_KINDS else value
        inputs |= {f"candidate_{name}": given for name in names}
    inputs |= _feature_inputs("candidate", features, own, model.signatures["search"]["inputs"])
    found = model.ask("search", **wanted, exclude=list(exclude), **inputs)
    notes = unknown_values(model, "candidate", inputs, own) + unknown_excluded(model, exclude)
    notes += (filtered := filter_notes(model, wanted, found))
    if not len(found["candidate_ids"]) and not filtered:
        notes.append("the model sees nothing that it knows in this content, so nothing is near it")
    return _with_display(model, "content", found, notes)


def _feature_inputs(side: str, features, own: Mapping[str, Feature], described: Mapping[str, Any]) -> dict[str, Any]:
    inputs = {}
    for name, value in features.items():
        given = feature_value(name, value, own)
        is_list = "list_length" in described[f"{side}_{name}"]
        inputs[f"{side}_{name}"] = given.split(",") if is_list and isinstance(given, str) else given
    return inputs


def feature_value(name: str, value: Any, features: Mapping[str, Feature]) -> Any:
    """A feature's value as its signature takes it, read from a string where it is one.

    Raises:
        UsageError: no such feature, or not a value of its kind.
    """
    if name not in features:
        raise UsageError(f"no feature is called {name!r}; there are {_listed(features)}")
    kind = features[name].kind
    if kind in MEDIA_KINDS:
        return media(kind, value)
    if not isinstance(value, str):
        return value
    try:
        if kind == "number":
            return float(value)
        if kind == "vector":
            return [float(entry) for entry in value.split(",")]
    except ValueError:
        wanted = "a number" if kind == "number" else "numbers between commas"
        raise UsageError(f"feature {name}: expected {wanted}, got {value!r}") from None
    return value


def media(kind: str, value: str | Path | bytes) -> bytes:
    """A picture's, a sound's or a video's bytes as the graph decodes them.

    Raises:
        DataError: no such file, or not a whole one.
    """
    try:
        return usable_media(kind, value if isinstance(value, bytes) else Path(value).read_bytes())
    except MediaError as error:
        raise DataError(f"{f'the {NOUNS[kind]}' if isinstance(value, bytes) else value}: {error}") from None
    except OSError as error:
        raise DataError(f"{value}: the {NOUNS[kind]} cannot be read: {error.strerror}") from None


def _with_display(model: DescribedModel, source: str, found: Mapping[str, Any], notes: list[str]) -> Answer:
    pairs = [(id, float(score)) for id, score in zip(found["candidate_ids"], found["scores"], strict=True)]
    shown = model.display_of([id for id, _ in pairs])
    candidates = [Recommended(id, score, display) for (id, score), display in zip(pairs, shown, strict=True)]
    return Answer(source, candidates, notes)


def _listed(names) -> str:
    return ", ".join(names) if names else "none"
