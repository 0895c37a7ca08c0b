"""The true taste behind an embedded catalogue: what the best possible ranking is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfmmrec.types import DataError, UsageError

_ATTRIBUTE = "attribute_"
_PART = "part_"

_FASHION = {  # of folders that were written before oracles said it themselves
    "look": ("type", "colour", "pattern"),
    "words": ("fabric", "occasion", "season"),
    "popularity": ("brand", "garment"),
}


@dataclass(frozen=True)
class Oracle:
    """The true taste behind a generated catalogue: the best ranking there can be.

    Attributes:
        query_vectors: `[num_queries, dim]` float32, in the row order of queries.csv.
        candidate_vectors: `[num_candidates, dim]` float32, in the row order of items.csv.
        terms: for each of the `dim` columns its term of the utility, such as "colour".
        parts: part of the taste (`"look"`) -> its terms.
        attributes: attribute (`"colour"`) -> `[num_candidates]` str, the truth about each candidate.
        cold_candidates: `[num_candidates]` bool, True where train has no choice of it.
    """

    query_vectors: np.ndarray
    candidate_vectors: np.ndarray
    terms: np.ndarray
    parts: Mapping[str, tuple[str, ...]]
    attributes: dict[str, np.ndarray]
    cold_candidates: np.ndarray

    def scores(self, query_rows: np.ndarray, parts: Sequence[str] | None = None) -> np.ndarray:
        """The utility of every candidate.

        Args:
            query_rows: `[batch]` int, rows of queries.csv.
            parts: what to count, some of `parts`; all when None.

        Returns:
            `[batch, num_candidates]` float32; with all parts the best ranking.

        Raises:
            UsageError: for an unknown part.
        """
        parts = tuple(self.parts) if parts is None else parts
        if unknown := sorted(set(parts) - set(self.parts)):
            raise UsageError(f"unknown parts {unknown}; pass some of {', '.join(self.parts)}")
        columns = np.isin(self.terms, [term for part in parts for term in self.parts[part]])
        return self.query_vectors[query_rows][:, columns] @ self.candidate_vectors[:, columns].T

    def save(self, path: str | Path) -> None:
        """Writes it as an `.npz` file."""
        np.savez(
            path,
            query_vectors=self.query_vectors,
            candidate_vectors=self.candidate_vectors,
            terms=self.terms,
            cold_candidates=self.cold_candidates,
            **{_ATTRIBUTE + name: values for name, values in self.attributes.items()},
            **{_PART + name: np.array(terms) for name, terms in self.parts.items()},
        )


def load_oracle(folder: str | Path) -> Oracle:
    """Reads the true taste of an embedded catalogue's folder.

    Raises:
        DataError: when the folder has none.
    """
    path = Path(folder) / "oracle.npz"
    if not path.is_file():
        raise DataError(f"{path}: not found; only the folders of embedded catalogues have an oracle")
    with np.load(path, allow_pickle=False) as arrays:
        parts = {n.removeprefix(_PART): tuple(arrays[n].tolist()) for n in arrays if n.startswith(_PART)}
        return Oracle(
            query_vectors=arrays["query_vectors"],
            candidate_vectors=arrays["candidate_vectors"],
            terms=arrays["terms"],
            parts=parts or _FASHION,
            attributes={n.removeprefix(_ATTRIBUTE): arrays[n] for n in arrays if n.startswith(_ATTRIBUTE)},
            cold_candidates=arrays["cold_candidates"],
        )
