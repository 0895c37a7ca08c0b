"""The Yelp Open Dataset: `yelp_academic_dataset_*.json`, and the photos that come apart from them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmmrec.data.dataset_writer import Conversion, DatasetWriter, new_folder
from tfmmrec.data.entities_writer import EntitiesWriter
from tfmmrec.data.raw_lines import Progress, as_number, read_objects
from tfmmrec.data.raw_sources import Source
from tfmmrec.types import DataError

SOURCE = Source(
    "Yelp Open Dataset",
    "https://www.yelp.com/dataset",
    "the dataset agreement that Yelp shows before the download: personal, educational and academic use",
)
_BUSINESS, _REVIEW, _USER = (f"yelp_academic_dataset_{name}.json" for name in ("business", "review", "user"))
_PHOTO_LISTS = ("photos.json", "photo.json", "yelp_academic_dataset_photo.json")
_LABELS = ("food", "inside", "outside", "drink", "menu")  # the photo that tells most comes first
_LONGEST_VALUE = 1000
_TEXT = pa.string()
_FIELDS = {
    "name": _TEXT,
    "categories": pa.list_(_TEXT),
    "city": _TEXT,
    "state": _TEXT,
    "attributes": pa.list_(_TEXT),
    "stars": pa.float32(),
    "review_count": pa.int64(),
    "image": _TEXT,
}
_USER_NUMBERS = ("review_count", "fans", "average_stars")
_NOTES = (
    "stars, review_count and average_stars are in the tables, but no features: the reviews of the test are in them.",
    "Add them as `kind: number` where that does not matter.",
)


def convert_yelp(
    folder: str | Path,
    to: str | Path,
    *,
    min_rating: float | None = None,
    core: int | None = None,
    split: str = "time",
    images: str | Path | None = None,
    progress: Progress | None = None,
) -> Conversion:
    """Turns the Yelp Open Dataset into a dataset folder.

    Features of a business are name, categories, city, state, attributes ("WiFi free") and a photo; of a query fans and
    the year of joining (`since`). What sums up the reviews (stars, their number and mean) is in the tables too but no
    feature, because the reviews of the test are in it.

    Args:
        folder: where the `yelp_academic_dataset_*.json` lie; photos.json and photos/ may lie there too.
        to: the dataset's folder; new or empty.
        min_rating: from how many stars on a review is a choice; None: every review is one.
        core: leave only those with at least so many choices, again and again (k-core).
        split: how the log is parted: time, leave_one_out or ratio.
        images: the folder `photos`, where it lies elsewhere; photos.json in it or beside it.
        progress: called with (what, done, in all).

    Raises:
        DataError: a file is missing or unreadable.
        UsageError: `to` holds something, or another argument is wrong.
    """
    folder = SOURCE.find(Path(folder), (_BUSINESS, _REVIEW))
    photos = _photo_folder(folder, None if images is None else Path(images))
    with new_folder(to) as staging:
        writer = DatasetWriter(
            staging,
            SOURCE,
            "user_id",
            "business_id",
            min_rating=min_rating,
            core=core,
            split=split,
            images=photos and photos[0],
        )
        _read_reviews(folder / _REVIEW, writer, progress)
        chosen = _choose_photos(photos[1], writer, progress) if photos else {}
        businesses = _read_businesses(folder / _BUSINESS, chosen, writer, progress)
        people = _read_people(folder / _USER, writer, progress) if (folder / _USER).is_file() else None
        features: dict[str, dict[str, Any]] = {
            "name": {"kind": "text"},
            "categories": {"kind": "category"},
            "city": {"kind": "category"},
            "state": {"kind": "category"},
            "attributes": {"kind": "category", "max_values": 32},
            "image": {"kind": "image"},
        }
        about = {name: {"kind": "number"} for name in ("fans", "since")}
        return writer.finish(to, businesses, features, ("name", "image"), people, about, _NOTES)


def _photo_folder(folder: Path, images: Path | None) -> tuple[Path, Path] | None:
    """The folder of the photos and the file that tells whose they are."""
    if images is not None:
        lists = [place / name for place in (images, images.parent) for name in _PHOTO_LISTS]
        found = [path for path in lists if path.is_file()]
        if not found:
            raise DataError(
                f"{images}: expected {_PHOTO_LISTS[0]} in it or beside it, which tells whose the photos are"
            )
        return images, found[0]
    inner = sorted(path for path in folder.iterdir() if path.is_dir())
    for place in (folder, *inner):
        lists = [place / name for name in _PHOTO_LISTS if (place / name).is_file()]
        if lists and (place / "photos").is_dir():
            return place / "photos", lists[0]
    return None


def _read_reviews(path: Path, writer: DatasetWriter, progress: Progress | None) -> None:
    for lines, reviews in read_objects(path, writer.issues, progress):
        queries, candidates, dates = (_texts(reviews, name) for name in ("user_id", "business_id", "date"))
        stars = np.array([as_number(one.get("stars")) for one in reviews], np.float64)
        writer.interactions.add(path.name, lines, queries, candidates, stars, _milliseconds(dates))
    expected = '{"user_id": ..., "business_id": ..., "stars": 4.0, "date": "2018-07-07 22:09:11"}'
    writer.finish_interactions(path, expected)


def _milliseconds(dates: pa.Array) -> np.ndarray:
    """Dates, with a time of day or without, as milliseconds since 1970; NaN where there is none."""
    whole = pc.if_else(pc.equal(pc.utf8_length(dates), 10), pc.binary_join_element_wise(dates, "00:00:00", " "), dates)
    times = pc.strptime(whole, format="%Y-%m-%d %H:%M:%S", unit="ms", error_is_null=True)
    return times.cast(pa.int64()).cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)


def _texts(objects: list[dict], name: str) -> pa.Array:
    return pa.array([_text(one.get(name)) for one in objects], _TEXT)


def _text(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _choose_photos(path: Path, writer: DatasetWriter, progress: Progress | None) -> dict[str, str]:
    """Business -> its photo: of those that are there the first one whose label tells most."""
    ranks: dict[str, tuple[int, str]] = {}
    for _, photos in read_objects(path, writer.issues, progress):
        for photo in photos:
            business, name, label = (_text(photo.get(key)) for key in ("business_id", "photo_id", "label"))
            rank = _LABELS.index(label) if label in _LABELS else len(_LABELS)
            if business and name in writer.pictures and rank < ranks.get(business, (len(_LABELS) + 1, ""))[0]:
                ranks[business] = (rank, name)
    return {business: name for business, (_, name) in ranks.items()}


def _read_businesses(
    path: Path, photos: dict[str, str], writer: DatasetWriter, progress: Progress | None
) -> EntitiesWriter:
    table = writer.candidate_table(_FIELDS)
    for _, businesses in read_objects(path, writer.issues, progress):
        ids = _texts(businesses, "business_id").to_pylist()
        new = [(ids[row], businesses[row]) for row in np.flatnonzero(table.choose(path.name, ids))]
        columns: dict[str, list] = {
            name: [_text(one.get(name)) for _, one in new] for name in ("name", "city", "state")
        }
        columns["business_id"] = [key for key, _ in new]
        columns["categories"] = [_categories(one.get("categories")) for _, one in new]
        columns["attributes"] = [list(_attributes(one.get("attributes"))) or None for _, one in new]
        columns["stars"] = [_number(one.get("stars")) for _, one in new]
        columns["review_count"] = [_whole(one.get("review_count")) for _, one in new]
        columns["image"] = [writer.pictures.bring(photos[key]) if key in photos else None for key, _ in new]
        table.add(columns)
    table.finish()
    return table


def _read_people(path: Path, writer: DatasetWriter, progress: Progress | None) -> EntitiesWriter:
    table = writer.query_table({**dict.fromkeys(_USER_NUMBERS, pa.float32()), "since": pa.int32()})
    for _, people in read_objects(path, writer.issues, progress):
        ids = _texts(people, "user_id").to_pylist()
        new = [(ids[row], people[row]) for row in np.flatnonzero(table.choose(path.name, ids))]
        columns: dict[str, list] = {name: [_number(one.get(name)) for _, one in new] for name in _USER_NUMBERS}
        columns["user_id"] = [key for key, _ in new]
        columns["since"] = [_whole((_text(one.get("yelping_since")) or "")[:4]) for _, one in new]
        table.add(columns)
    table.finish()
    return table


def _number(value: Any) -> float | None:
    number = as_number(value)
    return number if np.isfinite(number) else None


def _whole(value: Any) -> int | None:
    number = _number(value)
    return None if number is None or abs(number) >= 2**31 else int(number)


def _categories(value: Any) -> list[str] | None:
    """`Pubs, Restaurants` as two values; older releases have lists."""
    names = value if isinstance(value, list) else value.split(",") if isinstance(value, str) else []
    return [name for one in names if (name := _text(one))] or None


def _attributes(found: Any) -> Iterator[str]:
    """What is true of a business: `{"WiFi": "u'free'", "Parking": "{'lot': True}"}` as `WiFi free`, `Parking lot`."""
    for name, written in found.items() if isinstance(found, dict) else ():
        value = _literal(written)
        if isinstance(value, dict):
            yield from (f"{name} {key}" for key, holds in value.items() if holds is True)
        elif value is True:
            yield name
        elif isinstance(value, (str, int, float)) and value is not False and value not in ("none", "no", ""):
            yield f"{name} {value}"


def _literal(written: Any) -> Any:
    """The value that a text in Python's notation stands for; other texts and values as they are."""
    if not isinstance(written, str) or len(written) > _LONGEST_VALUE:
        return written
    try:
        return ast.literal_eval(written)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return written
