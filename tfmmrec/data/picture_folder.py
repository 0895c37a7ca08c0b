"""Brings a person's pictures into a dataset's folder: hard links where the file system has them, else copies."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tfmmrec.types import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")


class PictureFolder:
    """Pictures that are named by an id, as in `0000013714.jpg`.

    Args:
        folder: where they lie.
        to: the dataset's folder; the pictures come into `images` there.

    Raises:
        DataError: no such folder, or no picture in it.
    """

    def __init__(self, folder: Path, to: Path):
        if not folder.is_dir():
            raise DataError(f"{folder}: expected a folder of pictures, but it is none; name another")
        self.folder = folder
        self.to = to
        self.names: dict[str, str] = {}
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                stem, suffix = os.path.splitext(entry.name)
                if suffix.lower() in SUFFIXES and entry.is_file():
                    self.names.setdefault(stem, entry.name)
        if not self.names:
            raise DataError(
                f"{folder}: no pictures; expected files that are named by their id, ending in {', '.join(SUFFIXES)}"
            )
        self.num_brought = 0

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def bring(self, name: str) -> str | None:
        """Brings one picture.

        Args:
            name: its id, the file's name without its end.

        Returns:
            The path relative to the dataset's folder, None where there is no such picture.
        """
        file = self.names.get(name)
        if file is None:
            return None
        target = self.to / "images" / file
        target.parent.mkdir(exist_ok=True)
        bring_file(self.folder / file, target)
        self.num_brought += 1
        return f"images/{file}"


def bring_file(source: Path, target: Path) -> None:
    """A hard link to a file, or a copy of it where there can be none: a dataset's folder has all that belongs to it."""
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)
