"""A policy's file and the options before it."""

from __future__ import annotations

import pytest

from tfmmrec.serving.policy import Policy, read_policy
from tfmmrec.types import DataError


def test_defaults():
    policy = Policy()
    assert policy.max_loss == {"all": 0.05, "warm": 0.05, "cold": 0.1} and policy.min_recall is None
    assert Policy(max_loss={"cold": 0.3}).max_loss == {"all": 0.05, "warm": 0.05, "cold": 0.3}
    assert Policy(max_loss={"warm": None}).max_loss["warm"] is None
    assert read_policy() == policy and Policy.model_validate(policy.model_dump()) == policy


def test_a_file_and_what_goes_before_it(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text("k: 10\nmin_recall: 0.1\nmax_loss: {cold: 0.2, warm: 0.01}\nmax_latency_ratio: null\n")
    policy = read_policy(path, min_recall=0.3, min_coverage=None, max_loss={"cold": 0.4})
    assert (policy.k, policy.min_recall, policy.min_coverage, policy.max_latency_ratio) == (10, 0.3, 0.0, None)
    assert policy.max_loss == {"all": 0.05, "warm": 0.01, "cold": 0.4}
    path.write_text("")
    assert read_policy(path) == Policy()


def test_what_is_no_policy(tmp_path):
    with pytest.raises(DataError, match="nowhere.yaml: no such policy file; name a yaml file that exists"):
        read_policy(tmp_path / "nowhere.yaml")
    path = tmp_path / "policy.yaml"
    path.write_text("- k\n")
    with pytest.raises(DataError, match="expected lines such as `min_recall: 0.1`, found a list"):
        read_policy(path)
    path.write_text("k: [1\n")
    with pytest.raises(DataError, match="not valid yaml"):
        read_policy(path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"least_recall": 0.1},
        {"k": 1000},
        {"min_recall": 1.5},
        {"metric": "map"},
        {"max_loss": {"old": 0.1}},
        {"max_loss": 0.1},
        {"confidence": 0.5},
        {"max_size_ratio": 0.0},
        {"max_latency_ratio": float("inf")},
        {"max_p99_ms": float("nan")},
    ],
    ids=str,
)
def test_values_that_there_are_not(wrong):
    with pytest.raises(DataError, match="^the policy: "):
        read_policy(**wrong)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("min_recal: 0.1", "unknown key `min_recal` in the file; did you mean `min_recall`?"),
        ("colour: red", "unknown key `colour` in the file; known are `k`, `metric`, `min_recall`, "),
        ("max_loss: {hot: 0.1}", "`max_loss`: expected 'all', 'warm' or 'cold', found 'hot'"),
        ("min_coverage: a lot", "`min_coverage`: expected number, unable to parse string as a number, found 'a lot'"),
        ("min_coverage: 3", "`min_coverage`: expected less than or equal to 1, found 3"),
    ],
)
def test_a_mistake_is_told_by_its_file_and_key(tmp_path, text, told):
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    with pytest.raises(DataError) as raised:
        read_policy(path)
    assert str(raised.value).startswith(f"{path}: {told}")
