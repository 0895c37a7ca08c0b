"""What people and machines are told of a push."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfmmrec.cli.output import Refusal
from tfmmrec.cli.push_report import report_push
from tfmmrec.serving.blessing import Blessing
from tfmmrec.serving.checks import Check
from tfmmrec.serving.policy import Policy
from tfmmrec.serving.push import Pushed

CHECKS = (Check("recall", True, "recall@20 0.3"), Check("size", False, "size 3 MiB, at most 2: 50% too much"))
BLESSING = Blessing(Policy(), CHECKS, notes=("cold: measured otherwise",))


def test_a_forced_one(capsys):
    pushed = Pushed("forced", 3, Path("models/shop/3"), BLESSING, {"outcome": "forced", "version": 3}, ["a note"])
    answer = report_push(pushed, "models/shop")
    assert answer == {"path": "models/shop/3", "outcome": "forced", "version": 3, "notes": ["a note"]}
    shown = capsys.readouterr().out
    assert "short   size" in shown and "cold: measured otherwise\na note\nPublished models/shop/3 by force" in shown


@pytest.mark.parametrize(
    ("before", "told"), [(2, "version 2 stays in service"), (None, "there is still no version in service")]
)
def test_a_refusal(capsys, before, told):
    """The table says by how much; the error names what fell short."""
    record = {"outcome": "refused", "version": None, "before": before}
    message = f"models/shop: refused, {told}. What fell short: size. The record, .* --force publishes it all the same"
    with pytest.raises(Refusal, match=message) as raised:
        report_push(Pushed("refused", None, None, BLESSING, record), "models/shop")
    assert raised.value.answer == {"path": None, **record, "notes": []}
    shown = capsys.readouterr().out
    assert "size 3 MiB, at most 2: 50% too much" in shown and "Published" not in shown
