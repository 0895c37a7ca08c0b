"""Files stay small and speak of the project alone."""

from __future__ import annotations

import re

import pytest

from tests.architecture.sources import ROOT, project_files

MAX_LINES = 300
TEXT = (".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".ipynb", ".cfg", "Makefile", "LICENSE", ".gitignore")
FORBIDDEN = {
    "a path of somebody's machine": re.compile(r"(?<![\w.}/])/(?:home|root|work|mnt|opt|Users)/\w"),
    "the address of a package index": re.compile(r"index-url|find-links|/simple\b|file:///"),
    "unfinished work": re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b"),
}


@pytest.mark.parametrize("path", project_files(".py"), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_outgrows_its_room(path):
    lines = path.read_text().count("\n")
    assert lines <= MAX_LINES, f"{path.relative_to(ROOT)} has {lines} lines; it asks for a second room"


@pytest.mark.parametrize("path", project_files(*TEXT), ids=lambda path: str(path.relative_to(ROOT)))
def test_file_speaks_of_the_project_alone(path):
    if path.name == "test_files.py":
        return  # it holds the patterns
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        for what, pattern in FORBIDDEN.items():
            place = f"{path.relative_to(ROOT)}, line {number}"
            assert not pattern.search(line), f"{place} holds {what}: {line.strip()}"
