"""The settings of a model that is built by another one's builder."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, get_type_hints


def inherits_settings(builder: Callable[..., Any], without: Sequence[str] = ()) -> Callable[[Callable], Callable]:
    """A decorator: `**settings` of a function are, by name, type and default, those of another.

    The zoo reads a model's hyperparameters from the signature of what builds it, and what they mean from its docstring,
    then from the one of `settings_from`.

    Args:
        builder: whose keyword-only parameters they are.
        without: those that the function sets itself.
    """

    def decorate(build: Callable) -> Callable:
        signature = inspect.signature(build)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        taken = {p.name for p in own} | set(without)
        others = [p for p in inspect.signature(builder).parameters.values() if p.kind is p.KEYWORD_ONLY]
        others = [p for p in others if p.name not in taken]
        types = get_type_hints(builder)
        build.__annotations__ = get_type_hints(build) | {p.name: types[p.name] for p in others}
        build.__signature__ = signature.replace(parameters=[*own, *others])
        build.settings_from = builder
        return build

    return decorate
