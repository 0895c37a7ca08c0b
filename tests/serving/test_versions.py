"""Numbers that never come again, names that a server can have, records that survive a cut; kills are in test_push."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.serving.published import make_version
from tfmmrec.serving.paths import WITHDRAWN
from tfmmrec.serving.versions import HISTORY_FILE, Versions, existing_versions
from tfmmrec.types import DataError, UsageError


def test_the_highest_number_is_in_service(tmp_path):
    versions = Versions(tmp_path / "shop")
    assert versions.in_service is None and versions.visible() == [] and versions.next() == 1
    for number in (9, 10, 2):
        make_version(tmp_path / "shop" / str(number))
    for name in ("11", ".12", "thirteen"):
        (tmp_path / "shop" / name).mkdir()
    assert versions.visible() == [2, 9, 10] and versions.in_service == 10, "11 has no graph"
    assert versions.next() == 12, "but its number is taken"


def test_a_number_comes_once(tmp_path):
    versions = Versions(tmp_path / "shop")
    make_version(tmp_path / "shop" / "1")
    make_version(tmp_path / "shop" / WITHDRAWN / "4")
    assert versions.withdrawn() == [4] and versions.next() == 5
    versions.record("push", version=7, outcome="published")
    assert versions.next() == 8
    versions.record("prune", version=1, removed=[8, 9])
    versions.record("push", version=None, outcome="refused")
    assert versions.next() == 10


def test_a_record_that_was_cut_off_harms_no_other(tmp_path):
    versions = Versions(tmp_path / "shop")
    versions.folder.mkdir()
    versions.record("push", version=1)
    with open(versions.folder / HISTORY_FILE, "a") as file:
        file.write('{"action": "push", "ver')
    versions.record("push", version=2)
    assert [event["version"] for event in versions.history()] == [1, 2]
    lines = (versions.folder / HISTORY_FILE).read_text().splitlines()
    assert len(lines) == 3 and json.loads(lines[-1])["time"].endswith("+00:00")


def test_blessed_is_what_a_push_has_made(tmp_path):
    versions = Versions(tmp_path / "shop")
    make_version(versions.path(1))
    assert not versions.is_blessed()
    make_version(versions.folder / WITHDRAWN / "2", blessed=True)
    assert versions.is_blessed()


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("gs://bucket/shop", "versions need a file system that renames"),
        ("models/7", "name the folder of the versions, not one of them: models"),
        ("models/a shop", "must be of letters, digits"),
        ("models/.shop", "must be of letters, digits"),
    ],
)
def test_what_is_no_name(place, says):
    with pytest.raises(UsageError, match=says):
        Versions(place)


def test_a_model_is_no_folder_of_versions(tmp_path):
    make_version(tmp_path / "export")
    with pytest.raises(UsageError, match="is a model itself; name a folder for versions of it"):
        Versions(tmp_path / "export")
    with pytest.raises(DataError, match="no such folder; `tfmmrec push RUN --to .*shop` makes it"):
        existing_versions(tmp_path / "shop")
    (tmp_path / "shop").mkdir()
    with pytest.raises(DataError, match="holds no version; `tfmmrec push"):
        existing_versions(tmp_path / "shop")


def test_a_place_that_is_taken_is_not_overwritten(tmp_path):
    versions = Versions(tmp_path / "shop")
    make_version(versions.path(1), "old")
    make_version(tmp_path / "new", "new")
    with pytest.raises(UsageError, match="shop/1: cannot be put in its place"):
        versions.publish(tmp_path / "new", 1)
    assert (versions.path(1) / "saved_model.pb").read_text() == "old"
    assert (versions.publish(tmp_path / "new", 2) / "saved_model.pb").read_text() == "new"


def test_one_at_a_time(tmp_path):
    """Whoever comes second waits until the first has done."""
    versions, order = Versions(tmp_path / "shop"), []

    def second():
        with Versions(tmp_path / "shop").locked():
            order.append("second")

    with versions.locked():
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


@pytest.fixture
def reachable():
    """A folder that others than its owner can look into, as pytest's are not."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def test_a_folder_that_cannot_be_written(reachable):
    shop = reachable / "shop"
    make_version(shop / "1")
    make_version(shop / "2")
    shop.chmod(0o555)
    code = (
        "import os, sys\n"
        "from tfmmrec.serving.withdrawal import roll_back\n"
        "os.geteuid() == 0 and os.seteuid(65534)\n"  # what root may do tells nothing
        "try: roll_back(sys.argv[1])\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code, str(shop)], capture_output=True, text=True, env=environment)
    shop.chmod(0o755)
    assert done.stdout.startswith(f"UsageError {shop}: nothing can be written there (Permission denied)"), done
    assert Versions(shop).in_service == 2


def test_of_a_folder_of_names_these_are_told(tmp_path):
    for name in ("shop", "songs"):
        (tmp_path / name / "1").mkdir(parents=True)
        (tmp_path / name / "1" / "saved_model.pb").write_bytes(b"")
    with pytest.raises(DataError, match="holds no version; did you mean .*/shop or .*/songs?"):
        existing_versions(tmp_path)
