"""Candidates as a reader knows them: picture, title, and what is to be said of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tfmmrec.data.dataset import Dataset
from tfmmrec.report.markup import Markup, element, join
from tfmmrec.report.pictures import picture_uri, typical_shape

_SEEN = ("image", "video")


class Gallery:
    """Shows candidates by the schema's `candidates.display`.

    Without `display` the first text and the first picture, or else video, among the features are shown; without a text
    the id.

    Args:
        dataset: whose candidates.

    Attributes:
        picture: the image or video feature that is shown, None where there is none.
        num_unreadable: pictures asked for that could not be shown, though the table has them.
    """

    def __init__(self, dataset: Dataset):
        self.candidates = dataset.candidates
        described = dataset.schema.candidates
        seen = [name for name, feature in described.features.items() if feature.kind in _SEEN]
        seen.sort(key=lambda name: _SEEN.index(described.features[name].kind))
        unseen = [name for name, feature in described.features.items() if feature.kind == "audio"]
        texts = [name for name, feature in described.features.items() if feature.kind == "text"]
        shown = described.display or (*texts[:1], *seen[:1])
        self.picture = next((name for name in shown if name in seen), None)
        self._kind = "image" if self.picture is None else described.features[self.picture].kind
        self._columns = [
            self.candidates.display[name] if name in self.candidates.display else self.candidates.features[name]
            for name in shown
            if name not in seen + unseen
        ]
        self._shape = typical_shape(self._first_pictures())
        self._uris: dict[int, str | None] = {}
        self._unreadable: set[int] = set()

    @property
    def num_unreadable(self) -> int:
        return len(self._unreadable)

    def words(self, row: int) -> list[str]:
        """What is written under a candidate: its title, then the other columns that are shown."""
        cells = [column[row].as_py() for column in self._columns]
        texts = [str(cell) for cell in cells if cell and not isinstance(cell, bytes)]
        return texts or [self.candidates.ids[row].as_py()]

    def title(self, row: int) -> str:
        """The first of the words."""
        return self.words(row)[0]

    def strip(
        self,
        rows: Sequence[int],
        hits: Iterable[int] = (),
        cold: Iterable[int] = (),
        captions: Mapping[int, Sequence[str]] | None = None,
        mark: str = "hit",
    ) -> Markup:
        """Candidates side by side, in their order.

        Args:
            rows: candidate rows.
            hits: those that should have been found.
            cold: those that training never saw.
            captions: lines under the title of each, in place of the other columns that are shown.
            mark: what is written on a hit.
        """
        hits, cold = set(hits), set(cold)
        kind = "strip" if self.picture else "strip bare"
        return element(
            "ol",
            *(
                self._tile(row, mark if row in hits else None, row in cold, None if captions is None else captions[row])
                for row in rows
            ),
            class_=kind,
            style=f"--shape: {self._shape:.3g}",
        )

    def _first_pictures(self) -> list[bytes]:
        if self.picture is None:
            return []
        there = self.candidates.features[self.picture].is_valid().to_numpy(zero_copy_only=False)
        return self.candidates.media_bytes(self.picture, np.flatnonzero(there)[:15], self._kind)

    def _tile(self, row: int, hit: str | None, is_cold: bool, caption: Sequence[str] | None) -> Markup:
        title, *others = self.words(row)
        marks = [element("span", f"✓ {hit}", class_="mark hit") if hit else None]
        marks.append(element("span", "cold", class_="mark cold") if is_cold else None)
        text = [element("span", title, class_="title", title=title)]
        others = [" · ".join(others)] if caption is None else caption
        text += [element("span", line, class_="also") for line in others if line]
        picture = element("div", self._picture(row, title), *marks, class_="frame") if self.picture else join(marks)
        return element("li", picture, *text, class_="hit" if hit else None)

    def _picture(self, row: int, title: str) -> Markup:
        if row not in self._uris:
            there = self.candidates.features[self.picture][row].as_py() is not None
            self._uris[row] = picture_uri(self.candidates.media_bytes(self.picture, [row], self._kind)[0])
            if there and self._uris[row] is None:
                self._unreadable.add(row)
        uri = self._uris[row]
        if uri is None:
            return element("span", "no picture", class_="blank")
        return element("img", src=uri, alt=f"{self.picture} of {title}", loading="lazy", decoding="async")
