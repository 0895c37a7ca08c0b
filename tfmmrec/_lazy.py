"""Public names that are imported when first used, so that importing a package stays cheap."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from types import ModuleType


def attach(package: str, names: Mapping[str, str]) -> tuple[Callable, Callable, list[str]]:
    """Makes `__getattr__`, `__dir__` and `__all__` for a package whose names live in its modules (PEP 562).

    Args:
        package: the package's `__name__`.
        names: public name -> module that defines it, relative to the package (`"fusion.early"`).

    Returns:
        The three objects to bind in the package.
    """

    class Package(ModuleType):
        """Keeps a module from hiding what it defines: `losses.multinomial` is the function of that name."""

        def __setattr__(self, name: str, value):
            # the import system binds every imported module in its package
            if isinstance(value, ModuleType) and names.get(name, "").split(".")[-1] == name:
                value = getattr(value, name)
            super().__setattr__(name, value)

    if package in sys.modules:
        sys.modules[package].__class__ = Package

    def __getattr__(name: str):
        if name in names:
            return getattr(importlib.import_module(f"{package}.{names[name]}"), name)
        try:
            return importlib.import_module(f"{package}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{package}.{name}":
                raise
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted(names)

    return __getattr__, __dir__, sorted(names)
