"""Reads `dataset.yaml`, and says what is wrong with it in the words of the file."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from tfmmrec.schema import Schema
from tfmmrec.types import DataError

DEFAULT_NAME = "dataset.yaml"
Model = TypeVar("Model", bound=BaseModel)


def read_schema(folder: str | Path, config: str | Path | None = None) -> Schema:
    """The schema of a dataset folder.

    Args:
        folder: the dataset's folder.
        config: another yaml than the folder's own `dataset.yaml`; the paths in it are relative to `folder`.

    Raises:
        DataError: no such folder or file, not yaml, or not a valid schema.
    """
    folder = Path(folder)
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "does not exist"
        raise DataError(f"{folder}: expected a dataset's folder, but it {found}")
    path = folder / DEFAULT_NAME if config is None else Path(config)
    if config is not None and not path.exists() and (folder / path).exists():
        path = folder / path
    if not path.is_file():
        if config is not None:
            raise DataError(f"{path}: no such config file; name a yaml file that exists")
        raise DataError(
            f"{path}: no such file; a dataset's folder explains itself by a {DEFAULT_NAME}. "
            f"`tfmmrec inspect {folder} --write {path}` proposes a first one"
        )
    return parse_schema(read_yaml(path), str(path))


def read_yaml(path: Path) -> Any:
    """The content of a yaml file.

    Raises:
        DataError: not UTF-8, not yaml, or yaml with tags that would make Python objects.
    """
    try:
        return read_yaml_text(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None


def read_yaml_text(text: str, source: str) -> Any:
    """The content of a yaml text; see `read_yaml`."""
    try:
        return yaml.safe_load(text)
    except yaml.constructor.ConstructorError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise DataError(
            f"{source}, line {line}: {error.problem}; a dataset is described by plain values, remove the tag"
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or error
        raise DataError(f"{source}{where}: not valid yaml: {problem}") from None


def parse_schema(content: Any, source: str = DEFAULT_NAME) -> Schema:
    """A schema from the content of a yaml file.

    Args:
        content: what the yaml holds.
        source: the file's name, for messages.

    Raises:
        DataError: names the file, and for every mistake its key, what was expected and what was found.
    """
    if not isinstance(content, Mapping):
        found = "nothing" if content is None else f"a {type(content).__name__}"
        raise DataError(f"{source}: expected the keys {_join(Schema.model_fields)}, found {found}")
    return validated(Schema, content, source)


def validated(model: type[Model], content: Mapping[str, Any], source: str) -> Model:
    """What a file holds, as a pydantic model.

    Args:
        model: its class.
        content: of the file.
        source: the file's name, for messages.

    Raises:
        DataError: as `parse_schema`.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problems = [_problem(problem, model) for problem in error.errors(include_url=False)]
    if len(problems) == 1:
        raise DataError(f"{source}: {problems[0]}")
    raise DataError(f"{source}: {len(problems)} mistakes:" + "".join(f"\n  {problem}" for problem in problems))


def _problem(problem: Mapping[str, Any], model: type[BaseModel]) -> str:
    place, kind, found = problem["loc"], problem["type"], problem["input"]
    if place[-1:] == ("[key]",):  # a key of a mapping
        place = place[:-2]
    key = ".".join(str(step) for step in place)
    message = problem["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        known = _known_keys(model, place[:-1])
        near = difflib.get_close_matches(str(place[-1]), known, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"known are {_join(known)}"
        inside = f"`{'.'.join(map(str, place[:-1]))}`" if place[:-1] else "the file"
        return f"unknown key `{place[-1]}` in {inside}; {hint}"
    if kind == "missing":
        return f"`{key}` is missing; add it"
    where = f"`{key}`: " if key else ""
    if kind == "value_error":
        return f"{where}{message}"
    near = difflib.get_close_matches(str(found), _choices(problem), n=1)
    return f"{where}{_expected(message)}, found {found!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def _expected(message: str) -> str:
    for start in ("Input should be a valid ", "Input should be "):
        if message.startswith(start):
            return f"expected {message.removeprefix(start)}"
    return message


def _choices(problem: Mapping[str, Any]) -> list[str]:
    if problem["type"] != "literal_error":
        return []
    return str(problem["ctx"]["expected"]).replace(" or ", ", ").replace("'", "").split(", ")


def _known_keys(model: Any, place: tuple) -> list[str]:
    """The keys of what stands at a place of a model."""
    for step in place:
        if isinstance(model, type) and issubclass(model, BaseModel):
            model = _inner(model.model_fields[step].annotation) if step in model.model_fields else None
        elif get_origin(model) is dict:
            model = get_args(model)[1]
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _inner(annotation: Any) -> Any:
    """The type of an optional field."""
    if get_origin(annotation) in (Union, UnionType):
        return next(kind for kind in get_args(annotation) if kind is not type(None))
    return annotation


def _join(names) -> str:
    return ", ".join(f"`{name}`" for name in names)
