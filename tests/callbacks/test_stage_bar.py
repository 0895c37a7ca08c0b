import io

import pytest
from rich.console import Console

from tfmmrec.callbacks import stage_bar
from tfmmrec.callbacks.stage_bar import StageBar


class Clock:
    """Stands where it is put."""

    now = 0.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(stage_bar, "time", clock)
    return clock


@pytest.fixture
def terminal(monkeypatch):
    """What a terminal was written."""
    file = io.StringIO()
    monkeypatch.setattr(
        stage_bar, "Console", lambda stderr: Console(file=file, force_terminal=True, width=100, color_system=None)
    )
    return file


def test_short_stages_are_not_shown(clock, terminal):
    bar = StageBar()
    for done in range(1, 101):
        clock.now += 0.01
        bar("title", done, 100)
    assert terminal.getvalue() == "" and bar._bar is None


def test_a_stage_of_more_than_two_seconds_is(clock, terminal):
    bar = StageBar()
    for done in range(1, 100):
        clock.now += 0.1
        bar("photo: training", done, 100)
    assert bar._bar.tasks[0].completed == 99 and bar._bar.tasks[0].total == 100
    bar("photo: training", 100, 100)
    assert bar._bar is None
    assert "photo: training" in terminal.getvalue() and "/100" in terminal.getvalue()


def test_each_stage_has_a_bar_of_its_own(clock, terminal):
    bar = StageBar()
    for what in ("title", "photo"):
        for done in range(1, 40):  # neither gets to its end
            clock.now += 0.1
            bar(what, done, 50)
        assert [task.description for task in bar._bar.tasks] == [what]
    bar("price", 1, 1)
    assert bar._bar is None


def test_without_a_terminal_long_stages_have_a_line_now_and_then(clock, capsys):
    bar = StageBar()
    for what in ("title", "[photo]"):
        for done in range(1, 51):
            clock.now += 1.0
            bar(what, done, 50)
    shown = capsys.readouterr()
    assert shown.out == ""
    expected = [(7, "14%"), (23, "46%"), (39, "78%")]  # the clock starts with the first call, which is of 1 done
    assert shown.err.splitlines() == [
        f"{what}: {share} of 50 after {done - 1} s" for what in ("title", "[photo]") for done, share in expected
    ]


def test_without_a_terminal_short_stages_are_not_shown(clock, capsys):
    bar = StageBar()
    for what in ("title", "photo", "price"):
        for done in range(1, 5):
            clock.now += 1.0
            bar(what, done, 4)
    assert capsys.readouterr() == ("", "")


def test_what_cannot_be_counted_is_told_when_it_begins(capsys):
    bar = StageBar()
    bar("loading it", 0, 0)
    bar("measuring", 0, 3)
    assert capsys.readouterr().err == "loading it ...\n"
