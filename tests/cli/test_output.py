"""Tables for people, JSON for machines."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tfmmrec.cli.output import console, counted, table, to_json


def test_json_of_what_commands_return():
    answer = {
        "ids": np.array(["a", "b"]),
        "count": np.int64(3),
        "share": np.float32(0.5),
        "none": None,
        "nan": float("nan"),
        "infinite": [np.inf, -np.inf],
        "path": Path("runs/first"),
        "names": {"b", "a"},
        7: ("é", True),
    }
    assert json.loads(to_json(answer)) == {
        "ids": ["a", "b"],
        "count": 3,
        "share": 0.5,
        "none": None,
        "nan": None,
        "infinite": [None, None],
        "path": "runs/first",
        "names": ["a", "b"],
        "7": ["é", True],
    }
    assert "é" in to_json(answer)


def test_a_value_without_a_json_form_is_an_error():
    with pytest.raises(TypeError, match="object is not JSON serializable"):
        to_json({"what": object()})


def test_a_table_shows_cells_as_they_are(capsys):
    rows = [["[red]x[/red]", 0.123456, 1234567, None, True]]
    columns = ["name", "share", "count", "missing", "flag"]
    console().print(table(columns, rows, title="things", numbers=[1, 2]))
    shown = capsys.readouterr().out
    assert "things" in shown
    assert shown.strip().splitlines()[-1].split() == ["[red]x[/red]", "0.1235", "1,234,567", "-", "True"]


def test_the_console_follows_standard_output(capsys):
    console().print("[bold]out[/bold]")
    console(stderr=True).print("err")
    assert capsys.readouterr() == ("out\n", "err\n")


def test_one_is_singular():
    assert [counted(n, "query", "queries") for n in (0, 1, 2, 1234)] == [
        "0 queries",
        "1 query",
        "2 queries",
        "1,234 queries",
    ]
