"""The rankings that an exported model answers with, asked as a client would: a batch of queries in a request."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from tfmmrec.embedding import raw_batch
from tfmmrec.schema import MEDIA_KINDS, Feature
from tfmmrec.search.filters import MAX_K
from tfmmrec.serving.contents import as_lists, is_list
from tfmmrec.serving.evaluation_queries import EvaluationQueries, query_entities
from tfmmrec.serving.exported_model import ExportedModel
from tfmmrec.types import DataError

_SCORE_BYTES = 32 * 2**20  # of a request
_MOST_ROWS = 128


@dataclass
class Head:
    """The head of a ranking.

    Attributes:
        ids: of candidates that the query has not seen and that could be found.
        scores: `[len(ids)]`, in descending order.
        shown: ids of the first so many as were asked for, with those that came after the queries were drawn.
    """

    ids: list[str]
    scores: np.ndarray
    shown: list[str] = field(default_factory=list)


class AskedRankings:
    """What a model answers to queries.

    What a query has seen is left out: the model leaves out the history that it is sent or knows; `exclude` takes what
    has no place in that; and for what has no place there either more is asked for, and dropped here. So is what came
    after the queries were drawn.

    Args:
        model: has `recommend`.
        queries: who asks.

    Raises:
        DataError: a feature of the queries is of another kind or shape than the model takes.
    """

    def __init__(self, model: ExportedModel, queries: EvaluationQueries):
        self.model = model
        self.queries = queries
        self._features = {
            name: feature
            for name, feature in model.schema.queries.features.items()
            if name in queries.features and f"query_{name}" in model.signatures["recommend"]["inputs"]
        }
        self._added = set(queries.added_ids)
        columns = {name: self._column(name, feature) for name, feature in self._features.items()}
        self._entities = query_entities(replace(queries, features=columns), self._features)

    def batches(self, rows: np.ndarray | None = None) -> Iterator[np.ndarray]:
        """Places of queries, all when None, int `[at most 128]`: few enough for a request whose scores take 32 MiB."""
        rows = np.arange(len(self.queries)) if rows is None else rows
        size = max(1, min(_MOST_ROWS, _SCORE_BYTES // (4 * max(self.model.candidates.num_rows, 1))))
        for start in range(0, len(rows), size):
            yield rows[start : start + size]

    def heads(self, rows: np.ndarray, k: int) -> list[Head]:
        """The k best unseen candidates of some queries, and all that share the score of the last of them.

        Args:
            rows: places of the queries, int `[batch]`.
            k: how many.

        Raises:
            DataError: a score is NaN.
        """
        wanted = min(MAX_K, k + 1 + self._unsent(rows) + min(k, len(self._added)))
        heads, cut = self._ask(rows, wanted, k)
        if cut.any() and wanted < MAX_K:
            longer, _ = self._ask(rows[cut], MAX_K, k)
            for place, head in zip(np.flatnonzero(cut), longer, strict=True):
                heads[place] = head
        return heads

    def heads_among(self, rows: np.ndarray, k: int, ids: list[str], vectors: np.ndarray) -> list[Head]:
        """The same of a retrieval model when some candidates are ranked among themselves, by queries' vectors.

        Args:
            rows: places of the queries, int `[batch]`.
            k: how many.
            ids: of the candidates.
            vectors: theirs, `[len(ids), dim]`.
        """
        scores = self.model.ask_many("embed_query", **self.inputs(rows))["vectors"] @ vectors.T  # [batch, len(ids)]
        column = {id: place for place, id in enumerate(ids)}
        heads = []
        for row, own in zip(rows, scores, strict=True):
            own[[column[id] for id in self.queries.histories[row] if id in column]] = -np.inf
            last = np.partition(own, -k)[-k] if len(own) > k else -np.inf
            kept = np.flatnonzero((own >= last) & (own > -np.inf))
            kept = kept[np.argsort(-own[kept], kind="stable")]
            heads.append(Head([ids[place] for place in kept], own[kept]))
        return heads

    def seconds(self, k: int, num_requests: int = 100, num_before: int = 5) -> np.ndarray:
        """How long requests of a single query take, `[at most num_requests]`, after some that do not count."""
        places = np.linspace(0, len(self.queries) - 1, min(num_requests, len(self.queries))).astype(int)
        asked = [self._request(np.array([place]), k) for place in places]
        for request in asked[:num_before]:
            self.model.ask_many("recommend", **request)
        taken = []
        for request in asked:
            start = time.perf_counter()
            self.model.ask_many("recommend", **request)
            taken.append(time.perf_counter() - start)
        return np.array(taken)

    def inputs(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """`query_id`, `history` and the features of some queries as `recommend` and `embed_query` take them."""
        described = self.model.signatures["recommend"]["inputs"]
        length = described["history"]["list_length"]
        inputs = {
            "query_id": np.array([self.queries.query_ids[row] for row in rows], object),
            "history": _padded([self.queries.histories[row] for row in rows], length),
        }
        for name, feature in self._features.items():
            is_list = "list_length" in described[f"query_{name}"]
            raw = raw_batch(self._entities, name, feature, rows, is_list)
            inputs[f"query_{name}"] = np.nan_to_num(raw) if feature.kind == "vector" else raw
        return inputs

    def _column(self, name: str, feature: Feature) -> pa.Array:
        """A feature of the queries; a single value where the model takes lists is a list of one."""
        column, entry = self.queries.features[name], self.model.signatures["recommend"]["inputs"][f"query_{name}"]
        takes_lists = "list_length" in entry
        fits, expected = {
            "vector": (_is_vector(column.type, entry), f"vectors of the shape {entry.get('shape')}"),
            "number": (pa.types.is_floating(column.type), "numbers"),
            **{kind: (pa.types.is_large_binary(column.type), f"bytes of kind {kind}") for kind in MEDIA_KINDS},
        }.get(feature.kind, (_is_text(column.type, takes_lists), f"strings{' or lists of these' * takes_lists}"))
        if not fits:
            raise DataError(
                f"{self.model.path}: takes {expected} as the queries' {name}, and those that it is to be measured with "
                f"have {column.type}; it was trained on data of another schema"
            )
        return as_lists(column) if takes_lists else column

    def _request(self, rows: np.ndarray, k: int) -> dict[str, np.ndarray]:
        history, exclude = self._lengths()
        others = [self.queries.histories[row][history:] for row in rows]
        numbers = {"k": np.full(len(rows), k, np.int32)}
        return self.inputs(rows) | {"exclude": _padded(others, exclude)} | numbers

    def _lengths(self) -> tuple[int, int]:
        described = self.model.signatures["recommend"]["inputs"]
        return described["history"]["list_length"], described["exclude"]["list_length"]

    def _unsent(self, rows: np.ndarray) -> int:
        return max(0, max(len(self.queries.histories[row]) for row in rows) - sum(self._lengths()))

    def _ask(self, rows: np.ndarray, wanted: int, k: int) -> tuple[list[Head], np.ndarray]:
        """Heads, and bool `[batch]`, where the answer ends within the ties of its k-th."""
        found = self.model.ask_many("recommend", **self._request(rows, wanted))
        if np.isnan(found["scores"]).any():
            raise DataError(f"{self.model.path}: answers with scores that are NaN; its model has diverged")
        heads, cut = [], np.zeros(len(rows), bool)
        for place, row in enumerate(rows):
            kept, scores = found["scores"][place] > -np.inf, found["scores"][place]
            cut[place] = kept.all() and len(kept) == wanted
            ids = [id.decode() for id in found["candidate_ids"][place]]
            seen = set(self.queries.histories[row])
            kept &= np.array([id not in seen for id in ids], bool)
            shown = [ids[column] for column in np.flatnonzero(kept)[:k]]
            kept &= np.array([id not in self._added for id in ids], bool)
            own = scores[kept]
            heads.append(Head([ids[column] for column in np.flatnonzero(kept)], own, shown))
            cut[place] &= len(own) < k or own[k - 1] == own[-1]
        return heads, cut


def _is_vector(kind: pa.DataType, entry: dict) -> bool:
    return pa.types.is_fixed_size_list(kind) and [kind.list_size] == entry["shape"]


def _is_text(kind: pa.DataType, takes_lists: bool) -> bool:
    value = kind.value_type if takes_lists and is_list(kind) else kind
    return pa.types.is_string(value) or pa.types.is_large_string(value)


def _padded(lists: list[list[str]], length: int) -> np.ndarray:
    padded = np.full((len(lists), length), "", object)
    for row, ids in zip(padded, lists, strict=True):
        row[: min(length, len(ids))] = ids[:length]
    return padded
