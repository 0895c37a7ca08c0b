"""The options of commands that export, of the index."""

from __future__ import annotations

from typing import Annotated

import typer

Kind = Annotated[
    str,
    typer.Option(help="auto, exact (scores all candidates), ivf (those of the nearest cells), scann (own servers)."),
]
Cells = Annotated[
    int | None, typer.Option(help="Cells of ivf or scann; twice the root of the candidates by default.", min=1)
]
Probes = Annotated[
    int | None, typer.Option(help="Cells a query reads; by default as many as --index-recall needs.", min=1)
]
Dtype = Annotated[
    str, typer.Option(help="int8, bfloat16 or float32: the vectors in the cells. Scores are exact all the same.")
]
Recall = Annotated[
    float, typer.Option(help="How much of the exact best 100 the dataset's queries shall find.", min=0.01, max=1)
]
