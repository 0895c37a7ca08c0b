"""Proposes a first `dataset.yaml` for a folder of tables."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import yaml

from tfmmrec.data.profiles import ColumnProfile, TableProfile, feature_of, profile_tables, values_within
from tfmmrec.types import DataError

_PERSON = re.compile(
    r"user|customer|query|person|people|member|client|shopper|visitor|session|buyer|reader|listener|viewer|account|"
    r"player|patient|student|subscriber|uid",
    re.IGNORECASE,
)
_THING = re.compile(
    r"item|product|movie|film|song|track|article|book|garment|video|candidate|document|recipe|game|business|place|"
    r"asin|sku|news|photo|podcast|course|hotel|restaurant|catalog",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_TIME = re.compile(
    r".*time(stamp)?s?(ms|utc)?|.*(?<!up)(?<!upto)(?<!candi)(?<!man)dates?((time)?(utc)?)|ts|epochs?", re.IGNORECASE
)
_WHEN = {"at", "on", "when", "created", "updated"}  # bought_at, last_updated: a time if the values look like one
_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}([T ]\d{1,2}:\d{2}.*)?")
_EPOCH_SECONDS = 1e8  # 1973; what is less is rather a count
_LAST_MILLISECONDS = 1e13  # 2286; what is more is rather an id
_RATING = re.compile(r"rating|stars|score", re.IGNORECASE)
_COLD = "  # cold_candidates: 0.1   # hold a tenth of the candidates out of training, to measure how new ones fare"
_TITLE = re.compile(r"title|name|label|headline", re.IGNORECASE)
_PARTS = {
    "train": {"train", "training"},
    "valid": {"valid", "val", "validation", "dev"},
    "test": {"test", "testing"},
}


@dataclass
class _Log:
    """A table of interactions: its two id columns, and the tables that they point into."""

    table: TableProfile
    query: str
    candidate: str
    queries: TableProfile | None
    candidates: TableProfile | None


def propose_schema(folder: str | Path) -> str:
    """A first `dataset.yaml` from the tables that lie in a folder: to be read and corrected by a person.

    The interactions are the table with two columns that hold the ids of other tables, or whose names say who
    and what; `train`, `valid` and `test` files are taken as they are. The kind of a feature follows from its
    values.

    Returns:
        The text of the yaml, with comments on what was left out.

    Raises:
        DataError: no tables, or none that looks like a log of interactions.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(
            f"{folder}: expected a dataset's folder, but it {'is a file' if folder.exists() else 'does not exist'}"
        )
    tables = profile_tables(folder.resolve())
    if not tables:
        raise DataError(f"{folder}: no tables; expected CSV, Parquet, JSON Lines or TFRecord files in it")
    logs = [log for table in tables if (log := _as_log(table, tables)) is not None]
    if not logs:
        listed = "".join(f"\n  {table.path}: {', '.join(table.columns)}" for table in tables)
        raise DataError(
            f"{folder}: no table looks like a log of interactions, one with a column of query ids and one "
            "of candidate "
            f"ids; write dataset.yaml by hand. The tables there:{listed}"
        )
    parts = {part: log for part in _PARTS for log in logs if _stem(log.table) in _PARTS[part]}
    ready = "train" in parts
    log = parts["train"] if ready else max(logs, key=lambda log: log.table.num_rows)
    text = [
        "# Proposed from the tables in this folder. Read it and correct it.",
        *_interactions(log, parts if ready else None),
    ]
    text += _side("candidates", log.candidates, log.candidate)
    text += _side("queries", log.queries, log.query)
    used = {log.table.path, *(part.table.path for part in parts.values() if ready)}
    used |= {table.path for table in (log.candidates, log.queries) if table}
    text += [f"# not used: {table.path} ({', '.join(table.columns)})" for table in tables if table.path not in used]
    return "\n".join(text) + "\n"


def _stem(table: TableProfile) -> str:
    return table.path.split(".")[0].lower()


def _as_log(table: TableProfile, tables: list[TableProfile]) -> _Log | None:
    """The table as a log of interactions, None when it is not one."""
    columns = [column for column in table.columns.values() if column.could_be_id and not _is_feature(column)]
    targets = {
        column.name: _target(column, table, tables) for column in columns if not column.is_key or len(columns) > 1
    }
    pairs = [
        (one, other)
        for one in targets
        for other in targets
        if one != other and (targets[one] is None or targets[one] is not targets[other])
    ]
    scored = [(_pair_score(one, other, targets), -index, one, other) for index, (one, other) in enumerate(pairs)]
    score, _, query, candidate = max(scored, default=(0, 0, "", ""))
    if score < 4 or table.key() is not None and not (targets[query] and targets[candidate]):
        return None
    return _Log(table, query, candidate, targets[query], targets[candidate])


def _is_feature(column: ColumnProfile) -> bool:
    return bool(_is_time(column) or _RATING.search(column.name))


def _is_time(column: ColumnProfile) -> bool:
    """By its type, whatever it is called, or by its name: a file of texts and numbers has no type for times."""
    words = _WORD.findall(column.name)
    if pa.types.is_temporal(column.type) or any(_TIME.fullmatch(word) for word in words):
        return True
    return bool(words) and words[-1].lower() in _WHEN and all(map(_is_moment, column.values)) and bool(column.values)


def _is_moment(value: str) -> bool:
    """Whether it reads as a date, or as seconds or milliseconds since 1970."""
    if _DATE.fullmatch(value.strip()):
        return True
    try:
        return _EPOCH_SECONDS <= float(value) < _LAST_MILLISECONDS
    except ValueError:
        return False


def _target(column: ColumnProfile, table: TableProfile, tables: list[TableProfile]) -> TableProfile | None:
    """The table whose key the column's values are."""
    for other in tables:
        key = other.key()
        if other is table or key is None:
            continue
        same_name = key.lower() == column.name.lower()
        by_name = key.lower() == "id" and _stem(other).rstrip("s") in column.name.lower()
        if (
            (same_name or by_name)
            and values_within(column, other.columns[key]) > 0
            and not (len(table.columns) > len(other.columns) and table.key() is not None)
        ):
            return other
    return None


def _pair_score(query: str, candidate: str, targets: dict[str, TableProfile | None]) -> int:
    score = 2 * (targets[query] is not None) + 2 * (targets[candidate] is not None)
    for name, target, likes, dislikes in (
        (query, targets[query], _PERSON, _THING),
        (candidate, targets[candidate], _THING, _PERSON),
    ):
        named = f"{name} {target.path if target else ''}"
        score += 2 * bool(likes.search(named)) - 2 * bool(dislikes.search(named) and not likes.search(named))
    return score


def _interactions(log: _Log, parts: dict[str, _Log] | None) -> list[str]:
    keys: dict[str, object] = {}
    time = next((name for name, column in log.table.columns.items() if _is_time(column)), None)
    if parts:
        keys |= {part: other.table.path for part, other in parts.items()}
    else:
        keys["path"] = log.table.path
        keys["split"] = {"method": "time" if time else "ratio", "valid": 0.1, "test": 0.1}
    keys |= {"query": log.query, "candidate": log.candidate}
    if time:
        keys["timestamp"] = time
    lines = ["interactions:", *(f"  {key}: {_flow(value)}" for key, value in keys.items()), _COLD]
    rating = next((name for name in log.table.columns if _RATING.search(name)), None)
    if rating:
        lines += [
            f"  rating: {_flow(rating)}",
            f"  # positive: {json.dumps(rating + ' >= 4')}   # which rows are choices",
        ]
    return lines


def _side(side: str, table: TableProfile | None, column: str) -> list[str]:
    if table is None:
        return [f"# {side}: no table with their ids; the ids come from the column {column!r} of the interactions"]
    found = {c.name: feature_of(c) for c in table.columns.values() if c.name != table.key()}
    names: set[str] = set()
    features = {_free_name(name, names): (name, f) for name, f in found.items() if isinstance(f, dict)}
    lines = [f"{side}:", f"  path: {_flow(table.path)}", f"  id: {_flow(table.key())}"]
    if side == "candidates" and (shown := _display(features)):
        lines.append(f"  display: {_flow(shown)}")
    if side == "queries":
        lines.append("  history: {length: 50}")
    if features:
        lines.append("  features:")
    for name, (column_name, keys) in features.items():
        keys = keys if name == column_name else keys | {"column": column_name}
        lines.append(f"    {name}: {_flow(keys)}")
    return lines + [f"    # left out: {name} ({why})" for name, why in found.items() if isinstance(why, str)]


def _display(features: dict[str, tuple[str, dict]]) -> list[str]:
    texts = [column for column, keys in features.values() if keys["kind"] in ("text", "category")]
    titles = [column for column in texts if _TITLE.search(column)] or texts
    images = [column for column, keys in features.values() if keys["kind"] == "image"]
    return titles[:1] + images[:1]


def _free_name(column: str, taken: set[str]) -> str:
    """A feature name for a column: letters, digits and _, and none that is taken."""
    name = re.sub(r"\W+", "_", column, flags=re.ASCII).strip("_") or "feature"
    if not name.isidentifier() or name in ("id", "history"):
        name = f"feature_{name}"
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _flow(value: object) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...").removesuffix("\n")
