"""`tfmmrec pretrain`: encoders that learn from a catalogue's contents before any interaction."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from tfmmrec.cli.output import Json, console, counted, table
from tfmmrec.cli.quiet import import_tensorflow
from tfmmrec.cli.settings import parse_settings
from tfmmrec.types import UsageError


def pretrain(
    dataset: Annotated[Path, typer.Argument(help="The dataset's folder.", show_default=False)],
    encoder: Annotated[
        list[str],
        typer.Option(
            metavar="[FEATURE=]DIR",
            help="An encoder that `tfmmrec encoder export` or `pretrain` wrote, and the text or picture it reads "
            "where the candidates have several; FEATURE=small begins with an untrained one of this library's. Two, of "
            "a text and of a picture, learn from each other.",
            show_default=False,
        ),
    ],
    to: Annotated[
        Path,
        typer.Option(
            help="The encoder's folder; of two encoders one that holds a folder for each, with the feature's name.",
            show_default=False,
        ),
    ],
    objective: Annotated[
        str | None,
        typer.Option(
            help="masked_token (a text), augmentation_pairs (a picture) or image_text (one of each): by the encoders "
            "when left out.",
            show_default=False,
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="At most so many; 20 by default.", show_default=False)] = None,
    batch_size: Annotated[int | None, typer.Option(help="Contents in a step; 64.", show_default=False)] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(help="Of the encoder; 5e-5, and 1e-3 of a small one.", show_default=False),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of what is held out, batches, masks.", show_default=False)] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Another option, see `tfmmrec zoo pretraining`; repeat for more.",
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Another yaml than the folder's dataset.yaml.", show_default=False)
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an encoder that is there.")] = False,
    json: Json = False,
) -> dict[str, Any]:
    """Train encoders on the contents of a catalogue, whose interactions need not be there; what comes out are encoders
    again.

    A tenth of the contents is held out: the epoch of least loss there is kept. Written whole or not at all.
    """
    from tfmmrec.data.config import read_schema
    from tfmmrec.pretraining.pretraining_options import PretrainingOptions

    flags = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "seed": seed}
    given = {name: value for name, value in flags.items() if value is not None}
    settings = parse_settings(set_ or [])
    if twice := sorted(set(settings) & set(given)):
        raise UsageError(f"{twice[0]} is given by --set and by its own flag; leave one out")
    options = PretrainingOptions(**settings, **given)
    encoders = encoders_of(encoder)
    read_schema(dataset, config)
    import_tensorflow()
    from tfmmrec.callbacks.stage_bar import StageBar
    from tfmmrec.data.dataset import load_dataset
    from tfmmrec.pretraining.contents import load_catalogue
    from tfmmrec.pretraining.pretrain import pretrain as run

    notes = console(stderr=True)

    def told(epoch) -> None:
        notes.print(
            f"epoch {epoch.number}: loss {epoch.train_loss:.4f}, of what is held out {epoch.valid_loss:.4f}",
            markup=False,
        )

    found = (load_catalogue if options.with_cold else load_dataset)(dataset, config)
    done = run(found, encoders, to, objective, options, overwrite, StageBar(), told)
    for issue in found.candidates.issues:
        notes.print(f"Note: {issue}", markup=False, soft_wrap=True)
    before, best, contents = done.fitted.epochs[0], done.fitted.best, done.contents
    out = console()
    out.print(
        f"{done.objective}: learned from {counted(done.fitted.num_train, 'content', 'contents')}, "
        f"{done.fitted.num_valid:,} held out; of {counted(contents.num_candidates, 'candidate', 'candidates')} "
        f"{contents.num_absent:,} have none that can be read, {contents.num_repeated:,} repeat another's.",
        markup=False,
        soft_wrap=True,
    )
    rows = [["guessing", done.fitted.chance, None], ["before", before.valid_loss, before.valid_accuracy]]
    if best is not before:
        rows.append([f"epoch {best.number}", best.valid_loss, best.valid_accuracy])
    out.print(table(["of what is held out", "loss", "found"], rows, numbers=[1, 2]))
    if best is before:
        out.print(
            "In no epoch has the loss fallen below what it was: the encoders are written as they came.",
            markup=False,
            soft_wrap=True,
        )
    wrote = ", ".join(f"{feature}: {folder}" for feature, folder in done.folders.items())
    out.print(
        f"Wrote {to}. Next: tfmmrec train {dataset} --run RUN --set 'pretrained={{{wrote}}}'",
        markup=False,
        soft_wrap=True,
    )
    return {
        "objective": done.objective,
        "encoders": done.folders,
        "num_train": done.fitted.num_train,
        "num_valid": done.fitted.num_valid,
        "num_absent": contents.num_absent,
        "num_repeated": contents.num_repeated,
        "chance": done.fitted.chance,
        "best": best.number,
        "epochs": [vars(epoch) for epoch in done.fitted.epochs],
    }


def encoders_of(texts: Sequence[str]) -> dict[str, str]:
    """`["title=encoders/bert"]` as a mapping; "" stands for the feature of a text without `=`.

    Raises:
        UsageError: a feature without an encoder, or one that stands there twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        feature, sign, folder = text.partition("=")
        feature, folder = (feature, folder) if sign else ("", text)
        if not folder or (sign and not feature):
            raise UsageError(f"--encoder {text}: expected FEATURE=DIR, FEATURE=small or DIR")
        if feature in found:
            raise UsageError(f"two encoders are given for {feature or 'one feature'}; name a feature for each")
        found[feature] = folder
    return found
