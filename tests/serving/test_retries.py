import pytest

from tfmmrec.serving.retries import Retries
from tfmmrec.serving.server_error import ServerError
from tfmmrec.types import UsageError


class Clock:
    """A clock that goes on only where somebody sleeps."""

    def __init__(self):
        self.now = 0.0
        self.pauses = []

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds


def _call(retries, errors, deadline=100.0, draw=1.0):
    """Asks a server that raises these errors, and then answers."""
    clock, given, errors = Clock(), [], list(errors)

    def ask(seconds):
        given.append(seconds)
        if errors:
            raise errors.pop(0)
        return "answer"

    try:
        found = retries.call(ask, deadline, "a", clock.sleep, lambda: clock.now, lambda: draw)
    except ServerError as error:
        found = error
    return found, given, clock.pauses


BUSY = ServerError("UNAVAILABLE", "busy", "a", is_transient=True)
WRONG = ServerError("INVALID_ARGUMENT", "wrong", "a")


def test_pauses_double_up_to_the_longest():
    retries = Retries(attempts=6, first_seconds=0.5, longest_seconds=3.0)
    found, given, pauses = _call(retries, [BUSY] * 5)
    assert found == "answer" and pauses == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert given == [100.0, 99.5, 98.5, 96.5, 93.5, 90.5], "every attempt has what is left of the time"


def test_pauses_are_drawn():
    assert _call(Retries(first_seconds=1.0), [BUSY, BUSY], draw=0.25)[2] == [0.25, 0.5]


def test_other_errors_are_not_tried_again():
    found, given, pauses = _call(Retries(), [WRONG, WRONG])
    assert found is WRONG and len(given) == 1 and not pauses
    found, given, _ = _call(Retries(), [BUSY, WRONG])
    assert found is WRONG and len(given) == 2


def test_attempts_end():
    found, given, pauses = _call(Retries(attempts=3), [BUSY] * 9)
    assert found is BUSY and len(given) == 3 and len(pauses) == 2
    assert _call(Retries(attempts=1), [BUSY])[2] == []


def test_time_ends():
    found, given, pauses = _call(Retries(first_seconds=1.0), [BUSY] * 9, deadline=2.5)
    assert found.code == "DEADLINE_EXCEEDED" and not found.is_transient
    assert found.message == "no answer within 2.5 s; the last of 2 attempts: busy"
    assert pauses == [1.0], "a pause that ends too late is not begun"


def test_a_server_that_is_loading_is_asked_until_the_deadline():
    loading = ServerError("UNAVAILABLE", "version 1 of shop is being loaded; try again", "a", is_transient=True)
    retries = Retries(attempts=2, first_seconds=1.0, longest_seconds=1.0)
    found, given, _ = _call(retries, [BUSY] + [loading] * 1_500, deadline=2_000.0)
    assert found == "answer" and len(given) == 1_502, "only the busy one counts"
    assert _call(retries, [loading] * 9 + [BUSY, BUSY])[0] is BUSY
    assert _call(Retries(attempts=1), [loading])[0] is loading
    found, given, _ = _call(retries, [loading] * 9, deadline=3.5)
    assert found.code == "DEADLINE_EXCEEDED" and len(given) == 4
    assert found.message.endswith(
        "the last of 4 attempts: version 1 of shop is being loaded; try again; a longer deadline (deadline_seconds, of "
        "`tfmmrec query` --deadline) waits for it"
    )


def test_the_last_attempt_that_the_deadline_cuts_off_does_not_hide_that_the_server_is_loading():
    loading = ServerError("UNAVAILABLE", "version 1 of shop is being loaded; try again", "a", is_transient=True)
    cut_off = ServerError("DEADLINE_EXCEEDED", "no answer within 0.02 s", "a")
    found, given, _ = _call(Retries(), [loading, loading, cut_off], deadline=10.0)
    assert found.code == "DEADLINE_EXCEEDED" and len(given) == 3
    assert found.message.startswith("no answer within 10 s; the last of 3 attempts: version 1 of shop is being loaded")
    assert "a longer deadline" in found.message
    assert _call(Retries(), [BUSY, cut_off])[0] is cut_off


def test_what_cannot_be():
    with pytest.raises(UsageError, match="attempts must be at least 1, got 0"):
        Retries(attempts=0)
    with pytest.raises(UsageError, match="got 3 to 2 seconds"):
        Retries(first_seconds=3, longest_seconds=2)
