"""`tfmmrec index`: other candidates for a model in service, without training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tfmmrec.cli import policy_options as options
from tfmmrec.cli.output import Json, console
from tfmmrec.cli.push_report import report_push
from tfmmrec.cli.quiet import import_tensorflow
from tfmmrec.types import UsageError

if TYPE_CHECKING:
    from tfmmrec.serving.refreshed_assets import Refreshed


def index(
    model: Annotated[str, typer.Argument(help="BASE/NAME with versions, or an export.", show_default=False)],
    candidates: Annotated[
        Path | None,
        typer.Option(
            help="A table of new or changed candidates, with the dataset's columns; pictures relative to its folder.",
            show_default=False,
        ),
    ] = None,
    remove: Annotated[
        Path | None,
        typer.Option(help="Ids that shall go: one a line, or a table's column of ids.", show_default=False),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(help="Write a plain export there, and publish nothing.", show_default=False),
    ] = None,
    dataset: Annotated[
        Path | None,
        typer.Option(help="Measure with this dataset's test, not with the queries it carries.", show_default=False),
    ] = None,
    policy: options.PolicyFile = None,
    min_recall: options.MinRecall = None,
    min_coverage: options.MinCoverage = None,
    max_loss: options.MaxLoss = None,
    max_latency_ratio: options.MaxLatencyRatio = None,
    max_p99_ms: options.MaxP99Ms = None,
    max_size_ratio: options.MaxSizeRatio = None,
    force: options.Force = False,
    json: Json = False,
) -> dict[str, Any]:
    """Give a published model new, changed or fewer candidates.

    The version in service is read, and what comes of it is published as the next one. The model's own encoders read the
    pictures, texts and the like; nothing is trained, and what has not changed is not encoded again. Like every push it
    is measured and compared with the version in service first.
    """
    from tfmmrec.serving.paths import is_remote, model_folder, writing

    if is_remote(model):
        import_tensorflow()  # which reads it
    folder = model_folder(model)
    if to is None and folder == model:
        raise UsageError(f"{model}: is one model and no folder of versions; say where the refreshed one goes: --to DIR")
    if to is not None and (dataset is not None or force):
        raise UsageError("--dataset and --force are for what is published; with --to nothing is measured")
    wanted = options.policy_of(
        policy, min_recall, min_coverage, max_loss, max_latency_ratio, max_p99_ms, max_size_ratio
    )
    import_tensorflow()
    from tfmmrec.callbacks.stage_bar import StageBar

    if to is not None:
        from tfmmrec.serving.refresh import refresh_index

        with writing(to) as place:
            done = refresh_index(folder, place, candidates, remove, StageBar())
        _report(done)
        console().print(f"Wrote {to}", markup=False, style="bold", soft_wrap=True)
        return {"path": to, **_described(done)}
    from tfmmrec.serving.push_index import push_index

    done, pushed = push_index(model, candidates, remove, wanted, force, dataset, StageBar())
    _report(done)
    return {**report_push(pushed, model), **_described(done), "notes": [*done.notes, *pushed.notes]}


def _report(done: Refreshed) -> None:
    out = console()
    out.print(
        f"{done.num_candidates:,} candidates: {done.added:,} new, {done.changed:,} changed, {done.removed:,} removed; "
        f"{done.encoded:,} encoded, {done.unchanged:,} given again as they were",
        markup=False,
        soft_wrap=True,
    )
    for line in [*map(str, done.issues), *done.notes]:
        out.print(line, markup=False, soft_wrap=True)


def _described(done: Refreshed) -> dict[str, Any]:
    return {**done.counts(), "issues": [str(issue) for issue in done.issues], "notes": done.notes}
