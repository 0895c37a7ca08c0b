"""What reads a query's history, by name."""

from __future__ import annotations

from tfmmrec.encoders.history import HistoryEncoder, PastCandidates
from tfmmrec.encoders.sequence_history import KINDS, SequenceHistoryEncoder
from tfmmrec.schema import Schema
from tfmmrec.types import UsageError

HISTORY_ENCODERS: tuple[str, ...] = ("mean", *KINDS)


def history_encoder(kind: str, schema: Schema, dropout: float, **of_sequence) -> PastCandidates | None:
    """The encoder of a dataset's histories; None where it has none.

    A sequence needs times. With them a history is what came before its targets, under every loss: before the row's own
    candidate where rows are interactions, before a random moment where they are queries, less what is chosen again
    later. So there is nothing in it to copy. Without times a history is a choice of the query's other candidates in no
    order, from which there is no order to learn.

    Args:
        kind: a name of `HISTORY_ENCODERS`.
        schema: the dataset's description.
        dropout: share of a history's entries left out in training.
        of_sequence: options of `SequenceHistoryEncoder`; the mean has none of them.

    Raises:
        UsageError: an unknown kind, or a sequence where there is no history or where interactions have no times.
    """
    if kind not in HISTORY_ENCODERS:
        raise UsageError(f"history_encoder must be one of {', '.join(HISTORY_ENCODERS)}, got {kind!r}")
    length = schema.queries.history.length if schema.queries.history is not None else 0
    if kind == "mean":
        return HistoryEncoder(length, dropout=dropout, name="history") if length else None
    if not length:
        raise UsageError(
            f"history_encoder={kind} reads histories, this dataset has none; set queries.history in its config"
        )
    if schema.interactions.timestamp is None:
        raise UsageError(
            f"history_encoder={kind} reads a history in its order, but these interactions have no times; set "
            "interactions.timestamp to the column that has them, or take history_encoder=mean"
        )
    return SequenceHistoryEncoder(length, kind, dropout=dropout, name="history", **of_sequence)
