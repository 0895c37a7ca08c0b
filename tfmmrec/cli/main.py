"""`tfmmrec`: the table of commands, loaded one at a time, and the way in."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

import tfmmrec
from tfmmrec.cli.command import Command, Debug, prepare
from tfmmrec.cli.errors import BAD_INPUT, FAILURE, INTERRUPTED, OK, interrupted, report

# What each is called is also what its module and its function there are called.
COMMANDS: dict[str, Command] = {
    command.name: command
    for command in (
        Command("demo", "The whole way through, on the embedded catalogue."),
        Command("import", "A public dataset, as downloaded, into a dataset's folder."),
        Command("inspect", "What a dataset holds, and a first dataset.yaml."),
        Command("zoo", "The models and their parts: paper, needs, when to use which."),
        Command("train", "Train a model on a dataset, into the folder of a run.", is_resumable=True),
        Command("evaluate", "Rank the whole catalogue for every query of a split."),
        Command("export", "Write a run's model as a SavedModel for TensorFlow Serving."),
        Command("push", "Publish a run's model under a name, if it proves itself."),
        Command("index", "Give a published model new, changed or fewer candidates."),
        Command("rollback", "Put an earlier version in service again."),
        Command("prune", "Remove old versions, never the one in service."),
        Command("serve", "Serve a published model over gRPC and REST."),
        Command("encoder", "Pretrained encoders as reusable SavedModels, for models to use."),
        Command("pretrain", "Encoders learn from a catalogue's contents alone."),
        Command("embed", "A catalogue through a pretrained encoder, once."),
        Command("query", "Ask an exported model, or a server, for recommendations."),
    )
}

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


class _LazyGroup(TyperGroup):
    # Lists the commands from the table; imports the one that is run.

    def list_commands(self, ctx) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx, cmd_name: str):
        if cmd_name not in COMMANDS:
            return None
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name].help, rich_markup_mode=None)

    def resolve_command(self, ctx, args):
        name, command, rest = super().resolve_command(ctx, args)
        return name, None if command is None else _load(name), rest


def _load(name: str):
    entry = COMMANDS[name]
    target = entry.load()
    app = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings=_SETTINGS)
    if isinstance(target, typer.Typer):
        for registered in target.registered_commands:
            app.command(registered.name)(prepare(registered.callback))
        app.callback(help=entry.help)(lambda: None)
    else:
        app.command(name)(prepare(target))
    loaded = get_command(app)
    loaded.name = name
    return loaded


def _show_version(value: bool) -> None:
    if value:
        print(tfmmrec.__version__)
        raise typer.Exit()


def _start(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
    debug: Debug = False,
) -> None:
    """Multimodal two-tower recommenders: from a catalogue to a model that TensorFlow Serving can serve."""


def make_group():
    """The command line as one Typer command with all commands in it."""
    app = typer.Typer(
        cls=_LazyGroup,
        add_completion=False,
        rich_markup_mode=None,
        context_settings=_SETTINGS,
        name="tfmmrec",
    )
    app.callback()(_start)
    group = get_command(app)
    group.commands.update({name: group.get_command(None, name) for name in COMMANDS})  # for "Did you mean"
    return group


def main(arguments: Sequence[str]) -> int:
    """Runs one command.

    Args:
        arguments: the command line without the program's name; none shows the help.

    Returns:
        The exit code: 0 done, 1 failure, 2 bad usage or bad input, 130 interrupted.
    """
    arguments = list(arguments) or ["--help"]
    named = next((argument for argument in arguments if argument in COMMANDS), None)
    resumable = named is not None and COMMANDS[named].is_resumable
    try:
        code = make_group().main(args=arguments, prog_name="tfmmrec", standalone_mode=False)
        sys.stdout.flush()
    except BaseException as error:
        if isinstance(error, SystemExit):
            raise
        code = report(error, debug="--debug" in arguments, resumable=resumable)
    else:
        # Typer turns an interruption into this exit code, and a command returns nothing.
        if code == INTERRUPTED:
            code = interrupted(resumable)
    return code or OK


def run() -> NoReturn:
    """The entry point of the `tfmmrec` script."""
    code = main(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains as it exits
    sys.exit(code)


__all__ = ["BAD_INPUT", "COMMANDS", "FAILURE", "main", "make_group", "run"]
