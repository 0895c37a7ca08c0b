"""`tfmmrec query`: asks an exported model, here or on a server."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tfmmrec.cli.output import Json, console, table
from tfmmrec.cli.quiet import import_tensorflow
from tfmmrec.types import UsageError

if TYPE_CHECKING:
    from tfmmrec.serving.answers import Answer


def query(
    model: Annotated[
        str | None,
        typer.Argument(help="An exported model, or a folder of its versions: the newest.", show_default=False),
    ] = None,
    query_id: Annotated[str | None, typer.Option(help="Who is asking.", show_default=False)] = None,
    history: Annotated[
        str | None, typer.Option(help="ID,ID: candidates chosen before, newest first.", show_default=False)
    ] = None,
    image: Annotated[Path | None, typer.Option(help="A picture of what is sought.", show_default=False)] = None,
    audio: Annotated[Path | None, typer.Option(help="A sound like what is sought.", show_default=False)] = None,
    video: Annotated[
        Path | None, typer.Option(help="A video or animation of what is sought.", show_default=False)
    ] = None,
    text: Annotated[str | None, typer.Option(help="What is sought, in words.", show_default=False)] = None,
    dataset: Annotated[
        Path | None, typer.Option(help="Look the query's features and history up here.", show_default=False)
    ] = None,
    feature: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE, of the query or of what is sought.", show_default=False)
    ] = None,
    exclude: Annotated[str | None, typer.Option(help="ID,ID: not to be recommended.", show_default=False)] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(help="FEATURE=VALUE: only candidates that have it, or another one allowed.", show_default=False),
    ] = None,
    deny: Annotated[
        list[str] | None, typer.Option(help="FEATURE=VALUE: no candidates that have it.", show_default=False)
    ] = None,
    cap: Annotated[
        int | None, typer.Option(help="At most so many of one value of the first category.", show_default=False)
    ] = None,
    min_score: Annotated[float | None, typer.Option(help="Leave lower scores out.", show_default=False)] = None,
    k: Annotated[int, typer.Option("--k", help="How many, 1 to 1000.")] = 10,
    server: Annotated[
        str | None,
        typer.Option(
            help="Ask the model at http://HOST:8501/v1/models/NAME or grpc://HOST:8500/NAME; MODEL, where given, tells "
            "what inputs mean and the titles.",
            show_default=False,
        ),
    ] = None,
    certificates: Annotated[
        Path | None, typer.Option(help="Root certificates (PEM) of an https or grpcs server.", show_default=False)
    ] = None,
    deadline: Annotated[float, typer.Option(help="Seconds that a server has to answer.")] = 10.0,
    json: Json = False,
) -> dict[str, Any]:
    """Ask an exported model: for a known query, for a history, or for content that nobody has seen.

    The text goes to every text feature, the picture to every image feature and so on; --feature sets single ones.
    --allow and --deny take categories and identifiers of candidates, and can be given several times. A
    server alone tells neither the kinds of features nor titles: name MODEL beside --server for these.
    """
    features = _features(feature or [])
    if not features and all(given is None for given in (query_id, history, image, audio, video, text)):
        raise UsageError("nothing is asked; give --query-id, --history, --image, --audio, --video, --text or --feature")
    if model is None and server is None:
        raise UsageError("no model is named; give the folder of an exported model, or --server URL")
    if certificates is not None and server is None:
        raise UsageError("--certificates are of a server; add --server URL, or leave them out")
    if model is None and any(given is not None for given in (image, audio, video, text, dataset)):
        raise UsageError(
            "a server does not tell which inputs are texts or pictures; name the model's folder beside --server, or "
            "give single inputs by --feature"
        )
    _check_folders(model, dataset)
    import_tensorflow()
    from tfmmrec.data.dataset import load_dataset
    from tfmmrec.serving.answers import answer

    loaded = _open(model, server, certificates, deadline)
    found = answer(
        loaded,
        query_id=query_id,
        history=None if history is None else _ids(history),
        image=image,
        audio=audio,
        video=video,
        text=text,
        features=features,
        exclude=_ids(exclude or ""),
        allow=allow or (),
        deny=deny or (),
        cap=cap,
        min_score=min_score,
        k=k,
        dataset=None if dataset is None else load_dataset(dataset),
    )
    _show(found)
    candidates = [{"rank": rank, **asdict(entry)} for rank, entry in enumerate(found.candidates, start=1)]
    return {"model": loaded.path, "source": found.source, "notes": found.notes, "candidates": candidates}


def _check_folders(model: str | None, dataset: Path | None) -> None:
    from tfmmrec.data.config import read_schema
    from tfmmrec.serving.paths import is_remote, model_folder

    if model is not None and (Path(model) / "dataset.yaml").is_file() and not (Path(model) / "saved_model.pb").exists():
        raise UsageError(
            f"{model}: is a dataset; train a run on it and export that: `tfmmrec train {model} --run RUN`, "
            "`tfmmrec export RUN`, then ask RUN/export"
        )
    if model is not None:
        if is_remote(model):
            import_tensorflow()  # which reads it
        model_folder(model)  # refuses a folder without a model
    if dataset is not None:
        read_schema(dataset)


def _open(model: str | None, server: str | None, certificates: Path | None, deadline: float) -> Any:
    """The exported model in this process, or the one on a server."""
    if server is None:
        from tfmmrec.serving.exported_model import load_exported

        return load_exported(model)
    from tfmmrec.serving.client import connect
    from tfmmrec.serving.described_model import read_description
    from tfmmrec.serving.remote_model import RemoteModel

    client = connect(server, deadline_seconds=deadline, root_certificates=certificates)
    return RemoteModel(client, None if model is None else read_description(model))


def _features(given: list[str]) -> dict[str, str]:
    for pair in given:
        if "=" not in pair:
            raise UsageError(f"--feature takes NAME=VALUE, got {pair!r}")
    pairs = [tuple(pair.split("=", 1)) for pair in given]
    twice = {name for name, _ in pairs if sum(name == other for other, _ in pairs) > 1}
    if twice:
        raise UsageError(
            f"--feature gives {', '.join(sorted(twice))} twice; several values stand in one, between commas"
        )
    return dict(pairs)


def _ids(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _show(found: Answer) -> None:
    out = console()
    for note in found.notes:
        out.print(note, markup=False, style="yellow", soft_wrap=True)
    if not found.candidates:
        return  # the notes say why
    names = list(dict.fromkeys(name for entry in found.candidates for name in entry.display))
    rows = [
        [rank, entry.candidate_id, *(entry.display.get(name) for name in names), entry.score]
        for rank, entry in enumerate(found.candidates, start=1)
    ]
    columns = ["", "id", *names, "score"]
    out.print(table(columns, rows, title=f"by {found.source}", numbers=[0, len(columns) - 1]))
