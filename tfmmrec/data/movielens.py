"""MovieLens as GroupLens gives it out: 1M and 10M (`ratings.dat`), 20M, 25M, 32M, latest and latest-small (`.csv`)."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from tfmmrec.data.dataset_writer import Conversion, DatasetWriter, new_folder
from tfmmrec.data.entities_writer import EntitiesWriter
from tfmmrec.data.issues import Issues
from tfmmrec.data.raw_lines import Progress, RawRows, count_broken, read_fields, to_floats
from tfmmrec.data.raw_sources import Source

SOURCE = Source(
    "MovieLens",
    "https://grouplens.org/datasets/movielens/",
    "GroupLens' usage licence, in the README of each archive: research; cite Harper & Konstan 2015; no commercial use "
    "without permission; 1M and 10M are not to be redistributed without permission, later ones under the same "
    "conditions only",
)
_YEAR = re.compile(r"\s*\((\d{4})(?:\s*[-–]\s*(?:\d{4})?)?\)\s*$")
_AGES = {
    "1": "under 18",
    "18": "18-24",
    "25": "25-34",
    "35": "35-44",
    "45": "45-49",
    "50": "50-55",
    "56": "56 and over",
}
_OCCUPATIONS = (
    "other", "academic/educator", "artist", "clerical/admin", "college/grad student", "customer service",
    "doctor/health care", "executive/managerial", "farmer", "homemaker", "K-12 student", "lawyer", "programmer",
    "retired", "sales/marketing", "scientist", "self-employed", "technician/engineer", "tradesman/craftsman",
    "unemployed", "writer",
)  # fmt: skip


def convert_movielens(
    folder: str | Path,
    to: str | Path,
    *,
    min_rating: float | None = None,
    core: int | None = None,
    split: str = "time",
    images: str | Path | None = None,
    progress: Progress | None = None,
) -> Conversion:
    """Turns a MovieLens folder into a dataset folder: title, year and genres, and of 1M age, gender and occupation.

    Args:
        folder: the unpacked archive, or the folder it was unpacked in.
        to: the dataset's folder; new or empty.
        min_rating: from which rating on an interaction is a choice; None: every rating is one.
        core: leave only those with at least so many choices, again and again (k-core).
        split: how the log is parted: time, leave_one_out or ratio.
        images: a folder of posters, each named by its movie's id (`318.jpg`).
        progress: called with (what, done, in all).

    Raises:
        DataError: a file is missing or unreadable.
        UsageError: `to` holds something, or another argument is wrong.
    """
    folder = SOURCE.find(Path(folder), ("ratings.dat", "movies.dat"), ("ratings.csv", "movies.csv"))
    old = (folder / "ratings.dat").is_file()
    with new_folder(to) as staging:
        writer = DatasetWriter(
            staging, SOURCE, "user_id", "movie_id", min_rating=min_rating, core=core, split=split, images=images
        )
        path = folder / ("ratings.dat" if old else "ratings.csv")
        for rows in read_fields(path, "::" if old else ",", 4, writer.issues, progress, header=not old):
            queries, candidates, ratings, seconds = rows.columns
            times = to_floats(seconds) * 1000.0
            writer.interactions.add(rows.source, rows.lines, queries, candidates, to_floats(ratings), times)
        writer.finish_interactions(path, "1::1193::5::978300760" if old else "1,296,5.0,1147880044")
        movies = _read_movies(folder, old, writer, progress)
        people = _read_people(folder / "users.dat", writer, progress) if (folder / "users.dat").is_file() else None
        features = {
            "title": {"kind": "text"},
            "genres": {"kind": "category", "separator": "|"},
            "year": {"kind": "number"},
            "image": {"kind": "image"},
        }
        about = {name: {"kind": "category"} for name in ("age", "gender", "occupation")}
        return writer.finish(to, movies, features, ("title", "image"), people, about)


def _read_movies(folder: Path, old: bool, writer: DatasetWriter, progress: Progress | None) -> EntitiesWriter:
    text = pa.string()
    table = writer.candidate_table({"title": text, "year": pa.int32(), "genres": text, "image": text})
    if old:
        pieces = read_fields(folder / "movies.dat", "::", 3, writer.issues, progress)
    else:
        pieces = _read_quoted(folder / "movies.csv", 3, writer.issues, progress)
    for rows in pieces:
        ids, titles, genres = (column.to_pylist() for column in rows.columns)
        new = np.flatnonzero(table.choose(rows.source, ids))
        found = [_YEAR.search(titles[row]) for row in new]
        table.add(
            {
                "movie_id": [ids[row] for row in new],
                "title": [_YEAR.sub("", titles[row]).strip() or None for row in new],
                "year": [int(match[1]) if match else None for match in found],
                "genres": [None if genres[row] == "(no genres listed)" else genres[row] or None for row in new],
                "image": [writer.pictures.bring(ids[row]) if writer.pictures else None for row in new],
            }
        )
    table.finish()
    return table


def _read_quoted(path: Path, num_fields: int, issues: Issues, progress: Progress | None) -> Iterator[RawRows]:
    """Lines of CSV with quotation marks: titles have commas in them."""
    for rows in read_fields(path, "\n", 1, issues, progress, header=True):
        parsed = [_csv_fields(line) for line in rows.columns[0].to_pylist()]
        blank = np.array([not fields for fields in parsed], bool)
        good = np.array([len(fields) == num_fields for fields in parsed], bool)
        count_broken(issues, rows.source, rows.lines, ~good & ~blank, rows.columns[0])
        kept = [fields for fields in parsed if len(fields) == num_fields]
        columns = [pa.array([fields[place] for fields in kept], pa.string()) for place in range(num_fields)]
        yield RawRows(rows.source, rows.lines[good], tuple(columns))


def _csv_fields(line: str) -> list[str]:
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error:
        return [line]


def _read_people(path: Path, writer: DatasetWriter, progress: Progress | None) -> EntitiesWriter:
    table = writer.query_table(dict.fromkeys(("age", "gender", "occupation", "zip_code"), pa.string()))
    for rows in read_fields(path, "::", 5, writer.issues, progress):
        ids, genders, ages, occupations, zip_codes = (column.to_pylist() for column in rows.columns)
        new = np.flatnonzero(table.choose(rows.source, ids))
        table.add(
            {
                "user_id": [ids[row] for row in new],
                "age": [_AGES.get(ages[row], ages[row]) or None for row in new],
                "gender": [genders[row] or None for row in new],
                "occupation": [_occupation(occupations[row]) for row in new],
                "zip_code": [zip_codes[row] or None for row in new],
            }
        )
    table.finish()
    return table


def _occupation(code: str) -> str | None:
    known = code.isdecimal() and int(code) < len(_OCCUPATIONS)
    return _OCCUPATIONS[int(code)] if known else code or None
