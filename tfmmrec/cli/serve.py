"""`tfmmrec serve`: a published model over gRPC and REST."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import threading
from pathlib import Path
from typing import Annotated, Any

import typer

from tfmmrec.cli.output import Json, console
from tfmmrec.serving.paths import WITHDRAWN
from tfmmrec.types import DataError, UsageError

_GRAPH = "saved_model.pb"
_MOST_NAMED = 3
RUNTIMES = ("auto", "binary", "docker", "development")


class _Stopped(BaseException):
    """The server is told to end before it serves anything; no handler of errors on the way takes it for one."""


def serve(
    model: Annotated[
        Path, typer.Argument(help="The folder of a model's versions, such as saved_models/NAME.", show_default=False)
    ],
    name: Annotated[
        str | None, typer.Option(help="The model's; the folder's when left out.", show_default=False)
    ] = None,
    runtime: Annotated[
        str,
        typer.Option(help="binary or docker (TensorFlow Serving), development (a small server), or auto: the first."),
    ] = "auto",
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Of REST.")] = 8501,
    grpc_port: Annotated[int, typer.Option(help="Of gRPC.")] = 8500,
    poll_seconds: Annotated[float, typer.Option(help="Between two looks for a new version.")] = 1.0,
    max_request_bytes: Annotated[int, typer.Option(help="Of one request; of the development server.")] = 64 << 20,
    max_batch_size: Annotated[int, typer.Option(help="Rows of one request; of the development server.")] = 1024,
    max_concurrency: Annotated[
        int, typer.Option(help="Requests answered at once, the others are refused; of the development server.")
    ] = 16,
    json: Json = False,
) -> dict[str, Any]:
    """Serve the newest version in a folder over gRPC and REST, and follow it as versions come and go.

    TensorFlow Serving itself is run where its binary or Docker with its image is here; else a small server that speaks
    the same protocol and is meant for development, which at Ctrl-C or SIGTERM finishes what is under way; while
    its first version is being loaded it leaves without it, within seconds.
    """
    if runtime not in RUNTIMES:
        raise UsageError(f"--runtime must be one of {', '.join(RUNTIMES)}, got {runtime!r}")
    _check_versions(model)
    name = name or model.resolve().name
    place = {"host": host, "port": port, "grpc_port": grpc_port, "poll_seconds": poll_seconds}
    server, why = (None, "") if runtime == "development" else _stock_server(runtime, model, name, place)
    if server is not None:
        return _run_stock(server, place, name)
    limits = {
        "max_request_bytes": max_request_bytes,
        "max_batch_size": max_batch_size,
        "max_concurrency": max_concurrency,
    }
    return _run_development(model, name, why, place | limits)


def _check_versions(model: Path) -> None:
    if model.name.isdecimal() and ((model / _GRAPH).is_file() or not model.exists()):
        raise UsageError(f"{model}: name the folder of the versions, not one of them: {model.parent}")
    if (model / _GRAPH).is_file():
        raise UsageError(
            f"{model}: is one model, and a server wants a folder of versions; make one by `tfmmrec push RUN --to "
            "saved_models/NAME`, or unchecked by `tfmmrec export RUN --to saved_models/NAME/1`; serve saved_models/NAME"
        )
    if (model / "config.json").is_file():
        raise UsageError(
            f"{model}: is a run, and a server wants a folder of versions; make one by `tfmmrec push {model} --to "
            "saved_models/NAME`, and serve saved_models/NAME"
        )
    push = f"`tfmmrec push RUN --to {model}` makes a model's first version"
    if not model.is_dir():
        raise DataError(f"{model}: no such folder{_did_you_mean(model.parent) or ';'} {push}")
    if _has_versions(model):
        return
    if _has_versions(model / WITHDRAWN):
        raise DataError(f"{model}: all versions are withdrawn; `tfmmrec rollback {model} --to VERSION` brings one back")
    near = _did_you_mean(model)
    raise DataError(f"{model}: holds no version, a folder with a number for a name{near or f'; {push}'}")


def _has_versions(folder: Path) -> bool:
    return folder.is_dir() and any(entry.name.isdecimal() for entry in folder.iterdir())


def _did_you_mean(base: Path) -> str:
    found = sorted({str(graph.parent.parent) for graph in base.glob(f"[!.]*/[0-9]*/{_GRAPH}")})
    return f"; did you mean {' or '.join(found[:_MOST_NAMED])}?" if found else ""


def _stock_server(runtime: str, model: Path, name: str, place: dict[str, Any]):
    """TensorFlow Serving, or None and why there is none."""
    from tfmmrec.serving.stock_server import binary_server, docker_server

    reasons = []
    for kind, find in {"binary": binary_server, "docker": docker_server}.items():
        if runtime in ("auto", kind):
            found = find(str(model), name, **place)
            if not isinstance(found, str):
                return found, ""
            reasons.append(found)
    if runtime != "auto":
        raise UsageError(f"--runtime {runtime}: {reasons[0]}")
    return None, "; ".join(reasons)


def _run_stock(server: Any, place: dict[str, Any], name: str) -> dict[str, Any]:
    from tfmmrec.serving.stock_server import run_stock_server

    _say(f"TensorFlow Serving ({server.kind}): {' '.join(server.command)}")
    if server.note:
        _say(f"Note: {server.note}.")
    _say(
        f"REST http://{place['host']}:{place['port']}/v1/models/{name}, gRPC grpc://{place['host']}:{place['grpc_port']}/{name}"
    )
    status = run_stock_server(server)
    if status:
        raise RuntimeError(f"TensorFlow Serving ended with status {status}")
    return {"runtime": server.kind, "command": server.command}


def _run_development(model: Path, name: str, why: str, options: dict[str, Any]) -> dict[str, Any]:
    missing = [module for module in ("fastapi", "uvicorn") if importlib.util.find_spec(module) is None]
    if missing:
        raise UsageError(f"the development server needs {' and '.join(missing)}: pip install 'tfmmrec[server]'")
    from tfmmrec.cli.quiet import import_tensorflow, open_session_quietly

    import_tensorflow()
    open_session_quietly()
    from tfmmrec.serving.development_server import DevelopmentServer, ServerOptions

    _say(f"The development server, not meant for production{f' ({why})' if why else ''}.")
    server = DevelopmentServer(os.fspath(model), name, ServerOptions(**options), report=_say)
    asked_to_stop = threading.Event()

    def stop(*_) -> None:
        is_first = not asked_to_stop.is_set()
        asked_to_stop.set()
        if is_first and server.versions.current is None:
            raise _Stopped  # out of the loading of the first version, which may take long

    earlier: dict[int, Any] = {}
    try:
        with contextlib.suppress(_Stopped):
            for number in (signal.SIGTERM, signal.SIGINT):
                earlier[number] = signal.signal(number, stop)
            server.start()
            state = "Ready" if server.versions.current is not None else "Waiting for a version that can be loaded"
            _say(f"{state}: REST {server.rest_url}, gRPC {server.grpc_url}")
            asked_to_stop.wait()
        was_serving = server.versions.current is not None or server.admission.num_answered
        _say("Finishing what is under way ..." if was_serving else "Nothing was served yet.")
        drained = server.stop()
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
    answered, refused = server.admission.num_answered, server.admission.num_refused
    _say(f"Stopped; {answered:,} requests answered, {refused:,} refused.")
    return {
        "runtime": "development",
        "rest": server.rest_url,
        "grpc": server.grpc_url,
        "num_answered": answered,
        "num_refused": refused,
        "drained": drained,
    }


def _say(text: str) -> None:
    out = console()
    out.print(text, markup=False, soft_wrap=True)
    out.file.flush()  # who waits for the line reads it through a pipe
