"""`tfmmrec export`: a run's model for TensorFlow Serving."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tfmmrec.cli import index_options
from tfmmrec.cli.first_checks import check_run
from tfmmrec.cli.output import Json, console, table
from tfmmrec.cli.quiet import import_tensorflow


def export(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run.", show_default=False)],
    to: Annotated[
        str | None,
        typer.Option(help="Where to, RUN/export by default; gs://... and the like work too.", show_default=False),
    ] = None,
    dataset: Annotated[
        Path | None,
        typer.Option(help="Index this dataset's candidates, not those trained on.", show_default=False),
    ] = None,
    retriever: Annotated[
        Path | None,
        typer.Option(
            help="For a ranking model: the run of the retrieval model whose best candidates it orders.",
            show_default=False,
        ),
    ] = None,
    without_evaluation: Annotated[
        bool,
        typer.Option(
            "--without-evaluation",
            help="Leave out the up to 2,000 queries of the test, with histories, that an export can be measured with.",
        ),
    ] = False,
    index: index_options.Kind = "auto",
    index_cells: index_options.Cells = None,
    index_probes: index_options.Probes = None,
    index_dtype: index_options.Dtype = "int8",
    index_recall: index_options.Recall = 0.95,
    json: Json = False,
) -> dict[str, Any]:
    """Write a run's model with all signatures and an index of its candidates, whole or not at all.

    A ranking model without a retriever scores the pairs it is sent, and recommends nothing by itself.

    An earlier export in the same place is replaced in one step; anything else is left alone.
    """
    check_run(run, retriever, dataset)
    import_tensorflow()
    from tfmmrec.callbacks.stage_bar import StageBar
    from tfmmrec.search.index_settings import IndexSettings
    from tfmmrec.serving.export import export_run
    from tfmmrec.serving.exported_model import read_extra

    settings = IndexSettings(index, index_cells, index_probes, index_dtype, index_recall)
    others = {"retriever": retriever, "evaluation": not without_evaluation, "index": settings}
    path = export_run(run, to, dataset, progress=StageBar(), **others)
    about, sizes, signatures = (read_extra(path, name) for name in ("model.json", "size.json", "signatures.json"))
    out = console()
    out.print(f"Wrote {path}", markup=False, style="bold", soft_wrap=True)
    out.print(f"{about['num_candidates']:,} candidates, {sizes['total_bytes'] / 2**20:.1f} MiB of arrays", markup=False)
    if about.get("index"):
        out.print("index: " + ", ".join(f"{name} {value}" for name, value in about["index"].items()), markup=False)
    rows = [[name, ", ".join(entry["required"]), len(entry["inputs"])] for name, entry in signatures.items()]
    out.print(table(["signature", "must have", "inputs"], rows, numbers=[2]))
    return {"path": str(path), **about, "total_bytes": sizes["total_bytes"], "signatures": list(signatures)}
