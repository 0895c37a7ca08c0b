"""Rollbacks and removals, as a server that polls the folder sees them."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT
from tests.serving.published import make_version
from tfmmrec.serving.versions import Versions
from tfmmrec.serving.withdrawal import prune, roll_back
from tfmmrec.types import DataError, UsageError


@pytest.fixture
def shop(tmp_path):
    for number in (1, 2, 3, 5):
        make_version(tmp_path / "shop" / str(number), str(number))
    return Versions(tmp_path / "shop")


def test_back_and_forth(shop):
    event = roll_back(shop.folder)
    assert (event["version"], event["before"], event["withdrawn"], event["restored"]) == (3, 5, [5], [])
    assert shop.in_service == 3 and shop.withdrawn() == [5] and shop.next() == 6
    assert roll_back(shop.folder, 1)["withdrawn"] == [2, 3]
    assert shop.visible() == [1] and shop.withdrawn() == [2, 3, 5]
    assert roll_back(shop.folder, 5)["restored"] == [5]
    assert shop.visible() == [1, 5] and shop.in_service == 5
    event = roll_back(shop.folder, 3)  # a withdrawn one below that in service
    assert (event["withdrawn"], event["restored"]) == ([5], [3]) and shop.visible() == [1, 3]
    assert (shop.path(3) / "saved_model.pb").read_text() == "3"
    assert [event["version"] for event in shop.history()] == [3, 1, 5, 3]


def test_that_in_service_changes_once(shop, monkeypatch):
    seen, rename = [], os.rename

    def watched(source, target):
        rename(source, target)
        seen.append(shop.in_service)

    monkeypatch.setattr(os, "rename", watched)
    roll_back(shop.folder, 1)
    assert seen == [5, 5, 1]
    seen.clear()
    roll_back(shop.folder, 3)
    assert seen == [3]
    seen.clear()
    make_version(shop.path(7))
    roll_back(shop.folder, 2)
    assert seen == [7, 7, 2], "that which comes back is there before that in service goes"


def test_what_cannot_be_rolled_back(shop):
    with pytest.raises(UsageError, match="version 5 is in service already"):
        roll_back(shop.folder, 5)
    with pytest.raises(UsageError, match="has no version 4; visible are 1, 2, 3, 5, withdrawn none"):
        roll_back(shop.folder, 4)
    roll_back(shop.folder, 1)
    with pytest.raises(UsageError, match="no version older than the one in service, 1; withdrawn are 2, 3, 5"):
        roll_back(shop.folder)
    with pytest.raises(DataError, match="no such folder"):
        roll_back(shop.folder / "nowhere")


def test_what_came_into_service_meanwhile_was_not_meant(shop, monkeypatch):
    """Without a target: 5 to 3 was asked, and 7 to 5 would have put the bad one in service again."""
    locked = Versions.locked

    def published_first(self):
        make_version(shop.path(max(shop.visible()) + 2))
        return locked(self)

    monkeypatch.setattr(Versions, "locked", published_first)
    with pytest.raises(UsageError, match="version 7 came into service just now, instead of 5; nothing was rolled back"):
        roll_back(shop.folder)
    assert shop.visible() == [1, 2, 3, 5, 7] and shop.withdrawn() == []
    assert roll_back(shop.folder, 3)["withdrawn"] == [5, 7, 9], "what is named is meant"


def test_the_newest_stay_and_withdrawn_ones_go_first(shop):
    make_version(shop.path(8))
    roll_back(shop.folder)
    assert shop.visible() == [1, 2, 3, 5] and shop.withdrawn() == [8]
    event = prune(shop.folder, 3)
    assert (event["version"], event["kept"], event["removed"]) == (5, [2, 3, 5], [1, 8])
    assert event["freed_bytes"] == len("1") + len("graph") + 2 * len('{"format": "tfmmrec"}')
    assert shop.visible() == [2, 3, 5] and shop.withdrawn() == [] and shop.next() == 9
    assert prune(shop.folder, 1)["removed"] == [2, 3] and shop.visible() == [5]
    assert prune(shop.folder, 1)["removed"] == [] and shop.visible() == [5]


def test_that_in_service_stays_though_it_is_an_old_one(shop):
    roll_back(shop.folder, 1)
    assert prune(shop.folder, 1)["removed"] == [2, 3, 5]
    assert shop.visible() == [1] and shop.in_service == 1 and shop.next() == 6
    with pytest.raises(UsageError, match="--keep must be at least 1, because the version in service stays, got 0"):
        prune(shop.folder, 0)


def test_killed_while_it_moves_versions(tmp_path):
    """At any moment there is a whole version in service: the one before or the one asked for."""
    code = (
        "import sys\nfrom tfmmrec.serving.withdrawal import prune, roll_back\n"
        "print('begun', flush=True)\n"
        "while True:\n"
        "    for to in (1, 40, 20, 40): roll_back(sys.argv[1], to)\n"
    )
    shop, draw = Versions(tmp_path / "shop"), random.Random(3)
    for number in range(1, 41):
        make_version(shop.path(number), str(number))
    for _ in range(5):
        if shop.in_service in (20, 40):
            roll_back(shop.folder, 1)
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        mover = subprocess.Popen(
            [sys.executable, "-c", code, str(shop.folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
        mover.stdout.readline()
        end = time.monotonic() + draw.uniform(0.0, 0.1)
        while time.monotonic() < end:
            assert shop.in_service in (1, 20, 40)
        mover.send_signal(signal.SIGKILL)
        mover.communicate()
        assert shop.in_service in (1, 20, 40)
        found = sorted({*shop.visible(), *shop.withdrawn()})
        assert found == list(range(1, 41)), "none is lost"
