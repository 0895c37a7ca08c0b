"""What can be chosen of an index."""

from __future__ import annotations

from dataclasses import dataclass

from tfmmrec.search.cells import DTYPES
from tfmmrec.search.scann_ops import scann_ops
from tfmmrec.types import UsageError

KINDS = ("auto", "exact", "ivf", "scann")
IVF_FROM = 50_000
"""As many candidates as make `auto` an inverted file. From here on one that finds 95% of the best 100 answers a query
more than twice as fast as scoring all of them; with fewer there is less to win by what it does not find
(`benchmarks/serving.py --sizes 10000 20000 30000 50000`)."""


@dataclass(frozen=True)
class IndexSettings:
    """What is chosen of an index.

    Attributes:
        kind: exact scores all candidates; ivf the cells that are nearest to the query; auto is exact below 50,000
            candidates, and where an inverted file would have to read more than a quarter of the cells; scann has
            the cells and codes of ScaNN, for servers that are built with its operations.
        cells: of an ivf or scann index; twice the root of the number of candidates when None.
        probes: how many cells a query reads at first; when None the fewest that `recall` needs.
        dtype: of the vectors in the cells of ivf: int8, bfloat16 or float32. Scores are in float32 all the same.
        recall: the part of the exact best 100 that queries of the dataset shall find.

    Raises:
        UsageError: a kind or type that there is not, numbers out of their ranges, or scann where it is not
            installed.
    """

    kind: str = "auto"
    cells: int | None = None
    probes: int | None = None
    dtype: str = "int8"
    recall: float = 0.95

    def __post_init__(self):
        if self.kind not in KINDS:
            raise UsageError(f"an index can be {', '.join(KINDS)}, got {self.kind!r}")
        if self.dtype not in DTYPES:
            raise UsageError(f"the vectors of an ivf index can be {', '.join(DTYPES)}, got {self.dtype!r}")
        for name in ("cells", "probes"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise UsageError(f"an index needs at least 1 of its {name}, got {number}")
        if not 0 < self.recall <= 1:
            raise UsageError(f"the recall of an index must be above 0 and at most 1, got {self.recall}")
        chosen = [name for name in ("cells", "probes") if getattr(self, name) is not None]
        if self.kind == "exact" and chosen:
            raise UsageError(f"an exact index has no {' and no '.join(chosen)}; leave them out, or choose ivf")
        if self.kind == "scann":
            if self.dtype != IndexSettings.dtype:
                raise UsageError(f"ScaNN keeps codes of its own, so they cannot be {self.dtype}; leave the type out")
            scann_ops()
