"""From options to a policy."""

from __future__ import annotations

import pytest

from tfmmrec.cli.policy_options import policy_of
from tfmmrec.serving.policy import Policy
from tfmmrec.types import UsageError


def test_options_go_before_the_file(tmp_path):
    (tmp_path / "policy.yaml").write_text("min_coverage: 0.2\nmax_loss: {warm: 0.3}\n")
    policy = policy_of(tmp_path / "policy.yaml", 0.1, None, ["cold=0.4", "all=-0.1"], 3.0, 50.0, 4.0)
    assert (policy.min_recall, policy.min_coverage, policy.max_latency_ratio) == (0.1, 0.2, 3.0)
    assert (policy.max_p99_ms, policy.max_size_ratio) == (50.0, 4.0)
    assert policy.max_loss == {"all": -0.1, "warm": 0.3, "cold": 0.4}
    assert policy_of(None) == policy_of(None, max_loss=[]) == Policy()


@pytest.mark.parametrize("given", ["cold", "cold=", "cold=much"])
def test_what_is_no_share(given):
    with pytest.raises(UsageError, match=f"--max-loss takes SLICE=SHARE such as cold=0.2, got '{given}'"):
        policy_of(None, max_loss=[given])
