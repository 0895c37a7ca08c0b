"""What may be set of a model and of a training, and what each setting means, from the docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from tfmmrec.training_options import options_of
from tfmmrec.zoo import ZOO


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        name: as `--set` takes it.
        default: as YAML would have it.
        what: it means.
    """

    name: str
    default: str
    what: str


def settings_of(model: str) -> list[Setting]:
    """A model's hyperparameters in the order of its builder, then the options of its training, with the zoo's defaults.

    Args:
        model: a name of the zoo.
    """
    entry = ZOO[model]
    build = getattr(entry.build, "func", entry.build)
    meanings: dict[str, str] = {}
    source: Callable | None = build
    while source is not None:  # the nearest one counts
        meanings = described(source, "Args") | meanings
        source = getattr(source, "settings_from", None)
    parameters = inspect.signature(build).parameters
    settings = [
        Setting(name, _shown(parameters[name].default), meanings.get(name, "")) for name in entry.hyperparameters
    ]
    return settings + settings_of_options(options_of(model, {}))


def settings_of_options(options: BaseModel) -> list[Setting]:
    """The fields of options, whose class says under Attributes what each means, with the values as defaults."""
    meanings = described(type(options), "Attributes")
    return [Setting(name, _shown(value), meanings[name]) for name, value in options.model_dump().items()]


def described(part: Callable, heading: str) -> dict[str, str]:
    """Name -> what a docstring says of it under a heading such as Args."""
    text = inspect.cleandoc(part.__doc__ or "")
    section = re.search(rf"^{heading}:\n((?: +.*\n?|\n(?= ))*)", text, re.MULTILINE)
    entries: dict[str, str] = {}
    name = ""
    for line in section.group(1).splitlines() if section else []:
        begins = re.match(r" {4}(\w+): (.*)", line)
        if begins:
            name, entries[begins.group(1)] = begins.group(1), begins.group(2)
        elif re.match(r" {4}\S", line):
            name = ""  # such as **settings
        elif name:
            entries[name] = f"{entries[name]} {line.strip()}".strip()
    return entries


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(list(value)) if isinstance(value, tuple) else str(value)
