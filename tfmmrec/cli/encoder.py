"""`tfmmrec encoder`: pretrained encoders as reusable SavedModels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tfmmrec.cli.output import Json, console

encoder = typer.Typer()


@encoder.command()
def export(
    source: Annotated[
        str,
        typer.Argument(
            help="A KerasHub preset, a checkpoint's directory, applications:NAME (as applications:ResNet50), or a "
            "TF-Hub handle or directory.",
            show_default=False,
        ),
    ],
    to: Annotated[Path, typer.Option(help="The folder of the SavedModel.", show_default=False)],
    half: Annotated[
        str | None,
        typer.Option(help="text or image, of a checkpoint that reads both, as CLIP's.", show_default=False),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="For applications:NAME: the file of its weights (.weights.h5 or .h5).", show_default=False),
    ] = None,
    untrained: Annotated[bool, typer.Option("--untrained", help="Random weights will do.")] = False,
    pooling: Annotated[
        str | None,
        typer.Option(help="mean, cls or max of tokens or cells; the checkpoint's own by default.", show_default=False),
    ] = None,
    max_length: Annotated[
        int | None,
        typer.Option(
            help="Tokens read of a text (bytes, by TF-Hub models); the checkpoint's own by default.", show_default=False
        ),
    ] = None,
    image_size: Annotated[
        int | None,
        typer.Option(help="Pixels in height and width; the network's own by default.", show_default=False),
    ] = None,
    num_frames: Annotated[
        int | None,
        typer.Option(help="Frames seen of a video, by TF-Hub models of clips; 16 by default.", show_default=False),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an exported encoder that is there.")] = False,
    json: Json = False,
) -> dict[str, Any]:
    """Write a pretrained encoder as a reusable SavedModel, which models take with --set pretrained.

    It takes texts, or the bytes of pictures or videos, as they are: words are split and pictures resized inside.
    """
    from tfmmrec.pretrained.export_request import ExportRequest
    from tfmmrec.pretrained.run_export import run_export

    request = ExportRequest(
        source=source,
        half=half,
        weights=None if weights is None else str(weights),
        untrained=untrained,
        pooling=pooling,
        max_length=max_length,
        image_size=image_size,
        num_frames=num_frames,
    )
    notes = console(stderr=True)
    card = run_export(request, to, overwrite, lambda text: notes.print(f"{text} ...", markup=False, soft_wrap=True))
    out = console()
    out.print(f"Wrote {to}", markup=False, style="bold", soft_wrap=True)
    reads = {"text": "texts", "image": "pictures", "video": "videos"}[card["input_kind"]]
    out.print(f"{card['network']}: {reads} -> vectors of {card['dim']}, {card['num_weights']:,} weights", markup=False)
    return {"path": str(to), **card}
