"""The way in: help, exit codes, and that nothing heavy is imported for them."""

from __future__ import annotations

import inspect
import subprocess
import sys
import time

import pytest
import typer

import tfmmrec
from tfmmrec.cli import main as cli
from tfmmrec.cli.command import Command
from tfmmrec.cli.output import Json
from tfmmrec.types import DataError


def test_help_takes_less_than_six_tenths_of_a_second(run_python):
    def seconds() -> float:
        start = time.perf_counter()
        assert run_python("from tfmmrec.cli.main import main; main(['--help'])").returncode == 0
        return time.perf_counter() - start

    assert min(seconds() for _ in range(5)) <= 0.6


def test_help_shows_every_command_with_its_whole_line(capsys):
    assert cli.main(["--help"]) == 0
    shown = capsys.readouterr().out
    for name, command in cli.COMMANDS.items():
        assert f"  {name} " in shown
        assert command.help in shown


def test_help_is_shown_without_arguments(capsys):
    assert cli.main([]) == 0
    assert "Usage: tfmmrec" in capsys.readouterr().out


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"{tfmmrec.__version__}\n"


def functions():
    """What the command line has, commands of commands included, and what runs them."""
    for name, command in cli.COMMANDS.items():
        target = command.load()
        if isinstance(target, typer.Typer):
            for part in target.registered_commands:
                yield f"{name} {part.name or part.callback.__name__}", part.callback
        else:
            yield name, target


FUNCTIONS = dict(functions())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_command_takes_json_and_debug(name, capsys):
    assert cli.main([*name.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert "--json" in shown and "--debug" in shown and f"Usage: tfmmrec {name}" in shown


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_command_explains_itself_and_its_options(name):
    function = FUNCTIONS[name]
    assert function.__doc__
    for parameter in inspect.signature(function, eval_str=True).parameters.values():
        (option,) = parameter.annotation.__metadata__
        assert option.help, f"tfmmrec {name}: {parameter.name} has no help"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "No such command 'trian'. Did you mean 'train', 'pretrain'?"),
        (["--nope"], "No such option: --nope"),
        (["zoo", "--nope"], "No such option: --nope"),
    ],
)
def test_bad_usage_exits_2_with_the_usage_and_no_traceback(arguments, message, capsys):
    assert cli.main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Usage: tfmmrec" in shown.err and message in shown.err and "Traceback" not in shown.err


@pytest.fixture
def failing(monkeypatch):
    """`failing(error)`: makes `zoo` raise it; its own arguments stay."""

    def make(error: BaseException, is_resumable: bool = False) -> None:
        def zoo(json: Json = False) -> dict:
            raise error

        monkeypatch.setattr(Command, "load", lambda self: zoo)
        monkeypatch.setitem(cli.COMMANDS, "zoo", Command("zoo", "help", is_resumable))

    return make


@pytest.mark.parametrize("arguments", [["zoo"], ["zoo", "--json"], ["--debug", "zoo"], ["zoo", "--debug"]])
def test_bad_input_exits_2_and_shows_a_traceback_on_demand_only(arguments, failing, capsys):
    failing(DataError("items.csv: no column [price]; found: id, title"))
    assert cli.main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.endswith("Error: items.csv: no column [price]; found: id, title\n")
    assert ("Traceback" in shown.err) == ("--debug" in arguments)


def test_failure_exits_1_and_says_how_to_see_more(failing, capsys):
    failing(RuntimeError("disk on fire"))
    assert cli.main(["zoo"]) == 1
    assert capsys.readouterr().err == (
        "Error: RuntimeError: disk on fire\n"
        "This is a failure, not a mistake in the input. Add --debug for the traceback.\n"
    )


@pytest.mark.parametrize("is_resumable", [False, True])
def test_interruption_exits_130_with_a_word_on_resume(is_resumable, failing, capsys):
    failing(KeyboardInterrupt(), is_resumable)
    assert cli.main(["zoo"]) == 130
    shown = capsys.readouterr().err
    assert shown.startswith("Interrupted.")
    assert ("The same command with --resume goes on from the last checkpoint." in shown) == is_resumable


def test_a_reader_that_leaves_gets_no_complaint():
    code = "import sys; from tfmmrec.cli.main import run; sys.argv = ['tfmmrec', '--help']; run()"
    command, pipe = [sys.executable, "-c", code], subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
