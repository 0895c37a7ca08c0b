import pyarrow as pa
import pytest

from tfmmrec.data.media import NOUNS, MediaError, check_paths, read_media
from tfmmrec.schema import MEDIA_KINDS
from tfmmrec.types import DataError


def test_every_kind_has_its_noun():
    assert set(MEDIA_KINDS) <= set(NOUNS)


def test_paths_are_checked_without_opening(tmp_path):
    root = tmp_path / "data"
    (root / "p").mkdir(parents=True)
    (root / "p" / "a.png").write_bytes(b"12345")
    (root / "p" / "b.png").symlink_to(root / "p" / "a.png")
    found = check_paths(root, pa.array(["p/a.png", None, "p/no.png", "p/b.png", "q/x.png", "bad\0name"]), str)
    assert found.missing.tolist() == [2, 4, 5] and found.total_bytes == 10


@pytest.mark.parametrize("path", ["../x.png", "/etc/passwd", "p/../../x.png", "link.png", "linked/x.png", ".."])
def test_paths_that_leave_the_folder_are_refused_with_their_row(tmp_path, path):
    root = tmp_path / "data"
    (root / "p").mkdir(parents=True)
    (root / "fine.png").write_bytes(b"x")
    (tmp_path / "x.png").write_bytes(b"x")
    (root / "link.png").symlink_to(tmp_path / "x.png")
    (root / "linked").symlink_to(tmp_path)
    with pytest.raises(DataError) as caught:
        check_paths(root, pa.array(["fine.png", path]), lambda row: f"items.csv, row {row + 1}")
    assert f"items.csv, row 2: the path {path!r} leaves the dataset's folder" in str(caught.value)


def test_reading(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    assert read_media(tmp_path, "a.png") == b"x" and read_media(None, b"y") == b"y"
    with pytest.raises(MediaError, match="missing picture file: 'b.png'"):
        read_media(tmp_path, "b.png")
    with pytest.raises(MediaError, match="unreadable picture file: 'folder'"):
        read_media(tmp_path, "folder")
    with pytest.raises(MediaError, match="missing sound file: 'b.wav'"):
        read_media(tmp_path, "b.wav", "audio")
    with pytest.raises(MediaError, match="sound too large: 'a.png': 1 bytes, at most 0 are read"):
        read_media(tmp_path, "a.png", "audio", max_bytes=0)
