"""The command line: one file per command.

A command is a function with Typer options, registered by one line in `COMMANDS` (`tfmmrec/cli/main.py`). It
imports what it needs inside its body, prints what a person reads through `tfmmrec.cli.output.console`, and
returns the mapping that `--json` prints. `command.py` adds what all commands share; `errors.py` alone turns
errors into exit codes, so a command catches none.
"""
