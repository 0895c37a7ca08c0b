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


def test_a_refusal(capsys):
    pushed = Pushed("refused", None, None, BLESSING, {"outcome": "refused", "version": None})
    with pytest.raises(
        Refusal, match="models/shop: refused, .* size 3 MiB, at most 2: 50% too much. .*--force"
    ) as raised:
        report_push(pushed, "models/shop")
    assert raised.value.answer == {"path": None, "outcome": "refused", "version": None, "notes": []}
    assert "Published" not in capsys.readouterr().out
