"""The encoders of a side's ids by name: a row for each, or fewer rows that ids share."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from tfmmrec.encoders.encoder import Encoder
from tfmmrec.encoders.hashed_identifier import HashedIdentifier
from tfmmrec.encoders.identifier import IdentifierEncoder
from tfmmrec.encoders.quotient_remainder_identifier import QuotientRemainderIdentifier
from tfmmrec.encoders.tpu_identifier import TpuIdentifier
from tfmmrec.types import UsageError

_LOG = logging.getLogger(__name__)
_SHARED: dict[str, type[Encoder]] = {"hashed": HashedIdentifier, "quotient_remainder": QuotientRemainderIdentifier}
IDENTIFIERS: tuple[str, ...] = ("table", *_SHARED, "tpu_embedding")


def identifier_encoder(
    kind: str,
    ids: Sequence[str],
    dim: int,
    num_buckets: int | None = None,
    dropout: float = 0.0,
    table: type[IdentifierEncoder] = IdentifierEncoder,
) -> Encoder:
    """An encoder of ids, named `id`, to which all other ids are unknown.

    Args:
        kind: a name of `IDENTIFIERS`.
        ids: the known ones.
        dim: size of their vectors.
        num_buckets: rows of the shared table, of all kinds but table and tpu_embedding; a quarter of the ids when None.
            With as many rows as ids nothing is saved, which is told in a warning.
        dropout: share of the ids made absent in training.
        table: the encoder that the kind table means.

    Raises:
        UsageError: a number out of range, or of quotient_remainder more buckets than ids.
    """
    if kind == "table":
        return table(ids, dim, dropout=dropout, name="id")
    if kind == "tpu_embedding":
        return TpuIdentifier(ids, dim, dropout=dropout, name="id")
    if num_buckets is not None and num_buckets >= len(ids):
        _LOG.warning(
            "%d buckets (identifier_buckets, query_identifier_buckets) save nothing over a row for each of the %d ids: "
            "take fewer, or leave them out for a quarter of the ids, or take identifier=table",
            num_buckets,
            len(ids),
        )
    quarter = max(-(-len(ids) // 4), 1)
    return _SHARED[kind](ids, dim, quarter if num_buckets is None else num_buckets, dropout=dropout, name="id")


def check_identifiers(kind: str, buckets: dict[str, int | None], has_id: dict[str, bool]) -> None:
    """Refuses what the ids of a model cannot be.

    Args:
        kind: of the encoders.
        buckets: setting -> how many buckets were asked for, None for not.
        has_id: the same settings -> whether that side of the model has an id.

    Raises:
        UsageError: an unknown kind, or a kind or buckets of what has none.
    """
    if kind not in IDENTIFIERS:
        raise UsageError(f"identifier must be one of {', '.join(IDENTIFIERS)}, got {kind!r}")
    if kind != "table" and not any(has_id.values()):
        raise UsageError(f"identifier={kind}, but the model has no id on either side; leave it out")
    for name, asked in buckets.items():
        if asked is None:
            continue
        if kind not in _SHARED:
            raise UsageError(
                f"{name}={asked}, but identifier={kind} has a row for every id; take identifier=hashed or "
                "quotient_remainder with it"
            )
        if not has_id[name]:
            raise UsageError(f"{name}={asked}, but the model has no id on that side; leave it out")
