"""The embedded catalogue `fashion`: garments, shoppers and what they chose, generated, with a known answer.

    folder/
        dataset.yaml            what the tables mean
        items.csv               garment_id, title, description, picture, type, brand, price
        queries.csv             shopper_id, age_group, region
        train.parquet           shopper_id, garment_id; the cold garments are absent from it
        test.parquet            the same columns: every choice of a cold garment, a fifth of the others
        pictures/<garment_id>.png   64 x 64
        oracle.npz              the true taste, in the row order of the tables; no model reads it
        fashion.json            what made the folder; written last, so that a folder with it is complete

What a shopper likes depends on the look (type, colour, pattern: in the picture), on the words (fabric,
occasion, season: in the description) and on plain popularity (the brand's fame and the garment's own appeal),
in the shares that `fashion_taste.VARIANCE_SHARES` fixes. Age group and region shift the taste a little. Of
the garments 15% are cold, 5% have no picture, 5% no description, .5% no price.

Because the taste is known, so is the best ranking. Every choice of a cold garment is in the test, but only a
fifth of the warm ones: the oracle is the best ranking of warm garments, and of cold ones, and knows of no
such difference when it ranks both together.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from tfmmrec.data import fashion_taste as taste
from tfmmrec.data.fashion_oracle import Oracle, load_oracle
from tfmmrec.data.fashion_pictures import COLOURS, PATTERNS, render_garment
from tfmmrec.data.fashion_shapes import TYPES
from tfmmrec.data.fashion_words import FABRICS, OCCASIONS, SEASONS, describe_garment, name_garment
from tfmmrec.types import UsageError

__all__ = ["Oracle", "describe_garment", "load_oracle", "render_garment", "write_fashion"]

VERSION = 1
ATTRIBUTES = {
    "type": tuple(TYPES),
    "colour": tuple(COLOURS),
    "pattern": PATTERNS,
    "fabric": tuple(FABRICS),
    "occasion": tuple(OCCASIONS),
    "season": tuple(SEASONS),
}
BRANDS = (
    "Norrvik",
    "Tessaro",
    "Wexley",
    "Oda Studio",
    "Marlow",
    "Kitano",
    "Fable",
    "Lindqvist",
    "Casa Lume",
    "Peel",
)
AGE_GROUPS = ("18-24", "25-34", "35-44", "45-54", "55-64", "65+")
REGIONS = ("north", "south", "east", "west", "overseas")
MISSING_PICTURES = 0.05
MISSING_DESCRIPTIONS = 0.05
MISSING_PRICES = 0.005
_TYPE_PRICES = dict(zip(TYPES, (80, 55, 75, 45, 30, 60, 70, 160, 35, 110, 95, 40), strict=True))
_FABRIC_PRICES = dict(zip(FABRICS, (1.1, 1.2, 1.6, 1.0, 0.8, 1.7, 1.3, 0.9), strict=True))

_DATASET_YAML = """\
# The embedded catalogue `fashion`. Garments that train.parquet does not have are the cold ones.
interactions: {train: train.parquet, test: test.parquet, query: shopper_id, candidate: garment_id}
candidates:
  path: items.csv
  id: garment_id
  display: [title, picture]
  features:
    title: {kind: text}
    description: {kind: text}
    picture: {kind: image}
    type: {kind: category}
    brand: {kind: category}
    price: {kind: number}
queries:
  path: queries.csv
  id: shopper_id
  history: {length: 50}
  features:
    age_group: {kind: category}
    region: {kind: category}
"""


def write_fashion(
    folder: str | Path,
    seed: int = 0,
    num_candidates: int = 2000,
    num_queries: int = 3000,
    num_interactions: int = 60_000,
) -> Path:
    """Writes the catalogue as a complete dataset folder, whole or not at all.

    Does nothing where the folder already holds the catalogue made with the same arguments. Takes about 10 s,
    and about 40 bytes for each pair of a query and a candidate while choices are drawn.

    Args:
        folder: where to; it must not exist, be empty, or hold this very catalogue.
        seed: the same seed gives the same files.
        num_candidates: garments, at least 100.
        num_queries: shoppers.
        num_interactions: choices, 5 to `num_candidates // 8` a shopper on average.

    Returns:
        The folder.

    Raises:
        UsageError: for numbers that do not fit together, or a folder that holds something else.
    """
    folder = Path(folder)
    made_by = {
        "catalogue": "fashion",
        "version": VERSION,
        "seed": seed,
        "num_candidates": num_candidates,
        "num_queries": num_queries,
        "num_interactions": num_interactions,
    }
    _check_numbers(num_candidates, num_queries, num_interactions)
    if _holds(folder, made_by):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        _write_tables(staging, made_by)
        (staging / "fashion.json").write_text(json.dumps(made_by, indent=1) + "\n")
        staging.chmod(0o755)
        os.replace(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return folder


def _check_numbers(num_candidates: int, num_queries: int, num_interactions: int) -> None:
    if num_candidates < 100:
        raise UsageError(f"num_candidates must be at least 100, got {num_candidates}")
    if num_queries < 1:
        raise UsageError(f"num_queries must be at least 1, got {num_queries}")
    low, high = taste.MIN_INTERACTIONS * num_queries, num_candidates // 8 * num_queries
    if not low <= num_interactions <= high:
        raise UsageError(
            f"num_interactions must be {low} to {high} for {num_queries} queries and "
            f"{num_candidates} candidates (5 to num_candidates // 8 a query), got {num_interactions}"
        )


def _holds(folder: Path, made_by: dict) -> bool:
    """Whether the folder is complete already; refuses one that holds something else."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    marker = folder / "fashion.json"
    if not marker.is_file():
        raise UsageError(f"{folder} exists and is not the catalogue `fashion`; pass an empty or a new folder")
    if (found := json.loads(marker.read_text())) != made_by:
        raise UsageError(f"{folder} was made with {found}, not with {made_by}; delete it or pass another folder")
    return True


def _write_tables(folder: Path, made_by: dict) -> None:
    seeds = np.random.SeedSequence(made_by["seed"]).spawn(5)
    garments, people, choosing, parting, missing = (np.random.default_rng(seed) for seed in seeds)
    num_candidates, num_queries = made_by["num_candidates"], made_by["num_queries"]

    codes = {name: garments.integers(len(levels), size=num_candidates) for name, levels in ATTRIBUTES.items()}
    attributes = {name: np.array(ATTRIBUTES[name])[codes[name]] for name in ATTRIBUTES}
    brands = garments.integers(len(BRANDS), size=num_candidates)
    ages = people.integers(len(AGE_GROUPS), size=num_queries)
    regions = people.integers(len(REGIONS), size=num_queries)
    groups = {"age_group": (ages, len(AGE_GROUPS)), "region": (regions, len(REGIONS))}
    affinities = taste.draw_affinities(codes, {n: len(v) for n, v in ATTRIBUTES.items()}, groups, people)
    fame, appeal = taste.draw_popularity(brands, len(BRANDS), people)

    one_hot = [np.eye(len(ATTRIBUTES[name]))[codes[name]] for name in ATTRIBUTES]
    candidate_vectors = np.concatenate([*one_hot, fame[:, None], appeal[:, None]], axis=1).astype(np.float32)
    liking = [affinities[name] for name in ATTRIBUTES]
    query_vectors = np.concatenate([*liking, np.ones((num_queries, 2))], axis=1).astype(np.float32)
    terms = [name for name, levels in ATTRIBUTES.items() for _ in levels] + ["brand", "garment"]

    limit = num_candidates // 4
    activity = taste.draw_activity(num_queries, made_by["num_interactions"], limit, people)
    chosen = taste.draw_choices(query_vectors @ candidate_vectors.T, activity, choosing)
    cold = np.zeros(num_candidates, bool)
    cold[parting.permutation(num_candidates)[: round(taste.COLD_FRACTION * num_candidates)]] = True
    train, test = taste.split_choices(chosen, cold, parting)

    items = _write_items(folder, attributes, brands, garments, missing)
    width = len(str(num_queries))
    shoppers = np.array([f"s{row:0{width}d}" for row in range(num_queries)])
    people_table = {
        "shopper_id": shoppers,
        "age_group": np.array(AGE_GROUPS)[ages],
        "region": np.array(REGIONS)[regions],
    }
    pd.DataFrame(people_table).to_csv(folder / "queries.csv", index=False, lineterminator="\n")
    for name, pairs in (("train", train), ("test", test)):
        table = {"shopper_id": shoppers[pairs[:, 0]], "garment_id": items[pairs[:, 1]]}
        pd.DataFrame(table).to_parquet(folder / f"{name}.parquet", index=False)
    (folder / "dataset.yaml").write_text(_DATASET_YAML)
    oracle = Oracle(query_vectors, candidate_vectors, np.array(terms), attributes, cold)
    oracle.save(folder / "oracle.npz")


def _write_items(
    folder: Path,
    attributes: dict[str, np.ndarray],
    brands: np.ndarray,
    rng: np.random.Generator,
    missing: np.random.Generator,
) -> np.ndarray:
    """Writes items.csv and the pictures; returns the garments' ids, `[num_candidates]` str."""
    count = len(brands)
    no_picture, no_description, no_price = (
        np.isin(np.arange(count), missing.choice(count, max(1, round(share * count)), replace=False))
        for share in (MISSING_PICTURES, MISSING_DESCRIPTIONS, MISSING_PRICES)
    )
    (folder / "pictures").mkdir()
    rows = []
    for row in range(count):
        type, colour, pattern, fabric, occasion, season = (str(attributes[name][row]) for name in ATTRIBUTES)
        garment = f"g{row:0{len(str(count))}d}"
        picture = render_garment(type, colour, pattern, rng)
        title, description = describe_garment(type, fabric, occasion, season, rng)
        if no_description[row]:
            title, description = name_garment(type, rng), ""
        path = "" if no_picture[row] else f"pictures/{garment}.png"
        if path:
            picture.save(folder / path)
        price = np.round(2.0 * _TYPE_PRICES[type] * _FABRIC_PRICES[fabric] * rng.lognormal(0.0, 0.25)) / 2.0
        price = "" if no_price[row] else f"{price:.2f}"
        rows.append((garment, title, description, path, type, BRANDS[brands[row]], price))
    columns = ["garment_id", "title", "description", "picture", "type", "brand", "price"]
    table = pd.DataFrame(rows, columns=columns)
    table.to_csv(folder / "items.csv", index=False, lineterminator="\n")
    return table["garment_id"].to_numpy()
