"""What follows from the arguments of the TFX pipeline, without TFX."""

from __future__ import annotations

import json

import pytest
import yaml

from pipelines import tfx_arguments
from pipelines.tfx_arguments import Splits, infra_of, parse_arguments, splits_of
from tfmmrec.data.config import parse_schema
from tfmmrec.serving.policy import Policy
from tfmmrec.serving.stock_server import StockServer
from tfmmrec.types import UsageError


def splits(**interactions):
    return splits_of(parse_schema({"interactions": {"query": "q", "candidate": "c", **interactions}}))


def test_ready_made_parts_are_the_splits():
    assert splits(train="train.parquet", test="test.parquet") == Splits(
        "parquet", {"train": "train.parquet", "eval": "test.parquet"}
    )
    assert splits(train="log/train-*.csv", valid="log/valid.csv", test="log/test.csv") == Splits(
        "csv",
        {"train": "log/train-*.csv", "valid": "log/valid.csv", "eval": "log/test.csv"},
        train=("train", "valid"),
    )


def test_one_file_is_parted_by_chance_in_the_yaml_s_shares():
    share = {"split": {"method": "ratio", "valid": 0.1, "test": 0.25}}
    assert splits(path="log.tfrecord.gz", **share) == Splits(
        "tfrecord", {"all": "log.tfrecord.gz"}, {"train": 75, "eval": 25}
    )
    assert splits(path="log.csv").shares == {"train": 90, "eval": 10}, "of a split that the yaml leaves out"


@pytest.mark.parametrize(
    ("interactions", "said"),
    [
        (
            {"path": "a.csv", "split": {"method": "leave_one_out"}},
            "draws rows by chance .* not by method: leave_one_out",
        ),
        ({"train": "a.csv"}, "no `test`; it is the split `eval`"),
        ({"train": "a.csv", "test": "b.parquet"}, "reads files of one kind, not csv and parquet"),
        ({"path": "a.jsonl"}, "reads .csv, .parquet or .tfrecord, not a.jsonl"),
        ({"train": "a.tsv", "test": "b.csv"}, "reads .csv, .parquet or .tfrecord, not a.tsv"),
    ],
)
def test_what_no_example_gen_makes(interactions, said):
    with pytest.raises(UsageError, match=said):
        splits(**interactions)


def test_infra_validator_is_where_a_server_is_and_else_left_out_aloud(monkeypatch):
    monkeypatch.setattr(tfx_arguments, "docker_server", lambda *_: "no docker is on the PATH")
    assert infra_of("auto", "local") == (
        "none",
        "InfraValidator is left out, for there is no TensorFlow Serving here: no docker is on the PATH",
    )
    monkeypatch.setattr(tfx_arguments, "docker_server", lambda *_: StockServer("docker", []))
    assert infra_of("auto", "local")[0] == "docker"
    assert infra_of("auto", "vertex")[0] == "none" and infra_of("none", "local")[0] == "none"
    assert infra_of("kubernetes", "kubeflow") == ("kubernetes", "InfraValidator runs TensorFlow Serving on kubernetes")


def test_settings_and_policy_are_read_before_anything_runs(tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text(yaml.safe_dump({"min_recall": 0.2, "max_loss": {"cold": 0.3}}))
    told = parse_arguments(
        [
            "shop",
            "--root",
            "r",
            "--to",
            "m",
            "--model",
            "vbpr",
            "--set",
            "dim=8",
            "--policy",
            str(policy),
            "--steps",
            "1",
        ]
    )
    assert told.custom_config == {"model": "vbpr", "settings": {"dim": 8}} and told.steps == 1, "steps go before epochs"
    expected = Policy(min_recall=0.2, max_loss={"cold": 0.3})
    assert Policy.model_validate(json.loads(told.policy_json)) == expected and expected.max_loss["all"] == 0.05
    with pytest.raises(UsageError, match="dims"):
        parse_arguments(["shop", "--root", "r", "--to", "m", "--set", "dims=8"])
