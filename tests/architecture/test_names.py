"""Public names resolve, importing them lazily costs no TensorFlow, every module has its test."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.sources import PACKAGE, ROOT, package_modules
from tfmmrec.cli.main import COMMANDS

MODULES = package_modules()
PACKAGES = [".".join(("tfmmrec", *module.parent.parts)) for module in MODULES if module.name == "__init__.py"]
HEAVY = ("tensorflow", "tf_keras", "keras", "tensorflow_recommenders", "pandas", "matplotlib")


def test_every_folder_of_modules_is_a_package():
    folders = {module.parent for module in MODULES}
    assert all((PACKAGE / folder / "__init__.py").exists() for folder in folders), folders


def test_importing_the_packages_imports_nothing_heavy(run_python):
    done = run_python(f"import sys, {', '.join(PACKAGES)}\nprint([m for m in {HEAVY} if m in sys.modules])")
    assert done.stdout == "[]\n", done.stdout + done.stderr


def test_importing_the_commands_imports_nothing_heavy(run_python):
    modules = ", ".join(f"tfmmrec.cli.{command.module}" for command in COMMANDS.values())
    done = run_python(f"import sys, {modules}\nprint([m for m in {HEAVY} if m in sys.modules])")
    assert done.stdout == "[]\n", done.stdout + done.stderr


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_resolve_and_are_documented(package):
    module = importlib.import_module(package)
    assert module.__doc__, f"{package} says nothing of itself"
    for name in getattr(module, "__all__", ()):
        assert getattr(module, name) is not None
        assert getattr(module, name).__doc__, f"{package}.{name} has no docstring"


def test_every_module_has_its_test():
    tests = {module: Path("tests", *module.parts[:-1], f"test_{module.name}") for module in MODULES}
    lacking = [(str(module), str(test)) for module, test in tests.items() if module.name != "__init__.py"]
    lacking = [(module, test) for module, test in lacking if not (ROOT / test).exists()]
    assert not lacking, f"modules of tfmmrec/ and the tests that they lack: {lacking}"


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.Module]:
    """The parsed modules."""
    return {module: ast.parse((PACKAGE / module).read_text()) for module in MODULES}


def test_every_module_is_documented(trees):
    silent = []
    for module, tree in trees.items():
        parts = [node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
        public = [tree, *(node for node in parts if not node.name.startswith("_"))]
        silent += [(str(module), getattr(node, "name", "module")) for node in public if not ast.get_docstring(node)]
    assert not silent, f"without a docstring: {silent}"


def test_words(trees):
    vague = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
    foreign = {"user", "users", "item", "items"}
    for module, tree in trees.items():
        parts = {part for name in module.with_suffix("").parts for part in name.split("_")}
        assert not parts & vague, f"tfmmrec/{module}: name a module for what it holds"
        found = [(number, name) for number, name in _names(tree) if foreign & set(name.split("_"))]
        assert not found, f"tfmmrec/{module}, (line, name): {found}: the words here are query and candidate"


def _names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Lines and names of functions, classes and arguments, but private ones, as of what writes somebody's items.csv."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            name = node.name.lower()
        elif isinstance(node, ast.arg):
            name = node.arg
        else:
            continue
        if not name.startswith("_"):
            yield node.lineno, name
