"""What every command gets without writing it."""

from __future__ import annotations

import inspect
import json as json_module
from typing import Annotated

import pytest
import typer

from tfmmrec.cli.command import Command, prepare
from tfmmrec.cli.output import Json, Refusal, console


def greet(name: Annotated[str, typer.Argument()], times: int = 1, json: Json = False) -> dict:
    """Greets."""
    print("a library's chatter")
    console().print(f"hello {name}", *["again"] * (times - 1))
    return {"name": name, "times": times}


def test_people_read_what_the_command_prints(capsys):
    prepare(greet)(name="Ada", times=2, json=False, debug=False)
    assert capsys.readouterr().out == "a library's chatter\nhello Ada again\n"


def test_machines_read_json_and_nothing_else(capsys):
    prepare(greet)(name="Ada", times=1, json=True, debug=False)
    shown = capsys.readouterr()
    assert json_module.loads(shown.out) == {"name": "Ada", "times": 1}
    assert shown.err == "a library's chatter\n"
    prepare(greet)(name="Ada", times=1, json=False, debug=False)
    assert capsys.readouterr().out == "a library's chatter\nhello Ada\n"  # people are told again


def test_notes_and_errors_are_seen_beside_json(capsys):
    def warn(json: Json = False) -> dict:
        console(stderr=True).print("a picture is missing")
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        prepare(warn)(json=True, debug=False)
    assert capsys.readouterr().err == "a picture is missing\n"
    console().print("hello")
    assert capsys.readouterr().out == "hello\n"


def test_a_refusal_prints_its_json_all_the_same(capsys):
    def refuse(json: Json = False) -> dict:
        raise Refusal("not this one", {"outcome": "refused"})

    for json, out in ((True, '{\n  "outcome": "refused"\n}\n'), (False, "")):
        with pytest.raises(Refusal, match="not this one"):
            prepare(refuse)(json=json, debug=False)
        assert capsys.readouterr().out == out


def test_the_signature_gains_debug_and_keeps_the_rest():
    prepared = inspect.signature(prepare(greet), eval_str=True)
    assert list(prepared.parameters) == ["name", "times", "json", "debug"]
    assert prepared.parameters["name"].default is inspect.Parameter.empty
    assert prepared.parameters["times"].default == 1
    assert prepare(greet).__doc__ == "Greets."


def test_a_command_without_json_is_refused():
    def mute(name: str) -> None: ...

    with pytest.raises(TypeError, match="command 'mute' lacks its parameter `json: Json = False`"):
        prepare(mute)


def test_command_loads_the_function_of_its_name():
    from tfmmrec.cli.zoo import zoo

    assert Command("zoo", "the models").load() is zoo


def test_a_command_called_like_a_word_of_python_has_a_module_that_can_be_imported():
    assert Command("import", "Imports.").module == "import_" and Command("zoo", "Lists.").module == "zoo"
    assert Command("import", "Imports.").load().__name__ == "import_"
