"""`tfmmrec zoo`: the models and the parts they are built from."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any

import typer

from tfmmrec.cli.output import Json, console, table
from tfmmrec.cli.quiet import import_tensorflow
from tfmmrec.types import UsageError

# What counts as one of its kind among the public names of a package.
_PACKAGES: dict[str, tuple[str, Callable[[str, Any], bool]]] = {
    "fusions": ("tfmmrec.fusion", lambda name, value: name.endswith("Fusion")),
    "encoders": ("tfmmrec.encoders", lambda name, value: name.endswith("Encoder") and name != "Encoder"),
    "losses": ("tfmmrec.losses", lambda name, value: value.__module__.endswith(f".{name}")),
    "alignments": ("tfmmrec.alignment", lambda name, value: True),
}
_CITATION = re.compile(r"[A-Z][\w-]+(?: et al\.| (?:&|and) [A-Z][\w-]+)?,? \(?(?:19|20)\d\d\b")


def zoo(
    part: Annotated[
        str | None,
        typer.Argument(
            help="models, fusions, encoders, losses or alignments; or a model or pretraining, for its settings; all "
            "when left out.",
            show_default=False,
        ),
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="As tables in Markdown.")] = False,
    json: Json = False,
) -> dict[str, list[dict[str, Any]]]:
    """List the models and their parts: paper, needs, and when to use which.

    The name of a model is what `tfmmrec train --model` takes, and its settings are those of `--set`; the name of a part
    is a class or function of the library.
    """
    import_tensorflow()
    names = [part] if part else ["models", *_PACKAGES]
    answer = {name: _models() if name == "models" else _parts_or_settings(name) for name in names}
    for name, entries in answer.items():
        rows = [[_cell(value) for value in entry.values()] for entry in entries]
        if markdown:
            text = _markdown(list(entries[0]), rows)
            console().print(text if part else f"### {name}\n\n{text}\n", markup=False, highlight=False, soft_wrap=True)
        else:
            console().print(table(list(entries[0]), rows, title=name))
    return answer


def _markdown(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _cell(value: str | list[str]) -> str:
    return ", ".join(value) if isinstance(value, list) else value


def _models() -> list[dict[str, Any]]:
    from tfmmrec.zoo import ZOO

    return [
        {"name": name, "kind": entry.kind, "paper": entry.paper, "needs": entry.needs, "when": entry.when}
        for name, entry in ZOO.items()
    ]


def _parts_or_settings(name: str) -> list[dict[str, Any]]:
    from tfmmrec.model_settings import settings_of, settings_of_options
    from tfmmrec.zoo import ZOO

    if name in _PACKAGES:
        return _parts(name)
    if name in ZOO or name == "pretraining":
        from tfmmrec.pretraining.pretraining_options import PretrainingOptions

        found = settings_of(name) if name in ZOO else settings_of_options(PretrainingOptions())
        return [{"setting": s.name, "default": s.default, "what": s.what} for s in found]
    near = difflib.get_close_matches(name, [*ZOO, "models", "pretraining", *_PACKAGES], n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    have = f"models, {', '.join(_PACKAGES)}, pretraining"
    raise UsageError(f"zoo has {have}, or the settings of a model, but no {name!r}{hint}")


def _parts(kind: str) -> list[dict[str, Any]]:
    package, belongs = _PACKAGES[kind]
    module = import_module(package)
    found = [(name, getattr(module, name)) for name in module.__all__]
    return [_describe(name, value) for name, value in found if belongs(name, value)]


def _describe(name: str, part: Any) -> dict[str, Any]:
    text = inspect.cleandoc(part.__doc__)
    papers = dict.fromkeys(" ".join(match.replace("(", "").split()) for match in _CITATION.findall(text))
    required = [
        parameter.name
        for parameter in inspect.signature(part).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    return {
        "name": name,
        "what": " ".join(text.split("\n\n")[0].split()),
        "needs": required,
        "paper": list(papers),
    }
