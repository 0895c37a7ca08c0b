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
in the shares of `DESIGN`. Age group and region shift the taste a little. Of the garments 15% are cold, 5% have no
picture, 5% no description, .5% no price.

Because the taste is known, so is the best ranking. Every choice of a cold garment is in the test, but only a
fifth of the warm ones: the oracle is the best ranking of warm garments, and of cold ones, and knows of no
such difference when it ranks both together. Measured with the default sizes and seed, the choices of train left
out of the ranking, as NDCG@20 and its share of the best ranking's:

                                             warm, among all garments    cold, among the cold
    random                                   .005 ( 1%)                  .033 ( 5%)
    most popular                             .077 (16%)                  .031 ( 4%)
    EASE (l2 150)                            .309 (66%)                  .031 ( 4%)
    true attributes, ridge on the history    .167 (35%)                  .397 (55%)
    true attributes, softmax on the history  .329 (70%)                  .511 (70%)
    true taste without popularity            .277 (59%)                  .560 (77%)
    true taste: the best ranking             .471                        .726
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from tfmmrec.data.fashion_pictures import COLOURS, PATTERNS, render_garment
from tfmmrec.data.fashion_shapes import TYPES
from tfmmrec.data.fashion_words import FABRICS, OCCASIONS, SEASONS, describe_garment, name_garment
from tfmmrec.data.generated_catalogue import Design, Drawn, numbered, some_rows, write_catalogue
from tfmmrec.data.oracle import Oracle, load_oracle

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
DESIGN = Design(
    name="fashion",
    query_id="shopper_id",
    candidate_id="garment_id",
    attributes=ATTRIBUTES,
    makers=(
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
    ),
    groups={
        "age_group": ("18-24", "25-34", "35-44", "45-54", "55-64", "65+"),
        "region": ("north", "south", "east", "west", "overseas"),
    },
    shares={
        "look": {"type": 0.15, "colour": 0.18, "pattern": 0.12},
        "words": {"fabric": 0.12, "occasion": 0.12, "season": 0.06},
    },
    popularity={"brand": 0.15, "garment": 0.10},
)
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
    made_by = {
        "version": VERSION,
        "seed": seed,
        "num_candidates": num_candidates,
        "num_queries": num_queries,
        "num_interactions": num_interactions,
    }
    return write_catalogue(folder, DESIGN, made_by, _DATASET_YAML, _write_items)


def _write_items(folder: Path, drawn: Drawn, rng: np.random.Generator, missing: np.random.Generator) -> np.ndarray:
    """Writes items.csv and the pictures; returns the garments' ids, `[num_candidates]` str."""
    count = len(drawn.makers)
    shares = (MISSING_PICTURES, MISSING_DESCRIPTIONS, MISSING_PRICES)
    no_picture, no_description, no_price = (some_rows(count, share, missing) for share in shares)
    (folder / "pictures").mkdir()
    rows = []
    for row, garment in enumerate(numbered("g", count)):
        type, colour, pattern, fabric, occasion, season = (str(drawn.attributes[name][row]) for name in ATTRIBUTES)
        picture = render_garment(type, colour, pattern, rng)
        title, description = describe_garment(type, fabric, occasion, season, rng)
        if no_description[row]:
            title, description = name_garment(type, rng), ""
        path = "" if no_picture[row] else f"pictures/{garment}.png"
        if path:
            picture.save(folder / path)
        price = np.round(2.0 * _TYPE_PRICES[type] * _FABRIC_PRICES[fabric] * rng.lognormal(0.0, 0.25)) / 2.0
        price = "" if no_price[row] else f"{price:.2f}"
        rows.append((garment, title, description, path, type, drawn.makers[row], price))
    columns = ["garment_id", "title", "description", "picture", "type", "brand", "price"]
    table = pd.DataFrame(rows, columns=columns)
    table.to_csv(folder / "items.csv", index=False, lineterminator="\n")
    return table["garment_id"].to_numpy()
