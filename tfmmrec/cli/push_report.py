"""How commands that publish show what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfmmrec.cli.output import Refusal, console, table

if TYPE_CHECKING:
    from tfmmrec.serving.push import Pushed


def report_push(pushed: Pushed, to: str) -> dict[str, Any]:
    """Prints the checks and the outcome of a push.

    Args:
        pushed: what became of it.
        to: BASE/NAME, as it was given.

    Returns:
        What `--json` prints.

    Raises:
        Refusal: it was refused.
    """
    out = console()
    rows = [["" if check.passed else "short", check.name, check.says] for check in pushed.blessing.checks]
    out.print(table(["", "check", ""], rows))
    for note in [*pushed.blessing.notes, *pushed.notes]:
        out.print(note, markup=False, soft_wrap=True)
    answer = {"path": None if pushed.path is None else str(pushed.path), **pushed.record, "notes": pushed.notes}
    if not pushed.is_published:
        failed = ", ".join(check.name for check in pushed.blessing.checks if not check.passed)
        before = pushed.record["before"]
        stays = "there is still no version in service" if before is None else f"version {before} stays in service"
        raise Refusal(
            f"{to}: refused, {stays}. What fell short: {failed}. The record, with how much, stands in "
            f"{to}/history.jsonl; --force publishes it all the same",
            answer,
        )
    how = " by force" if pushed.outcome == "forced" else ""
    out.print(f"Published {to}/{pushed.version}{how}", markup=False, style="bold", soft_wrap=True)
    return answer
