"""`tfmmrec embed`: a catalogue through a pretrained encoder, ahead of its trainings."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from tfmmrec.cli.output import Json, console
from tfmmrec.cli.quiet import import_tensorflow


def embed(
    dataset: Annotated[Path, typer.Argument(help="The dataset's folder.", show_default=False)],
    encoder: Annotated[
        str, typer.Option(help="TF-Hub handle or directory of the encoder, see `tfmmrec encoder`.", show_default=False)
    ],
    feature: Annotated[
        str | None,
        typer.Option(help="The text or picture it reads, where the candidates have several.", show_default=False),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Another yaml than the folder's dataset.yaml.", show_default=False)
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(
            help="Where stores are kept, if not where $TFMMREC_STORE says, or in ~/.cache/tfmmrec/store: trainings "
            "look there.",
            show_default=False,
        ),
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Keep float16: half of the disk (store_dtype=float16).")] = False,
    json: Json = False,
) -> dict[str, Any]:
    """Encode what the feature store does not have yet: trainings, evaluations and exports then read it from there.

    Equal contents are encoded once, and a changed one anew. Killed, it goes on where it was.
    """
    from tfmmrec.data.config import read_schema

    read_schema(dataset, config)
    import_tensorflow()
    from tfmmrec.bulk_embedding import embed_catalogue
    from tfmmrec.callbacks.stage_bar import StageBar
    from tfmmrec.data.dataset import load_dataset

    found = embed_catalogue(
        load_dataset(dataset, config), encoder, feature, store, "float16" if half else "float32", StageBar()
    )
    console().print(
        f"{found.feature}: {found.num_candidates:,} candidates with {found.num_contents:,} different contents, "
        f"{found.num_new:,} of them encoded now; {found.num_absent:,} candidates have none that could be read.\n"
        f"Vectors of {found.dim} numbers in {found.store}",
        markup=False,
        soft_wrap=True,
    )
    return dataclasses.asdict(found)
