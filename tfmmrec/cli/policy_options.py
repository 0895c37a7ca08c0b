"""The options of commands that publish, and the policy that they make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tfmmrec.types import UsageError

if TYPE_CHECKING:
    from tfmmrec.serving.policy import Policy

PolicyFile = Annotated[
    Path | None, typer.Option(help="A yaml file of what a model must be; options go before it.", show_default=False)
]
MinRecall = Annotated[float | None, typer.Option(help="Least recall of all queries.", show_default=False)]
MinCoverage = Annotated[
    float | None, typer.Option(help="Least share of the catalogue that is recommended.", show_default=False)
]
MaxLoss = Annotated[
    list[str] | None,
    typer.Option(
        help="SLICE=SHARE: how much of the metric in service may be lost, of all, warm (.05) or cold (.1).",
        show_default=False,
    ),
]
MaxLatencyRatio = Annotated[
    float | None, typer.Option(help="Most times the median latency in service (2).", show_default=False)
]
MaxP99Ms = Annotated[
    float | None, typer.Option(help="Most milliseconds of the slowest hundredth of requests.", show_default=False)
]
MaxSizeRatio = Annotated[float | None, typer.Option(help="Most times the size in service (2).", show_default=False)]
Force = Annotated[bool, typer.Option("--force", help="Publish it though checks fall short; this is recorded.")]


def policy_of(
    policy: Path | None,
    min_recall: float | None = None,
    min_coverage: float | None = None,
    max_loss: list[str] | None = None,
    max_latency_ratio: float | None = None,
    max_p99_ms: float | None = None,
    max_size_ratio: float | None = None,
) -> Policy:
    """The policy of a file and of options.

    Raises:
        UsageError: `max_loss` is not of SLICE=SHARE.
        DataError: the file cannot be read.
        pydantic.ValidationError: a value is out of its range.
    """
    from tfmmrec.serving.policy import read_policy

    return read_policy(
        policy,
        min_recall=min_recall,
        min_coverage=min_coverage,
        max_loss=_losses(max_loss) or None,
        max_latency_ratio=max_latency_ratio,
        max_p99_ms=max_p99_ms,
        max_size_ratio=max_size_ratio,
    )


def _losses(given: list[str] | None) -> dict[str, float]:
    losses = {}
    for pair in given or []:
        name, _, share = pair.partition("=")
        try:
            losses[name] = float(share)
        except ValueError:
            raise UsageError(f"--max-loss takes SLICE=SHARE such as cold=0.2, got {pair!r}") from None
    return losses
