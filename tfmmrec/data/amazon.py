"""Amazon Reviews as McAuley's lab gives them out: 2018 (`.json.gz`) and 2023 (`.jsonl.gz`), with their metadata."""

from __future__ import annotations

import html
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tfmmrec.data.dataset_writer import Conversion, DatasetWriter, new_folder
from tfmmrec.data.entities_writer import EntitiesWriter
from tfmmrec.data.raw_lines import Progress, as_number, count_broken, read_objects
from tfmmrec.data.raw_sources import Source
from tfmmrec.types import DataError, UsageError

SOURCE = Source(
    "Amazon Reviews",
    "https://amazon-reviews-2023.github.io (2023) or https://cseweb.ucsd.edu/~jmcauley/datasets/amazon_v2/ (2018)",
    "no licence is stated there; cite Hou et al. 2024 (2023) or Ni et al. 2019 (2018)",
)
_SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".json.gz")
_TAG = re.compile(r"<[^<>]*>")
_PRICE = re.compile(r"\d[\d,]*(?:\.\d+)?")
_LONGEST_PRICE = 40  # characters; what is longer is a piece of a web page
_TEXT = pa.string()
_FIELDS = {
    "title": _TEXT,
    "description": _TEXT,
    "brand": _TEXT,
    "categories": pa.list_(_TEXT),
    "price": pa.float64(),
    "image": _TEXT,
}


@dataclass(frozen=True)
class _Keys:
    """What a release calls things."""

    query: str
    candidate: str
    rating: str
    time: str
    milliseconds: int  # in a unit of its times
    brand: str
    bullets: str
    categories: str


_2018 = _Keys("reviewerID", "asin", "overall", "unixReviewTime", 1000, "brand", "feature", "category")
_2023 = _Keys("user_id", "parent_asin", "rating", "timestamp", 1, "store", "features", "categories")


def convert_amazon(
    folder: str | Path,
    to: str | Path,
    *,
    category: str | None = None,
    min_rating: float | None = None,
    core: int | None = None,
    split: str = "time",
    images: str | Path | None = None,
    progress: Progress | None = None,
) -> Conversion:
    """Turns the reviews and the metadata of one category into a dataset folder.

    Features are title, description (the bullet points, then the description), brand (of 2023 the store), categories
    and price. The mean rating in the metadata of 2023 is none: the ratings of the test are in it.

    Args:
        folder: where `Video_Games.jsonl.gz` and `meta_Video_Games.jsonl.gz` lie, packed or not.
        to: the dataset's folder; new or empty.
        category: which reviews, where the folder has those of several: `Video_Games`, or `Video_Games_5`.
        min_rating: from which rating on an interaction is a choice; None: every rating is one.
        core: leave only those with at least so many choices, again and again (k-core).
        split: how the log is parted: time, leave_one_out or ratio.
        images: a folder of pictures, each named by its product's id (`B07JW9H4J1.jpg`).
        progress: called with (what, done, in all).

    Raises:
        DataError: a file is missing or unreadable.
        UsageError: `to` holds something, or another argument is wrong.
    """
    reviews, meta = _find(Path(folder), category)
    with new_folder(to) as staging:
        writer = DatasetWriter(
            staging, SOURCE, "user_id", "asin", min_rating=min_rating, core=core, split=split, images=images
        )
        keys = _read_reviews(reviews, writer, progress)
        table = _read_products(meta, keys, writer, progress)
        features = {name: {"kind": "text"} for name in ("title", "description")}
        features |= {name: {"kind": "category"} for name in ("brand", "categories")}
        features |= {"price": {"kind": "number"}, "image": {"kind": "image"}}
        return writer.finish(to, table, features, ("title", "image"))


def _find(folder: Path, category: str | None) -> tuple[Path, Path]:
    """The file of the reviews and that of the metadata; they may lie in folders of their own, as in 2023's `raw`."""
    found: dict[str, Path] = {}
    for pattern in ("*", "*/*", "*/*/*"):
        for path in sorted(folder.glob(pattern)):
            if (name := _stem(path)) is not None and path.is_file():
                found.setdefault(name, path)
    metas = [name.removeprefix("meta_") for name in found if name.startswith("meta_")]
    names = [name for name in found if not name.startswith("meta_") and _whole(name) in metas]
    if not names:
        shown = metas[0] if metas else "CATEGORY"
        SOURCE.find(
            folder, (f"{shown}.jsonl.gz", f"meta_{shown}.jsonl.gz"), (f"{shown}.json.gz", f"meta_{shown}.json.gz")
        )
    if category is not None:
        if category not in names:
            raise UsageError(
                f"{folder}: no reviews with metadata for category {category!r}; there are {', '.join(names)}"
            )
        names = [category]
    if len(names) > 1:
        raise UsageError(f"{folder} has the reviews of {', '.join(names)}; choose one of them as category")
    return found[names[0]], found[f"meta_{_whole(names[0])}"]


def _stem(path: Path) -> str | None:
    """The file's name without its end, None for a file of another kind."""
    ends = [suffix for suffix in _SUFFIXES if path.name.endswith(suffix)]
    return path.name.removesuffix(ends[0]) if ends else None


def _whole(name: str) -> str:
    """The category of a file: of `Video_Games_5`, a 5-core, it is `Video_Games`."""
    return name.removesuffix("_5")


def _read_reviews(path: Path, writer: DatasetWriter, progress: Progress | None) -> _Keys:
    keys = None
    for lines, reviews in read_objects(path, writer.issues, progress):
        keys = keys or next((known for known in (_2023, _2018) if any(known.query in one for one in reviews)), None)
        if keys is None:
            count_broken(writer.issues, path.name, lines, np.ones(len(lines), bool))
            continue
        ids = [[_id(one.get(name)) for one in reviews] for name in (keys.query, keys.candidate)]
        ratings = np.array([as_number(one.get(keys.rating)) for one in reviews], np.float64)
        times = np.array([as_number(one.get(keys.time)) for one in reviews], np.float64) * keys.milliseconds
        arrays = [pa.array(values, _TEXT) for values in ids]
        writer.interactions.add(path.name, lines, *arrays, ratings, times)
    expected = '{"user_id": ..., "parent_asin": ..., "rating": 5.0, "timestamp": 1588687728923} or, in 2018, '
    writer.finish_interactions(path, expected + '{"reviewerID": ..., "asin": ..., "overall": 5.0, "unixReviewTime": 1}')
    return keys


def _read_products(path: Path, keys: _Keys, writer: DatasetWriter, progress: Progress | None) -> EntitiesWriter:
    table = writer.candidate_table(_FIELDS)
    for _, products in read_objects(path, writer.issues, progress):
        ids = [_id(one.get(keys.candidate)) for one in products]
        new = np.flatnonzero(table.choose(path.name, ids))
        rows = [_product(products[row], keys) for row in new]
        columns: dict[str, list] = {name: [row[name] for row in rows] for name in _FIELDS if name != "image"}
        columns["asin"] = [ids[row] for row in new]
        columns["image"] = [writer.pictures.bring(ids[row]) if writer.pictures else None for row in new]
        table.add(columns)
    if not table.num_described:
        raise DataError(
            f"{path}: none of its lines is about a product that has a review; expected one JSON object a line with "
            f"{keys.candidate!r}, of the same category and release as the reviews. {SOURCE.where()}"
        )
    table.finish()
    return table


def _product(meta: dict[str, Any], keys: _Keys) -> dict[str, Any]:
    title = _plain(meta.get("title"))
    if title is not None and "getTime" in title:  # in 2018 some titles are pieces of a web page's script
        title = None
    texts = [_plain(meta.get(keys.bullets)), _plain(meta.get("description"))]
    categories = meta.get(keys.categories) or [meta.get("main_category") or meta.get("main_cat")]
    categories = categories if isinstance(categories, list) else [categories]
    names = [name for one in categories if (name := _plain(one)) is not None]
    return {
        "title": title,
        "description": " ".join(text for text in texts if text is not None) or None,
        "brand": _plain(meta.get(keys.brand)),
        "categories": list(dict.fromkeys(names)) or None,
        "price": _price(meta.get("price")),
    }


def _id(value: Any) -> str | None:
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) and value != "" else None


def _plain(value: Any) -> str | None:
    """A text, or a list of them as one, without markup; None for all else."""
    if isinstance(value, list):
        value = " ".join(one for one in value if isinstance(one, str))
    if not isinstance(value, str):
        return None
    return " ".join(_TAG.sub(" ", html.unescape(value)).split()) or None


def _price(value: Any) -> float | None:
    """A number, or the first one in a text such as `$12.99 - $15.00`."""
    if isinstance(value, str):
        match = _PRICE.search(value) if len(value) <= _LONGEST_PRICE else None
        value = match[0].replace(",", "") if match else None
    number = as_number(value)
    return number if math.isfinite(number) and number >= 0 else None
