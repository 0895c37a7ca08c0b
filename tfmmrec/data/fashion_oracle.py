"""The true taste behind a generated catalogue `fashion`: what the best possible ranking is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfmmrec.data.fashion_taste import PARTS
from tfmmrec.types import DataError, UsageError

_ATTRIBUTE = "attribute_"


@dataclass(frozen=True)
class Oracle:
    """The true taste behind a generated catalogue: the best ranking there can be.

    Attributes:
        query_vectors: `[num_queries, dim]` float32, in the row order of queries.csv.
        candidate_vectors: `[num_candidates, dim]` float32, in the row order of items.csv.
        terms: for each of the `dim` columns its term of the utility, a key of `VARIANCE_SHARES`.
        attributes: attribute (`"colour"`) -> `[num_candidates]` str, the truth about each garment.
        cold_candidates: `[num_candidates]` bool, True where train has no choice of it.
    """

    query_vectors: np.ndarray
    candidate_vectors: np.ndarray
    terms: np.ndarray
    attributes: dict[str, np.ndarray]
    cold_candidates: np.ndarray

    def scores(self, query_rows: np.ndarray, parts: Sequence[str] = tuple(PARTS)) -> np.ndarray:
        """The utility of every garment.

        Args:
            query_rows: `[batch]` int, rows of queries.csv.
            parts: what to count of `"look"`, `"words"` and `"popularity"`.

        Returns:
            `[batch, num_candidates]` float32; with all parts the best ranking.

        Raises:
            UsageError: for an unknown part.
        """
        if unknown := sorted(set(parts) - set(PARTS)):
            raise UsageError(f"unknown parts {unknown}; pass some of {', '.join(PARTS)}")
        columns = np.isin(self.terms, [term for part in parts for term in PARTS[part]])
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
        )


def load_oracle(folder: str | Path) -> Oracle:
    """Reads the true taste of a folder that `write_fashion` made.

    Raises:
        DataError: when the folder has none.
    """
    path = Path(folder) / "oracle.npz"
    if not path.is_file():
        raise DataError(f"{path}: not found; only folders made by write_fashion have an oracle")
    with np.load(path, allow_pickle=False) as arrays:
        return Oracle(
            query_vectors=arrays["query_vectors"],
            candidate_vectors=arrays["candidate_vectors"],
            terms=arrays["terms"],
            attributes={n.removeprefix(_ATTRIBUTE): arrays[n] for n in arrays if n.startswith(_ATTRIBUTE)},
            cold_candidates=arrays["cold_candidates"],
        )
