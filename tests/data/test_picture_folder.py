import os

import pytest
from PIL import Image

from tfmmrec.data import picture_folder
from tfmmrec.data.picture_folder import PictureFolder
from tfmmrec.types import DataError


@pytest.fixture
def pictures(tmp_path):
    """Two pictures, a text, and an empty dataset's folder."""
    folder, to = tmp_path / "pictures", tmp_path / "dataset"
    folder.mkdir()
    to.mkdir()
    for name in ("007.JPG", "b.png"):
        Image.new("RGB", (4, 4), "red").save(folder / name)
    (folder / "c.txt").write_text("no picture")
    return folder, to


def test_pictures_are_found_by_their_id_and_linked(pictures):
    folder, to = pictures
    found = PictureFolder(folder, to)
    assert "007" in found and "7" not in found and "c" not in found
    assert found.bring("007") == "images/007.JPG" and found.bring("c") is None
    assert os.path.samefile(folder / "007.JPG", to / "images" / "007.JPG")
    assert not (to / "images" / "007.JPG").is_symlink(), "a dataset's pictures must not lead out of its folder"
    assert found.num_brought == 1


def test_a_link_to_a_picture_is_followed(pictures):
    folder, to = pictures
    (folder / "d.png").symlink_to(folder / "b.png")
    PictureFolder(folder, to).bring("d")
    assert not (to / "images" / "d.png").is_symlink()


def test_where_there_can_be_no_link_it_is_copied(pictures, monkeypatch):
    def refuse(*paths):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(picture_folder.os, "link", refuse)
    folder, to = pictures
    PictureFolder(folder, to).bring("b")
    assert (to / "images" / "b.png").read_bytes() == (folder / "b.png").read_bytes()
    assert not os.path.samefile(folder / "b.png", to / "images" / "b.png")


def test_folders_without_pictures_are_refused(pictures):
    folder, to = pictures
    with pytest.raises(DataError, match="expected a folder of pictures, but it is none"):
        PictureFolder(folder / "nowhere", to)
    with pytest.raises(DataError, match=r"no pictures; expected files that are named by their id, ending in \.jpg"):
        PictureFolder(to, to)
