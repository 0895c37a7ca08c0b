"""A folder appears whole or not at all; tests/serving/test_paths.py kills writers, and lets two write at once."""

import pytest

from tfmmrec.staging import hidden_folder, staged
from tfmmrec.types import UsageError


def anything(target):
    """Whatever stands there may be replaced."""


def test_it_appears_when_it_is_complete_and_replaces_what_was_there(tmp_path):
    target = tmp_path / "deep" / "encoder"
    for text in ("one", "two"):
        with staged(target, anything) as folder:
            (folder / "x").write_text(text)
        assert (target / "x").read_text() == text
        assert [path.name for path in target.parent.iterdir()] == ["encoder"]


def test_a_failure_leaves_what_was_there(tmp_path):
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "x").write_text("old")
    with pytest.raises(RuntimeError, match="on the way"), staged(tmp_path / "encoder", anything) as folder:
        (folder / "x").write_text("new")
        raise RuntimeError("on the way")
    assert [path.name for path in tmp_path.iterdir()] == ["encoder"]
    assert (tmp_path / "encoder" / "x").read_text() == "old"


def test_what_must_not_be_replaced_is_asked_for_before_anything_is_written(tmp_path):
    def never(target):
        raise UsageError(f"{target}: is taken")

    with pytest.raises(UsageError, match="encoder: is taken"), staged(tmp_path / "encoder", never):
        raise AssertionError("the block must not be entered")
    assert not list(tmp_path.iterdir())


def test_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="encoder: nothing can be written beside it"):
        with staged(tmp_path / "file" / "encoder", anything):
            pass


def test_a_hidden_folder_is_renamed_by_whom_it_is_for_or_vanishes(tmp_path):
    with hidden_folder(tmp_path / "shop" / "version") as folder:
        assert folder.parent == tmp_path / "shop" and folder.name.startswith(".version.export-")
        (folder / "model").mkdir()
        (folder / "rest").touch()
        with hidden_folder(tmp_path / "shop" / "version") as other:
            assert other != folder and folder.exists(), "what somebody is writing is not cleared away"
        (folder / "model").rename(tmp_path / "shop" / "7")
    assert [path.name for path in (tmp_path / "shop").iterdir()] == ["7"]
