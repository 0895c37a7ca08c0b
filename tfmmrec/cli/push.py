"""`tfmmrec push`: a run's model as the next version under a name, once it has proved itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tfmmrec.cli import index_options
from tfmmrec.cli import policy_options as options
from tfmmrec.cli.first_checks import check_run
from tfmmrec.cli.output import Json
from tfmmrec.cli.push_report import report_push
from tfmmrec.cli.quiet import import_tensorflow


def push(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run.", show_default=False)],
    to: Annotated[str, typer.Option(help="BASE/NAME: where its versions lie.", show_default=False)],
    dataset: Annotated[
        Path | None,
        typer.Option(help="Index and measure with this dataset, not with that trained on.", show_default=False),
    ] = None,
    retriever: Annotated[
        Path | None,
        typer.Option(
            help="For a ranking model: the run of the retrieval model whose best candidates it orders.",
            show_default=False,
        ),
    ] = None,
    index: index_options.Kind = "auto",
    index_cells: index_options.Cells = None,
    index_probes: index_options.Probes = None,
    index_dtype: index_options.Dtype = "int8",
    index_recall: index_options.Recall = 0.95,
    policy: options.PolicyFile = None,
    min_recall: options.MinRecall = None,
    min_coverage: options.MinCoverage = None,
    max_loss: options.MaxLoss = None,
    max_latency_ratio: options.MaxLatencyRatio = None,
    max_p99_ms: options.MaxP99Ms = None,
    max_size_ratio: options.MaxSizeRatio = None,
    force: options.Force = False,
    without_evaluation: Annotated[
        bool, typer.Option("--without-evaluation", help="Do not publish the queries it was measured with.")
    ] = False,
    json: Json = False,
) -> dict[str, Any]:
    """Publish a run's model as the next version under a name, if it proves itself.

    It is exported where no server looks, asked as a client would ask it, compared with the version in service, loaded
    in a fresh process and sent its warmup requests. A refusal says what fell short, and the exit code is 1.
    """
    check_run(run, retriever, dataset)
    wanted = options.policy_of(
        policy, min_recall, min_coverage, max_loss, max_latency_ratio, max_p99_ms, max_size_ratio
    )
    import_tensorflow()
    from tfmmrec.callbacks.stage_bar import StageBar
    from tfmmrec.search.index_settings import IndexSettings
    from tfmmrec.serving.push import push_run

    settings = IndexSettings(index, index_cells, index_probes, index_dtype, index_recall)
    kept = not without_evaluation
    pushed = push_run(run, to, wanted, force, dataset, retriever, StageBar(), kept, index=settings)
    return report_push(pushed, to)
