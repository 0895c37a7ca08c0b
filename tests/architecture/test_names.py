"""Public names resolve, importing them lazily costs no TensorFlow, every module has its test."""

from __future__ import annotations

import ast
import importlib
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


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_module_has_its_test(module):
    if module.name == "__init__.py":
        return
    path = Path("tests", *module.parts[:-1], f"test_{module.name}")
    assert (ROOT / path).exists(), f"tfmmrec/{module} has no {path}"


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_module_is_documented(module):
    tree = ast.parse((PACKAGE / module).read_text())
    assert ast.get_docstring(tree), f"tfmmrec/{module} has no docstring"
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"tfmmrec/{module}: {node.name} has no docstring"


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_words(module):
    parts = {part for name in module.with_suffix("").parts for part in name.split("_")}
    vague = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
    assert not parts & vague, f"tfmmrec/{module}: name a module for what it holds"
    for node in ast.walk(ast.parse((PACKAGE / module).read_text())):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            name = node.name.lower()
        elif isinstance(node, ast.arg):
            name = node.arg
        else:
            continue
        if name.startswith("_"):  # such as what writes a data set's own table items.csv
            continue
        assert not {"user", "users", "item", "items"} & set(name.split("_")), (
            f"tfmmrec/{module}, line {node.lineno}: {name}: the words here are query and candidate"
        )
