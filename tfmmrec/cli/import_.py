"""`tfmmrec import`: a public dataset, as a person downloaded it, into a dataset's folder."""

from __future__ import annotations

import difflib
import inspect
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tfmmrec.cli.output import Json, console, counted, table
from tfmmrec.types import UsageError

if TYPE_CHECKING:
    from tfmmrec.data.dataset_writer import Conversion

FORMATS = ("movielens", "amazon", "yelp", "mmrec")


def import_(
    format: Annotated[str, typer.Argument(help="movielens, amazon, yelp or mmrec.", show_default=False)],
    folder: Annotated[Path, typer.Argument(help="Where the unpacked download lies.", show_default=False)],
    to: Annotated[Path, typer.Option(help="The dataset's folder; new or empty.", show_default=False)],
    min_rating: Annotated[
        float | None,
        typer.Option(help="From which rating on an interaction is a choice; else every one is.", show_default=False),
    ] = None,
    core: Annotated[
        int | None,
        typer.Option(help="Leave only those with at least so many choices, again and again.", show_default=False),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="time (unless said), leave_one_out or ratio.", show_default=False)
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="A folder of pictures named by the candidates' ids; of Yelp, photos/.", show_default=False),
    ] = None,
    category: Annotated[
        str | None, typer.Option(help="Of Amazon, where the folder has several: Video_Games.", show_default=False)
    ] = None,
    json: Json = False,
) -> dict[str, Any]:
    """Turn a public dataset, as downloaded, into a dataset's folder that `tfmmrec train` takes.

    movielens: 1M, 10M (.dat); 20M, 25M, 32M, latest, latest-small (.csv). https://grouplens.org/datasets/movielens/

    amazon: Amazon Reviews 2023 (CATEGORY.jsonl.gz and meta_CATEGORY.jsonl.gz, https://amazon-reviews-2023.github.io)
    or 2018 (.json.gz), packed or not.

    yelp: yelp_academic_dataset_*.json, and photos.json and photos/ where they are there too. https://www.yelp.com/dataset

    mmrec: NAME.inter, image_feat.npy, text_feat.npy; its parts are kept. https://github.com/enoche/MMRec

    The folder is written whole or not at all. Pictures come along as hard links where the file system has them, else
    as copies. Lines that are broken are counted and left out. The data stay under their own terms, which dataset.yaml
    tells.
    """
    from tfmmrec.callbacks.stage_bar import StageBar

    convert = _converter(format)
    given = {"min_rating": min_rating, "core": core, "split": split, "images": images, "category": category}
    given = {name: value for name, value in given.items() if value is not None}
    for name in given:
        if name not in inspect.signature(convert).parameters:
            raise UsageError(f"--{name.replace('_', '-')} is not for {format}; leave it out")
    made = convert(folder, to, progress=StageBar(), **given)
    _show(made)
    return {
        "dataset": str(to),
        "num_interactions": made.num_interactions,
        "num_queries": made.num_queries,
        "num_candidates": made.num_candidates,
        "num_pictures": made.num_pictures,
        "issues": [vars(issue) for issue in made.issues],
    }


def _converter(format: str):
    if format not in FORMATS:
        near = difflib.get_close_matches(format.lower(), FORMATS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"no format {format!r}; there are {', '.join(FORMATS)}{hint}")
    return getattr(import_module(f"tfmmrec.data.{format}"), f"convert_{format}")


def _show(made: Conversion) -> None:
    out = console()
    counts = [
        counted(made.num_interactions, "interaction", "interactions"),
        counted(made.num_queries, "query", "queries"),
        counted(made.num_candidates, "candidate", "candidates"),
        *([counted(made.num_pictures, "picture", "pictures")] if made.num_pictures else []),
    ]
    out.print(f"Wrote {made.path}: {', '.join(counts)}.", markup=False, soft_wrap=True)
    if made.issues:
        rows = [[issue.where, issue.kind, issue.count, issue.example] for issue in made.issues]
        out.print(table(["where", "what", "count", "the first"], rows, title="survived", numbers=[2]))
    out.print(f"Next: tfmmrec train {made.path} --run RUN", markup=False, soft_wrap=True)
