"""Killed at random moments, many at once, with a full disk, without permission: a server sees whole versions only.

The models are files of a real export's names that are copied slowly, and their blessing is taken for granted; the whole
way with real models is in tests/cli/test_push.py.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.serving.published import FILES, is_whole, make_version, write_slowly
from tests.serving.pushers import Pushers
from tfmmrec.serving import push
from tfmmrec.serving.blessing import Blessing
from tfmmrec.serving.checks import Check
from tfmmrec.serving.paths import BLESSING_FILE
from tfmmrec.serving.policy import Policy
from tfmmrec.serving.push import push_model, push_run
from tfmmrec.serving.versions import HISTORY_FILE, Versions
from tfmmrec.serving.withdrawal import roll_back
from tfmmrec.types import DataError, UsageError


@pytest.fixture(scope="module")
def pushers():
    made = Pushers()
    yield made
    made.parent.stdin.close()
    made.parent.wait()


@pytest.fixture
def blessed(monkeypatch):
    monkeypatch.setattr(push, "bless", lambda *arguments: Blessing(Policy(), ()))


@contextmanager
def watched(folder):
    """Looks at every version from the moment it appears, as a server does, until the block ends."""
    stop, seen, broken = threading.Event(), set(), []

    def look():
        while not stop.is_set():
            for name in set(os.listdir(folder) if folder.exists() else []) - seen:
                if name.isdecimal():
                    seen.add(name)
                    if not is_whole(folder / name):
                        broken.append(name)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
    assert not broken, f"versions {broken} were seen before they were whole"


def _hidden(folder):
    return [name for name in os.listdir(folder) if name.startswith(".version.")]


def _kill_at_random(pushers, shop, times, pause):
    draw, interrupted = random.Random(times), 0
    with watched(shop.folder) as seen:
        for _ in range(times):
            child = pushers.start(shop.folder, 1000, pause)
            before = int(pushers.said(child, "pushed"))
            time.sleep(draw.uniform(0, 12 * pause))
            os.kill(child, signal.SIGKILL)
            time.sleep(0.02)
            interrupted += bool(_hidden(shop.folder))
            assert shop.in_service >= before, "what was in service has not gone"
    assert all(is_whole(shop.path(version)) for version in shop.visible())
    assert len(seen) == len(shop.visible()) >= times and interrupted >= times // 3, "some were killed on the way"
    events = [event["version"] for event in shop.history()]
    assert len(set(events)) == len(events) and set(events) <= set(shop.visible())


def test_killed_at_random_moments(pushers, tmp_path, blessed):
    shop = Versions(tmp_path / "shop")
    _kill_at_random(pushers, shop, times=8, pause=0.004)
    last = shop.in_service
    assert push_model(write_slowly, shop.folder).version == last + 1
    assert _hidden(shop.folder) == [], "whoever comes next clears up"


@pytest.mark.slow
def test_killed_at_many_random_moments(pushers, tmp_path):
    _kill_at_random(pushers, Versions(tmp_path / "shop"), times=150, pause=0.003)


def test_many_at_once_have_versions_of_their_own(pushers, tmp_path):
    shop = Versions(tmp_path / "shop")
    with watched(shop.folder):
        for _ in range(3):
            pushers.start(shop.folder, 4, 0.002)
        deadline = time.monotonic() + 60
        while len(shop.history()) < 12:
            assert time.monotonic() < deadline, shop.history()
            time.sleep(0.01)
    assert shop.visible() == list(range(1, 13))
    assert [event["version"] for event in shop.history()] == list(range(1, 13))
    assert [event["before"] for event in shop.history()] == [None, *range(1, 12)], (
        "each is compared with its forerunner"
    )
    time.sleep(0.1)
    assert _hidden(shop.folder) == [] and is_whole(shop.path(12))


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("only root can mount a small file system here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(small_disk, blessed):
    """Wherever it becomes full: in a model's file, in its blessing, in the record, in the server's files."""
    shop = Versions(small_disk / "models" / "shop")
    assert push_model(write_slowly, shop.folder).version == 1
    outcomes = []
    for free_pages in range(0, 20):
        with open(small_disk / "filler", "wb") as filler:
            free = os.statvfs(small_disk).f_bavail
            filler.write(b"x" * (4096 * max(0, free - free_pages)))
        before = shop.in_service
        try:
            push_model(write_slowly, shop.folder)
            outcomes.append("published")
        except (OSError, UsageError) as error:
            outcomes.append("refused")
            assert "space" in str(error), error
            assert shop.in_service == before
        assert all(is_whole(shop.path(version)) for version in shop.visible()) and _hidden(shop.folder) == []
        (small_disk / "filler").unlink()
        for version in shop.visible()[:-1]:
            shutil.rmtree(shop.path(version))
    assert outcomes[0] == "refused" and outcomes[-1] == "published", outcomes
    assert all(json.loads(line) for line in (shop.folder / HISTORY_FILE).read_text().splitlines() if line[-1:] == "}")


def test_without_permission(pushers):
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        shop = make_version(Path(folder) / "shop" / "1").parent
        shop.chmod(0o555)
        child = pushers.start(shop, 1, as_whom="nobody")
        said = pushers.said(child, "failed")
        shop.chmod(0o755)
        assert said.startswith("UsageError") and "nothing can be written beside it (Permission denied)" in said
        assert os.listdir(shop) == ["1"]


def _judged(monkeypatch, *checks):
    asked = []

    def bless(folder, queries, policy, in_service, progress):
        asked.append(in_service)
        return Blessing(policy, checks)

    monkeypatch.setattr(push, "bless", bless)
    return asked


def test_a_refusal_leaves_a_record_and_nothing_else(tmp_path, monkeypatch):
    shop = Versions(tmp_path / "models" / "shop")
    make_version(shop.path(4))
    asked = _judged(monkeypatch, Check("recall", False, "recall@20 0.1, at least 0.2: 0.1 too little", 0.1, 0.2))
    done = push_model(write_slowly, shop.folder, Policy(min_recall=0.2), origin={"run": "runs/1"})
    assert not done.is_published and (done.outcome, done.version, done.path) == ("refused", None, None)
    assert asked == [shop.path(4)] and sorted(os.listdir(shop.folder)) == ["4", HISTORY_FILE]
    (event,) = shop.history()
    assert event == done.record and event["origin"] == {"run": "runs/1"} and event["before"] == 4
    assert event["checks"][0]["value"] == 0.1 and event["policy"]["min_recall"] == 0.2
    assert not (tmp_path / "models" / "models.config").exists(), "nothing was published"
    assert shop.next() == 5, "a refusal takes no number"


def test_a_forced_one_is_published_and_recorded(tmp_path, monkeypatch):
    shop = Versions(tmp_path / "shop")
    _judged(monkeypatch, Check("recall", False, "too little"))
    done = push_model(write_slowly, shop.folder, force=True)
    assert (done.outcome, done.version, done.path) == ("forced", 1, shop.path(1))
    blessing = json.loads((done.path / BLESSING_FILE).read_text())
    assert (blessing["outcome"], blessing["passed"], blessing["version"]) == ("forced", False, 1)
    assert shop.history()[0]["outcome"] == "forced" and shop.is_blessed()
    _judged(monkeypatch, Check("recall", True, "enough"))
    assert push_model(write_slowly, shop.folder, force=True).outcome == "published", "there was nothing to force"
    assert (tmp_path / "models.config").exists() and (tmp_path / "compose.yaml").exists()


def test_the_queries_stay_at_home_where_they_are_to(tmp_path, blessed):
    name = "assets.extra/evaluation.parquet"
    assert name in FILES and (push_model(write_slowly, tmp_path / "shop").path / name).exists()
    done = push_model(write_slowly, tmp_path / "shop", keep_evaluation=False)
    assert not (done.path / name).exists() and (done.path / "saved_model.pb").exists()


def test_what_fails_after_it_is_published_is_told(tmp_path, blessed, monkeypatch):
    def full(*arguments, **keywords):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(push, "write_server_files", full)
    done = push_model(write_slowly, tmp_path / "shop")
    assert done.is_published and done.notes == [
        f"{tmp_path}: the server's files cannot be written (No space left on device)"
    ]
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)

    def unrecorded(self, action, **what):
        raise UsageError("the record cannot be written")

    monkeypatch.setattr(Versions, "record", unrecorded)
    done = push_model(write_slowly, tmp_path / "shop")
    assert (
        done.version == 2 and done.notes[0] == "the record cannot be written" and done.record["outcome"] == "published"
    )


def test_what_was_made_from_a_version_that_has_gone_undoes_nothing(tmp_path, blessed):
    shop = Versions(tmp_path / "shop")
    push_model(write_slowly, shop.folder)

    def overtaken(folder):
        write_slowly(folder)
        push_model(write_slowly, shop.folder)

    with pytest.raises(UsageError, match="version 2 came into service while this one was made from version 1"):
        push_model(overtaken, shop.folder, follows=1)
    assert shop.visible() == [1, 2] and push_model(write_slowly, shop.folder, follows=2).version == 3


@pytest.mark.timeout(60)
def test_a_rollback_waits_for_no_blessing(tmp_path, blessed, monkeypatch):
    """What was compared with a version that has gone is compared again, whatever was found of it."""
    shop, compared = Versions(tmp_path / "shop"), []
    for _ in range(2):
        push_model(write_slowly, shop.folder)

    def rolled_back_meanwhile(folder, queries, policy, in_service, progress):
        compared.append(in_service.name)
        if len(compared) == 1:
            assert roll_back(shop.folder)["version"] == 1
        return Blessing(policy, (Check("loss", len(compared) == 2, "of the first, too much is lost"),))

    monkeypatch.setattr(push, "bless", rolled_back_meanwhile)
    done = push_model(write_slowly, shop.folder)
    assert compared == ["2", "1"] and (done.version, done.record["before"]) == (3, 1)
    assert [event["action"] for event in shop.history()] == ["push", "push", "rollback", "push"]
    compared.clear()
    with pytest.raises(UsageError, match="version 1 came into service while this one was made from version 3"):
        push_model(write_slowly, shop.folder, follows=3)
    assert compared == ["3"] and shop.visible() == [1]


def test_nothing_is_made_for_what_cannot_be_pushed(tmp_path):
    with pytest.raises(DataError, match="expected a run folder with config.json"):
        push_run(tmp_path / "nowhere", tmp_path / "models" / "shop")
    with pytest.raises(UsageError, match="name the folder of the versions, not one of them"):
        push_run(tmp_path / "nowhere", tmp_path / "models" / "shop" / "7")
    assert os.listdir(tmp_path) == []
