"""Whole or not at all: killed, twice at once, onto something else, without permission, without a rename."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid

import pytest
import tensorflow as tf

from tests.conftest import ROOT
from tests.serving.published import make_version
from tfmmrec import staging
from tfmmrec.serving.paths import MODEL_FILE, is_export, model_folder, writing
from tfmmrec.types import DataError, UsageError

FILES = ("saved_model.pb", "variables/variables.index", "assets.extra/size.json")

# Writes exports one after the other, each file holding the export's number.
WRITER = f"""
import json, sys, time
from tfmmrec.serving.paths import writing
target, first, count, pause = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
for number in range(first, first + count):
    with writing(target) as folder:
        for name in {FILES!r}:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(str(number))
            time.sleep(pause)
        (folder / {MODEL_FILE!r}).write_text(json.dumps({{"format": "tfmmrec"}}))
    print(number, flush=True)
"""


def _writer(target, first, count, pause=0.0):
    command = [sys.executable, "-c", WRITER, str(target), str(first), str(count), str(pause)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def _write(target, content="new"):
    with writing(target) as folder:
        for name in FILES:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(content)
        (folder / MODEL_FILE).write_text(json.dumps({"format": "tfmmrec"}))


def _content(target):
    """What all files of an export hold, which must be the same."""
    found = {(target / name).read_text() for name in FILES}
    assert len(found) == 1 and is_export(target), found
    return found.pop()


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_it_appears_when_it_is_complete(tmp_path):
    target = tmp_path / "runs" / "export"
    with writing(target) as folder:
        assert not target.exists()
        assert folder.parent == target.parent and folder.name.startswith(".") and not folder.name.isdecimal()
        (folder / "x").write_text("1")
    assert _names(target.parent) == ["export"] and _names(target) == ["x"]
    assert target.stat().st_mode & 0o777 == 0o755, "a server that is somebody else can read it"


def test_a_failure_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError, match="on the way"), writing(tmp_path / "export") as folder:
        (folder / "x").write_text("1")
        raise RuntimeError("on the way")
    assert _names(tmp_path) == []


def test_an_earlier_export_is_replaced_and_kept_on_failure(tmp_path):
    target = tmp_path / "export"
    _write(target, "old")
    with contextlib.suppress(RuntimeError), writing(target):
        raise RuntimeError
    assert _content(target) == "old"
    _write(target, "new")
    assert _content(target) == "new" and _names(tmp_path) == ["export"]


def test_without_an_exchange_two_renames_do(tmp_path, monkeypatch):
    monkeypatch.setattr(staging, "_exchange", lambda one, other: False)
    _write(tmp_path / "export", "old")
    _write(tmp_path / "export", "new")
    assert _content(tmp_path / "export") == "new" and _names(tmp_path) == ["export"]


def test_what_is_no_export_is_left_alone(tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="holds something that is no export, and is not replaced"):
        _write(mine)
    (mine / "assets.extra").mkdir()
    (mine / MODEL_FILE).write_text("{not json")
    with pytest.raises(UsageError, match="no export"):
        _write(mine)
    with pytest.raises(UsageError, match="is a file; name a folder"):
        _write(mine / "thesis.txt")
    with pytest.raises(UsageError, match="nothing can be written beside it"):
        _write(mine / "thesis.txt" / "export")
    assert (mine / "thesis.txt").read_text() == "years of work" and not (mine / "saved_model.pb").exists()


def test_only_a_push_adds_to_blessed_versions(tmp_path):
    shop = tmp_path / "models" / "shop"
    make_version(shop / "1")
    _write(shop / "2")
    make_version(shop / "3", blessed=True)
    for target in (shop / "2", shop / "4", shop / "mine", shop, f"{shop}/"):
        with pytest.raises(UsageError, match=f"only a push adds one: `tfmmrec push RUN --to {shop}`; or name another"):
            _write(target)
    assert _names(shop) == ["1", "2", "3"] and _content(shop / "2") == "new"
    _write(tmp_path / "models" / "other" / "1")
    _write(tmp_path / "models" / "export")


def test_a_blessed_version_that_was_withdrawn_counts(tmp_path):
    shop = tmp_path / "shop"
    make_version(shop / "1")
    make_version(shop / ".withdrawn" / "2", blessed=True)
    with pytest.raises(UsageError, match=f"the versions in {shop} are blessed, and only a push adds one"):
        _write(shop / "2")
    assert _names(shop) == [".withdrawn", "1"]


@pytest.mark.parametrize("exported", ["1", "2"])
def test_what_is_blessed_meanwhile_stays(exported, tmp_path):
    """Neither replaced nor followed by an export that began before."""
    shop = tmp_path / "shop"
    with pytest.raises(UsageError, match="only a push adds one"), writing(shop / exported) as folder:
        (folder / "x").write_text("1")
        make_version(shop / "1", "pushed", blessed=True)
    assert _names(shop) == ["1"] and (shop / "1" / "saved_model.pb").read_text() == "pushed"


def test_what_is_blessed_last_of_all_is_not_exchanged_away(tmp_path, monkeypatch):
    """Between the last look and the rename."""
    shop, rename = tmp_path / "shop", os.rename

    def pushed_first(source, target):
        if not (shop / "1").exists():
            make_version(shop / "1", "pushed", blessed=True)
        rename(source, target)

    monkeypatch.setattr(os, "rename", pushed_first)
    with pytest.raises(UsageError, match="only a push adds one"):
        _write(shop / "1")
    assert _names(shop) == ["1"] and (shop / "1" / "saved_model.pb").read_text() == "pushed"


def test_something_put_there_meanwhile_is_left_alone(tmp_path):
    with pytest.raises(UsageError, match="no export"), writing(tmp_path / "export"):
        (tmp_path / "export").mkdir()
        (tmp_path / "export" / "thesis.txt").write_text("years of work")
    assert _names(tmp_path / "export") == ["thesis.txt"] and _names(tmp_path) == ["export"]


def test_an_empty_folder_and_a_link_are_filled(tmp_path):
    (tmp_path / "empty").mkdir()
    _write(tmp_path / "empty")
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    _write(tmp_path / "link", "through the link")
    assert (tmp_path / "link").is_symlink() and _content(tmp_path / "empty") == "through the link"


def test_a_folder_that_cannot_be_written(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir()
    code = (
        "import os, sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from tfmmrec.serving.paths import writing\n"
        f"os.chdir({str(folder)!r})\n"
        "os.chmod('.', 0o555)\n"
        "os.geteuid() == 0 and os.seteuid(65534)\n"  # what root may do tells nothing
        "try:\n"
        "    with writing('export'): raise SystemExit('it could be written')\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    folder.chmod(0o755)
    assert done.stdout.startswith("UsageError export: nothing can be written beside it (Permission denied)"), done
    assert _names(folder) == []


def test_killed_at_any_moment(tmp_path):
    """What is seen is always whole, and whoever comes next clears up."""
    draw, target, kills, whole = random.Random(5), tmp_path / "export", 0, set()
    for attempt in range(10):
        writer = _writer(target, first=1000 * attempt, count=1000, pause=0.002)
        writer.stdout.readline()  # it has begun
        time.sleep(draw.uniform(0, 0.1))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        kills += any(name != "export" for name in _names(tmp_path))
        whole.add(_content(target))
    assert kills >= 3, "some were killed while they wrote"
    assert len(whole) == 10, "every one had finished something"
    _write(target, "after all that")
    assert _content(target) == "after all that" and _names(tmp_path) == ["export"]


def test_two_at_once(tmp_path):
    """Neither removes what the other is writing, and the place is never empty."""
    target = tmp_path / "export"
    _write(target)
    writers = [_writer(target, first=1000 * place, count=40, pause=0.003) for place in (1, 2)]
    while any(writer.poll() is None for writer in writers):
        assert target.exists()
        time.sleep(0.001)
    for writer in writers:
        assert writer.returncode == 0, writer.stderr.read()
    assert _content(target) in ("1039", "2039") and _names(tmp_path) == ["export"]


def test_where_there_is_no_rename_the_graph_comes_last(tmp_path, monkeypatch):
    target, copied = f"ram://{uuid.uuid4().hex}/export", []
    copy = tf.io.gfile.copy

    def watched(source, destination, overwrite=False):
        copied.append(destination.removeprefix(f"{target}/"))
        copy(source, destination, overwrite)

    monkeypatch.setattr(tf.io.gfile, "copy", watched)
    _write(target, "old")
    assert copied[0] == MODEL_FILE and copied[-1] == "saved_model.pb" and len(copied) == 4
    assert is_export(target) and model_folder(target) == target

    def breaks(source, destination, overwrite=False):
        if len(copied) == 6:
            raise OSError("the line is dead")
        watched(source, destination, overwrite)

    monkeypatch.setattr(tf.io.gfile, "copy", breaks)
    with pytest.raises(OSError, match="the line is dead"):
        _write(target, "new")
    assert not tf.io.gfile.exists(f"{target}/saved_model.pb"), "half a model is no model"
    monkeypatch.setattr(tf.io.gfile, "copy", watched)
    _write(target, "new")
    assert tf.io.gfile.GFile(f"{target}/saved_model.pb").read() == "new"


def test_the_newest_version(tmp_path):
    for name in ("9", "10", "11", "latest", ".12"):
        (tmp_path / name).mkdir()
        if name != "11":  # not uploaded yet
            (tmp_path / name / "saved_model.pb").write_bytes(b"")
    assert model_folder(tmp_path) == str(tmp_path / "10")
    assert model_folder(tmp_path / "9") == str(tmp_path / "9")


def test_no_model(tmp_path):
    with pytest.raises(DataError, match="no such folder; `tfmmrec export RUN` writes a model"):
        model_folder(tmp_path / "nowhere")
    with pytest.raises(DataError, match="expected saved_model.pb, or versions .* found neither"):
        model_folder(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(DataError, match="is the folder of a run; export it with `tfmmrec export"):
        model_folder(tmp_path)
