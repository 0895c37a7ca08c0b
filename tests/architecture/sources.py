"""The project's source files as the architecture tests read them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "tfmmrec"
ROOMS = ("tfmmrec", "tests", "pipelines", "benchmarks", "colab", "docs")


def package_modules() -> list[Path]:
    """All modules of the package, as paths relative to it."""
    return sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def room_of(module: Path) -> str:
    """The room a module is in: the package, or the module itself where it stands alone."""
    return module.parts[0].removesuffix(".py")


def project_files(*suffixes: str) -> list[Path]:
    """The files of all rooms, and those at the top, whose names end in one of `suffixes`."""
    found = [path for path in ROOT.iterdir() if path.is_file()]
    for room in ROOMS:
        found += [path for path in (ROOT / room).rglob("*") if path.is_file()]
    return sorted(path for path in found if path.name.endswith(suffixes) and "__pycache__" not in path.parts)


@cache
def imported_modules(path: Path) -> tuple[str, ...]:
    """Dotted names of everything a file imports, at its top, inside functions, or by `import_module("name")`.

    For `from a import b` both `a` and `a.b` are given: `b` may be a module.
    """
    return tuple(_imported_modules(path))


def _imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(path, node)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node) == "import_module":
            yield from (argument.value for argument in node.args[:1] if isinstance(argument, ast.Constant))


def _absolute(path: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = path.relative_to(ROOT).parts[: -node.level]
    return ".".join((*package, node.module) if node.module else package)


def _called(node: ast.Call) -> str | None:
    return getattr(node.func, "attr", getattr(node.func, "id", None))
