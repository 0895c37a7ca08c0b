"""`tfmmrec inspect`: what a dataset holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tfmmrec.cli.output import Json, Refusal, console, table
from tfmmrec.types import UsageError

if TYPE_CHECKING:
    from tfmmrec.data.inspection import InspectedFeature, InspectedSide, Inspection


def inspect(
    dataset: Annotated[Path, typer.Argument(help="The dataset's folder.", show_default=False)],
    config: Annotated[
        Path | None, typer.Option(help="Another yaml than the folder's dataset.yaml.", show_default=False)
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(help="Save a first dataset.yaml, proposed from the tables, as this file.", show_default=False),
    ] = None,
    json: Json = False,
) -> dict[str, Any]:
    """Show what a dataset holds: counts, missing values, bad pictures, ids without a row, duplicates.

    Where the folder has no dataset.yaml, a first one is proposed and used. Nothing is written without
    --write, and no file is ever overwritten. Where not one file of a feature can be read, the exit code is 2.
    """
    from tfmmrec.data.inspection import inspect_dataset
    from tfmmrec.data.proposal import propose_schema

    if write is not None:
        _check_free(write)
    found = inspect_dataset(dataset, config)
    answer = found.to_dict()
    if write is not None:
        answer["proposal"] = found.proposal or propose_schema(dataset)
        with write.open("x", encoding="utf-8") as file:
            file.write(answer["proposal"])
        answer["written"] = str(write)
    _show(found, answer)
    if unreadable := _unreadable(found):
        raise Refusal("\n".join(unreadable), answer, is_bad_input=True)
    return answer


def _unreadable(found: Inspection) -> list[str]:
    """The features of pictures, sounds or videos of which there are files and not one can be read."""
    lines = []
    for name, side in (("candidates", found.candidates), ("queries", found.queries)):
        for feature, own in side.features.items():
            num_files = side.num_rows - own.num_missing
            if num_files and sum(own.unusable.values()) == num_files:
                faults = ", ".join(f"{count:,} {fault}" for fault, count in own.unusable.items())
                lines.append(
                    f"{name}, {feature}: none of {num_files:,} files can be read ({faults}); correct the feature's "
                    "column or kind in dataset.yaml, or the files"
                )
    return lines


def _check_free(path: Path) -> None:
    if path.exists():
        raise UsageError(f"--write {path}: the file exists and is not overwritten; name another, or remove it first")
    if not path.parent.is_dir():
        raise UsageError(f"--write {path}: no such folder as {path.parent}; make it first")


def _show(found: Inspection, answer: dict[str, Any]) -> None:
    out = console()
    out.print(_parts(found))
    for title, side in (("candidates", found.candidates), ("queries", found.queries)):
        out.print(f"{title}: {side.num_rows:,} from {side.source}", markup=False, style="bold")
        out.print(f"  {side.num_without_train:,} without an interaction before the test", markup=False)
        if side.features:
            out.print(_features(side))
    if found.num_cold_candidates:
        out.print(f"{found.num_cold_candidates:,} cold candidates, which no interaction of train has")
    if found.num_seen_in_test:
        out.print(f"{found.num_seen_in_test:,} rows of test are rows of train too, and are not asked for again")
    if found.issues:
        rows = [[issue.where, issue.kind, issue.count, issue.example] for issue in found.issues]
        out.print(table(["where", "what", "count", "the first"], rows, title="survived", numbers=[2]))
    else:
        out.print("Nothing wrong was found.")
    if "written" in answer:
        out.print(f"Wrote {answer['written']}. Read it and correct it.", markup=False)
    elif found.proposal is not None:
        out.print("There is no dataset.yaml; this one was used, and --write FILE saves it:\n", style="bold")
        out.print(found.proposal, markup=False, soft_wrap=True)


def _parts(found: Inspection):
    quantiles = list(next(iter(found.parts.values())).history_lengths)
    columns = ["part", "rows", "queries", "candidates", "duplicates", "density"]
    columns += quantiles
    rows = [
        [
            name,
            part.num_rows,
            part.num_queries,
            part.num_candidates,
            part.num_duplicates,
            f"{part.density:.3%}",
            *(int(value) for value in part.history_lengths.values()),
        ]
        for name, part in found.parts.items()
    ]
    return table(columns, rows, title="interactions, and how many of them a query has", numbers=range(1, len(columns)))


def _features(side: InspectedSide):
    rows = [
        [name, feature.kind, feature.num_missing, feature.num_distinct, _words(feature)]
        for name, feature in side.features.items()
    ]
    return table(["feature", "kind", "missing", "different", "such as"], rows, numbers=[2, 3])


def _words(feature: InspectedFeature) -> str:
    faults = [f"{count:,} {fault}" for fault, count in feature.unusable.items()]
    return "; ".join(faults) if faults else ", ".join(feature.examples)
