import shutil
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest

from tests.serving.development_server.small_model import write_small
from tfmmrec.serving.development_server import served_versions
from tfmmrec.serving.development_server.model_version import ModelVersion
from tfmmrec.serving.development_server.request_error import RequestError
from tfmmrec.serving.development_server.served_versions import ServedVersions

X = np.ones([1, 2], np.float32)


@pytest.fixture
def folder(small, tmp_path):
    """A copy of the small model as version 1."""
    shutil.copytree(small, tmp_path / "models" / "1")
    return tmp_path / "models"


@pytest.fixture
def versions(folder):
    made = ServedVersions(str(folder), "m", [].append)
    made.poll()
    yield made
    made.close()


def _double(versions, number=None):
    with versions.lease("m", number) as version:
        return version.number, version.run("double", {"x": X})["y"].tolist()


def _states(versions):
    return {state.number: state.state for state in versions.states()}


def test_the_newest_serves_and_the_older_leaves(versions, folder):
    assert _double(versions) == (1, [[2, 2]]) and versions.current == 1
    shutil.copytree(folder / "1", folder / "00000010")
    versions.poll()
    assert versions.current == 10 and _states(versions) == {10: "AVAILABLE", 1: "END"}
    assert _double(versions)[0] == _double(versions, 10)[0] == 10
    with pytest.raises(RequestError, match=r"Servable not found for request: Specific\(m, 1\)") as caught:
        _double(versions, 1)
    assert caught.value.code == "NOT_FOUND"


def test_a_request_under_way_ends_on_its_version(versions, folder):
    with versions.lease("m") as version:
        (folder / "1").rename(folder / "2")
        versions.poll()
        assert versions.current == 2 and _states(versions)[1] == "UNLOADING"
        assert version.number == 1 and version.run("double", {"x": X})["y"].tolist() == [[2, 2]]
    assert version.is_closed
    versions.poll()
    assert _states(versions) == {2: "AVAILABLE"}, "what has vanished and is closed is forgotten"


def test_what_vanishes_is_served_no_more(versions, folder):
    shutil.copytree(folder / "1", folder / "2")
    versions.poll()
    shutil.rmtree(folder / "2")
    versions.poll()
    assert versions.current == 1, "as after a rollback"
    shutil.rmtree(folder / "1")
    versions.poll()
    assert versions.current is None
    with pytest.raises(RequestError, match=r"Servable not found for request: Latest\(m\)"):
        _double(versions)
    shutil.rmtree(folder)
    versions.poll()
    assert versions.current is None


@pytest.fixture
def slow_load(monkeypatch):
    """`slow_load(number, meanwhile)`: while that version is loaded, `meanwhile()` happens."""

    def begin(slow, meanwhile):
        def load(number, path):
            made = ModelVersion(number, path)
            if number == slow:
                meanwhile()
            return made

        monkeypatch.setattr(served_versions, "ModelVersion", load)

    return begin


def _withdraw(folder, number):
    (folder / ".withdrawn").mkdir(exist_ok=True)
    (folder / str(number)).rename(folder / ".withdrawn" / str(number))


def _remove(folder, number):
    shutil.rmtree(folder / str(number))


def _remove_under_its_loading(folder, number):
    _remove(folder, number)
    raise FileNotFoundError("variables")


@pytest.mark.parametrize("leave", [_withdraw, _remove, _remove_under_its_loading])
def test_what_leaves_while_it_is_loaded_never_serves(folder, slow_load, leave):
    told = []
    versions = ServedVersions(str(folder), "m", told.append)
    versions.poll()
    write_small(folder / "2", factor=11.0)
    slow_load(2, lambda: leave(folder, 2))
    versions.poll()
    assert versions.current == 1 and _double(versions) == (1, [[2, 2]]) and _states(versions) == {1: "AVAILABLE"}
    assert told == [
        "Loading version 1 of m ...",
        "Version 1 of m is served; 2 warmup requests answered",
        "Loading version 2 of m ...",
        "Version 2 of m left while it was loaded, and is not served; version 1 stays",
    ]
    versions.close()


def test_what_was_withdrawn_and_comes_back_serves(versions, folder, slow_load):
    shutil.copytree(folder / "1", folder / "2")
    slow_load(2, lambda: _withdraw(folder, 2))
    versions.poll()
    assert versions.current == 1
    (folder / ".withdrawn" / "2").rename(folder / "2")
    slow_load(None, None)
    versions.poll()
    assert versions.current == 2


def test_both_leave_while_the_newer_is_loaded(folder, slow_load):
    """As `rollback --to 1` has it where 2 serves and 3 is being loaded: 1 is loaded at once, not at the next look."""

    def leave():
        _withdraw(folder, 3)
        _withdraw(folder, 2)

    versions = ServedVersions(str(folder), "m", [].append)
    (folder / "1").rename(folder / "2")
    versions.poll()
    for number in (1, 3):
        shutil.copytree(folder / "2", folder / str(number))
    slow_load(3, leave)
    versions.poll()
    assert versions.current == 1 and _states(versions)[1] == "AVAILABLE" and 3 not in _states(versions)
    versions.close()


def test_a_first_version_that_leaves_while_it_is_loaded(folder, slow_load):
    versions = ServedVersions(str(folder), "m", [].append)
    slow_load(1, lambda: _withdraw(folder, 1))
    versions.poll()
    assert versions.current is None and versions.states() == []


def test_a_folder_that_cannot_be_read_changes_nothing(versions, folder):
    folder.rename(folder.parent / "away")
    versions.poll()
    assert _double(versions)[0] == 1


def test_names_that_are_no_versions(versions, folder):
    for name in (".2.export-abc", "3x", "-4", "latest", "٥", "9" * 30):
        shutil.copytree(folder / "1", folder / name)
    (folder / "6").write_text("a file")
    versions.poll()
    assert versions.current == 1 and set(_states(versions)) == {1}


def test_other_models_and_labels(versions):
    with pytest.raises(RequestError, match=r"Latest\(other\)"):
        with versions.lease("other"):
            pass
    with pytest.raises(RequestError, match="Unrecognized servable version label: stable") as caught:
        with versions.lease("m", label="stable"):
            pass
    assert caught.value.code == "INVALID_ARGUMENT"


def _truncated(folder: Path) -> None:
    graph = folder / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:2_000])


def _garbled(folder: Path) -> None:
    graph = folder / "saved_model.pb"
    content = bytearray(graph.read_bytes())
    content[100:5_000] = bytes(range(256)) * 20
    graph.write_bytes(bytes(content))


def _garbled_weights(folder: Path) -> None:
    for file in (folder / "variables").iterdir():
        file.write_bytes(file.read_bytes()[::-1])


BREAK = {
    "no graph": lambda folder: (folder / "saved_model.pb").unlink(),
    "an empty graph": lambda folder: (folder / "saved_model.pb").write_bytes(b""),
    "half a graph": _truncated,
    "a garbled graph": _garbled,
    "no weights": lambda folder: shutil.rmtree(folder / "variables"),
    "garbled weights": _garbled_weights,
    "garbled warmup": lambda folder: next((folder / "assets.extra").iterdir()).write_bytes(b"?" * 50),
}


@pytest.mark.parametrize("how", BREAK)
def test_a_broken_version_is_reported_and_the_older_serves(folder, how):
    told = []
    versions = ServedVersions(str(folder), "m", told.append)
    versions.poll()
    shutil.copytree(folder / "1", folder / "2")
    BREAK[how](folder / "2")
    versions.poll()
    assert _double(versions) == (1, [[2, 2]])
    (broken,) = [state for state in versions.states() if state.number == 2]
    assert broken.state == "END" and broken.error and "Traceback" not in broken.error
    assert told[-1].startswith("Version 2 of m cannot be loaded; version 1 stays: "), told
    count = len(told)
    versions.poll()
    assert len(told) == count, "what has not changed is not tried again"
    shutil.rmtree(folder / "2")
    shutil.copytree(folder / "1", folder / "2")
    versions.poll()
    assert versions.current == 2, "what has been mended is"
    versions.close()


def test_no_request_is_dropped_while_versions_change(versions, folder, tmp_path):
    failed, numbers, done = [], set(), threading.Event()

    def ask():
        while not done.is_set():
            try:
                number, values = _double(versions)
                numbers.add(number)
                failed.extend([] if values == [[2, 2]] else [values])
            except Exception as error:
                failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in (2, 3):
        shutil.copytree(folder / "1", tmp_path / str(number))
        (tmp_path / str(number)).rename(folder / str(number))
        versions.poll()
    done.set()
    for thread in threads:
        thread.join()
    assert not failed and numbers >= {1, 2}


def test_another_model_under_the_next_number(versions, folder):
    write_small(folder / "4", factor=11.0)
    versions.poll()
    with versions.lease("m") as version:
        inputs = {"x": X, "name": np.array([b""], object), "times": np.ones(1, np.int32)}
        inputs["words"] = np.array([[b"", b"", b""]], object)
        assert version.run("scale", inputs)["y"].tolist() == [[11, 11]]


def test_a_version_that_has_left_leaves_nothing_behind(versions, folder):
    with versions.lease("m") as version:
        session = weakref.ref(version._session)
        graph = weakref.ref(version._session.graph)
    del version
    (folder / "1").rename(folder / "2")
    versions.poll()
    assert session() is None and graph() is None
