"""What the embedded catalogues have in common: a folder written whole or not at all, and who chose what in it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tfmmrec.data import taste
from tfmmrec.data.oracle import Oracle
from tfmmrec.types import UsageError


@dataclass(frozen=True)
class Design:
    """What a catalogue is made of.

    Attributes:
        name: of the catalogue; NAME.json marks a complete folder.
        query_id: the column of the queries' ids, which begin with its first letter.
        candidate_id: the column of the candidates' ids.
        attributes: attribute of the candidates -> its levels.
        makers: those who made the candidates, and bring them fame.
        groups: feature of the queries -> its levels.
        shares: part of the taste -> attribute -> its share of the utility's variance.
        popularity: the maker's term and the candidate's own -> their shares.
    """

    name: str
    query_id: str
    candidate_id: str
    attributes: Mapping[str, Sequence[str]]
    makers: Sequence[str]
    groups: Mapping[str, Sequence[str]]
    shares: Mapping[str, Mapping[str, float]]
    popularity: Mapping[str, float]

    @property
    def parts(self) -> dict[str, tuple[str, ...]]:
        """Part of the taste -> its terms."""
        return {part: tuple(terms) for part, terms in (self.shares | {"popularity": self.popularity}).items()}


@dataclass(frozen=True)
class Drawn:
    """A catalogue's truth.

    Attributes:
        attributes: attribute -> `[num_candidates]` str.
        makers: `[num_candidates]` str.
        groups: feature of the queries -> `[num_queries]` str.
        train: `[rows, 2]` int64 of (query row, candidate row); none of a cold candidate.
        test: likewise: every choice of a cold candidate, a fifth of the others.
        oracle: the true taste.
    """

    attributes: dict[str, np.ndarray]
    makers: np.ndarray
    groups: dict[str, np.ndarray]
    train: np.ndarray
    test: np.ndarray
    oracle: Oracle


WriteCandidates = Callable[[Path, Drawn, np.random.Generator, np.random.Generator], np.ndarray]
"""Called with (folder, what was drawn, randomness of the candidates, and of what is missing): writes the candidates'
table and files, returns their ids `[num_candidates]`."""


def write_catalogue(
    folder: str | Path, design: Design, made_by: Mapping, dataset_yaml: str, write_candidates: WriteCandidates
) -> Path:
    """Writes a complete folder, whole or not at all; does nothing where it is there already, made in the same way.

    Args:
        folder: where to; it must not exist, be empty, or hold this very catalogue.
        design: of the catalogue.
        made_by: what the folder's content depends on: version, seed, num_candidates, num_queries, num_interactions.
        dataset_yaml: what the tables mean.
        write_candidates: see `WriteCandidates`.

    Returns:
        The folder.

    Raises:
        UsageError: for numbers that do not fit together, or a folder that holds something else.
    """
    folder, made_by = Path(folder), {"catalogue": design.name, **made_by}
    _check_numbers(made_by["num_candidates"], made_by["num_queries"], made_by["num_interactions"])
    if _holds(folder, design.name, made_by):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        seeds = np.random.SeedSequence(made_by["seed"]).spawn(5)
        candidates, queries, choosing, parting, missing = (np.random.default_rng(seed) for seed in seeds)
        drawn = draw_catalogue(design, made_by, candidates, queries, choosing, parting)
        _write_choices(staging, design, drawn, write_candidates(staging, drawn, candidates, missing))
        (staging / "dataset.yaml").write_text(dataset_yaml)
        (staging / f"{design.name}.json").write_text(json.dumps(made_by, indent=1) + "\n")
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


def _holds(folder: Path, name: str, made_by: dict) -> bool:
    """Whether the folder is complete already; refuses one that holds something else."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    marker = folder / f"{name}.json"
    if not marker.is_file():
        raise UsageError(f"{folder} exists and is not the catalogue `{name}`; pass an empty or a new folder")
    if (found := json.loads(marker.read_text())) != made_by:
        raise UsageError(f"{folder} was made with {found}, not with {made_by}; delete it or pass another folder")
    return True


def draw_catalogue(design: Design, numbers: Mapping, candidates, queries, choosing, parting) -> Drawn:
    """Draws candidates, queries and choices.

    Args:
        design: of the catalogue.
        numbers: num_candidates, num_queries and num_interactions.
        candidates: source of randomness of the candidates,
        queries: of the queries and their taste,
        choosing: of what they choose,
        parting: of what is cold, and what is test.
    """
    num_candidates, num_queries = numbers["num_candidates"], numbers["num_queries"]
    sizes = {name: len(levels) for name, levels in design.attributes.items()}
    codes = {name: candidates.integers(size, size=num_candidates) for name, size in sizes.items()}
    makers = candidates.integers(len(design.makers), size=num_candidates)
    members = {name: queries.integers(len(levels), size=num_queries) for name, levels in design.groups.items()}
    groups = {name: (rows, len(design.groups[name])) for name, rows in members.items()}
    affinities = taste.draw_affinities(codes, sizes, groups, design.shares, queries)
    own = tuple(design.popularity.values())
    fame, appeal = taste.draw_popularity(makers, len(design.makers), own, queries)

    one_hot = [np.eye(size)[codes[name]] for name, size in sizes.items()]
    candidate_vectors = np.concatenate([*one_hot, fame[:, None], appeal[:, None]], axis=1).astype(np.float32)
    liking = [affinities[name] for name in sizes]
    query_vectors = np.concatenate([*liking, np.ones((num_queries, 2))], axis=1).astype(np.float32)
    terms = [name for name, size in sizes.items() for _ in range(size)] + list(design.popularity)

    activity = taste.draw_activity(num_queries, numbers["num_interactions"], num_candidates // 4, queries)
    chosen = taste.draw_choices(query_vectors @ candidate_vectors.T, activity, choosing)
    cold = np.zeros(num_candidates, bool)
    cold[parting.permutation(num_candidates)[: round(taste.COLD_FRACTION * num_candidates)]] = True
    train, test = taste.split_choices(chosen, cold, parting)
    attributes = {name: np.array(levels)[codes[name]] for name, levels in design.attributes.items()}
    return Drawn(
        attributes,
        np.array(design.makers)[makers],
        {name: np.array(levels)[members[name]] for name, levels in design.groups.items()},
        train,
        test,
        Oracle(query_vectors, candidate_vectors, np.array(terms), design.parts, attributes, cold),
    )


def numbered(letter: str, count: int) -> np.ndarray:
    """Ids of one width: `["s00", "s01", …]`."""
    return np.array([f"{letter}{row:0{len(str(count))}d}" for row in range(count)])


def _write_choices(folder: Path, design: Design, drawn: Drawn, candidates: np.ndarray) -> None:
    """Writes queries.csv, train.parquet, test.parquet and oracle.npz."""
    queries = numbered(design.query_id[0], len(next(iter(drawn.groups.values()))))
    table = pd.DataFrame({design.query_id: queries, **drawn.groups})
    table.to_csv(folder / "queries.csv", index=False, lineterminator="\n")
    for name, pairs in (("train", drawn.train), ("test", drawn.test)):
        table = pd.DataFrame({design.query_id: queries[pairs[:, 0]], design.candidate_id: candidates[pairs[:, 1]]})
        table.to_parquet(folder / f"{name}.parquet", index=False)
    drawn.oracle.save(folder / "oracle.npz")


def some_rows(count: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Which rows lack something: a `share` of them, at least one, bool `[count]`."""
    return np.isin(np.arange(count), rng.choice(count, max(1, round(share * count)), replace=False))
