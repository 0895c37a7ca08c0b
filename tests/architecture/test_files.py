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


def test_no_file_outgrows_its_room():
    lines = {path.relative_to(ROOT).as_posix(): path.read_text().count("\n") for path in project_files(".py")}
    large = {name: number for name, number in lines.items() if number > MAX_LINES}
    assert not large, f"more than {MAX_LINES} lines; these ask for a second room: {large}"


@pytest.mark.parametrize("what", FORBIDDEN)
def test_files_speak_of_the_project_alone(what):
    found = []
    for path in project_files(*TEXT):
        text = path.read_text(encoding="utf-8")
        if path.name != "test_files.py" and FORBIDDEN[what].search(text):  # that one holds the patterns
            lines = enumerate(text.splitlines(), start=1)
            found += [(str(path.relative_to(ROOT)), *line) for line in lines if FORBIDDEN[what].search(line[1])]
    assert not found, f"{what} in (file, line, text): {found}"
