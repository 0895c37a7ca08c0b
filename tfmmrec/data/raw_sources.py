"""What a public dataset is called, where it comes from and on which terms; finding its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tfmmrec.types import DataError


@dataclass(frozen=True)
class Source:
    """A public dataset.

    Attributes:
        name: as people call it.
        page: where it is described and downloaded from.
        terms: on which terms, as far as they are stated there.
    """

    name: str
    page: str
    terms: str

    def find(self, folder: Path, *choices: Sequence[str]) -> Path:
        """The folder that holds all files of one choice: `folder`, or the one folder in it that does.

        Args:
            folder: where a person put the download.
            choices: names of files that belong together; `*` stands for anything.

        Raises:
            DataError: says what was expected, what was found, and where to get it.
        """
        if not folder.is_dir():
            found = "is a file" if folder.exists() else "does not exist"
            raise DataError(f"{folder}: expected the folder of {self.name}, but it {found}. {self.where()}")
        inner = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        holding = [place for place in (folder, *inner) if any(_holds(place, names) for names in choices)]
        if holding and (holding[0] == folder or len(holding) == 1):
            return holding[0]
        if holding:
            listed = ", ".join(str(place) for place in holding[:5])
            raise DataError(f"{folder}: {self.name} is there more than once ({listed}); name one of these folders")
        raise self.missing(folder, " or ".join(" and ".join(names) for names in choices))

    def missing(self, folder: Path, expected: str) -> DataError:
        """The error for a folder without the expected files."""
        names = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir())
        found = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "") or "nothing"
        return DataError(f"{folder}: expected {expected}, found {found}. {self.where()}")

    def where(self) -> str:
        """Where to get the files, and on which terms."""
        return f"{self.name} comes from {self.page} ({self.terms})"


def _holds(folder: Path, names: Sequence[str]) -> bool:
    return all(any(path.is_file() for path in folder.glob(name)) for name in names)
