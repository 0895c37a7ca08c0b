"""From an error to a message and an exit code."""

from __future__ import annotations

import pytest
import typer
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tfmmrec.cli.errors import report
from tfmmrec.cli.output import Refusal
from tfmmrec.serving.server_error import ServerError, WrongAddress
from tfmmrec.types import DataError, UsageError


class NewGarment(BaseModel):
    """A pydantic model to break."""

    model_config = ConfigDict(extra="forbid")
    price: float = Field(gt=0)
    sizes: list[int] = []


@pytest.mark.parametrize("kind", [DataError, UsageError])
def test_a_message_is_shown_as_it_is(kind, capsys):
    message = "log.csv, row 7: [bold]expected[/bold] a number " + "and so on " * 30 + "\n  C:\\new"
    assert report(kind(message)) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", f"Error: {message}\n")


def test_a_validation_error_names_each_field(capsys):
    with pytest.raises(ValidationError) as raised:
        NewGarment(price=-1, sizes=["S"], colour="red")
    assert report(raised.value) == 2
    assert capsys.readouterr().err == (
        "Error: not valid (new garment):\n"
        "  price: Input should be greater than 0 (found -1)\n"
        "  sizes.0: Input should be a valid integer, unable to parse string as an integer (found 'S')\n"
        "  colour: Extra inputs are not permitted (found 'red')\n"
    )


def test_bad_usage_found_while_parsing(capsys):
    assert report(typer.BadParameter("k must be at least 1")) == 2
    assert "k must be at least 1" in capsys.readouterr().err


def test_a_refusal_is_no_mistake_and_no_failure(capsys):
    assert report(Refusal("shop: refused, recall 0.1 is too little", {})) == 1
    assert capsys.readouterr().err == "Error: shop: refused, recall 0.1 is too little\n"


def test_a_server_that_does_not_answer_may_be_the_wrong_one(capsys):
    error = ServerError("UNAVAILABLE", "refused; is the server running?\n\nat node A", "http://host/m")
    assert report(error) == 1
    assert capsys.readouterr().err == "Error: http://host/m: UNAVAILABLE: refused; is the server running?\n"
    assert report(WrongAddress("NOT_FOUND", "no such model", "http://host/m")) == 2
    assert capsys.readouterr().err == "Error: http://host/m: NOT_FOUND: no such model\n"


def test_a_long_failure_is_cut_to_what_happened(capsys):
    assert report(RuntimeError("out of memory\n\nDetected at node A\nDetected at node B")) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("Error: RuntimeError: out of memory\n") and "Detected" not in shown


def test_a_failure_without_words_is_named(capsys):
    assert report(MemoryError()) == 1
    assert capsys.readouterr().err.startswith("Error: MemoryError\n")


def test_debug_shows_the_traceback(capsys):
    try:
        raise OSError(28, "No space left on device")
    except OSError as error:
        assert report(error, debug=True) == 1
    shown = capsys.readouterr().err
    assert "Traceback (most recent call last)" in shown and "No space left on device" in shown
    assert "--debug" not in shown


def test_a_closed_pipe_and_an_abort(capsys):
    assert report(BrokenPipeError()) == 1
    assert capsys.readouterr().err == ""
    assert report(typer.Abort(), resumable=True) == 130
    assert "--resume" in capsys.readouterr().err
