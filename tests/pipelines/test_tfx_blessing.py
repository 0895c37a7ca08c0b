"""The decision that TFX's Pusher follows, without TFX."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tensorflow as tf

from pipelines import tfx_blessing
from pipelines.tfx_blessing import judge, parse_policy, properties
from tfmmrec.serving.blessing import Blessing
from tfmmrec.serving.checks import Check
from tfmmrec.serving.policy import Policy
from tfmmrec.types import UsageError

GOOD = Check("recall@20", True, "recall@20 0.3000, at least 0.1000", 0.3, 0.1)
BAD = Check("coverage", False, "coverage 0.1000, at least 0.5000: 0.4000 too little", 0.1, 0.5)


@pytest.fixture
def asked(monkeypatch):
    """What `bless` was asked; it finds `asked.checks`."""

    class Asked(list):
        checks = (GOOD, GOOD)

    found = Asked()

    def bless(folder, policy, in_service):
        contents = {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()}
        found.append((folder, policy, in_service, contents))
        return Blessing(policy, found.checks, {"model": {"k": policy.k}}, ("a note",))

    monkeypatch.setattr(tfx_blessing, "bless", bless)
    return found


@pytest.mark.parametrize(("checks", "name"), [((GOOD, GOOD), "BLESSED"), ((GOOD, BAD), "NOT_BLESSED")])
def test_one_check_that_falls_short_keeps_the_blessing_back(asked, tmp_path, checks, name):
    asked.checks = checks
    blessing, evaluation = tmp_path / "blessing" / "3", tmp_path / "evaluation" / "3"
    found = judge("model", '{"k": 5, "min_coverage": 0.5}', str(blessing), str(evaluation), "before")
    assert found.passed == (name == "BLESSED")
    assert [path.name for path in blessing.iterdir()] == [name]
    (folder, policy, in_service, _) = asked[0]
    assert (folder, in_service, policy) == ("model", "before", Policy(k=5, min_coverage=0.5))
    written = json.loads((evaluation / "blessing.json").read_text())
    assert written["passed"] == found.passed and written["policy"]["min_coverage"] == 0.5
    assert [check["says"] for check in written["checks"]] == [check.says for check in checks]


def test_a_remote_model_is_judged_by_a_copy_that_ends(asked, tmp_path):
    for name in ("saved_model.pb", "variables/variables.index"):
        tf.io.gfile.makedirs(f"ram://model/{name}".rsplit("/", 1)[0])
        with tf.io.gfile.GFile(f"ram://model/{name}", "w") as file:
            file.write("x")
    judge("ram://model", "{}", str(tmp_path / "blessing"), "ram://evaluation", None)
    (folder, _, in_service, contents) = asked[0]
    assert contents == {"saved_model.pb", "variables/variables.index"} and in_service is None
    assert not Path(folder).exists()
    assert json.loads(tf.io.gfile.GFile("ram://evaluation/blessing.json").read())["passed"]


@pytest.mark.parametrize("text", ["k: 5", '{"min_recal": 0.1}', '{"min_recall": 2}'])
def test_what_is_no_policy(text):
    with pytest.raises(UsageError, match="the policy .* is none"):
        parse_policy(text)


def test_without_a_word_the_policy_is_the_default_one():
    assert parse_policy("") == parse_policy("{}") == Policy()


def test_the_properties_have_the_names_that_tfx_looks_for():
    assert properties(True, ("a/model", 7), None) == {"blessed": 1, "current_model": "a/model", "current_model_id": 7}
    refused = properties(False, ("a/model", 7), ("b/model", 3))
    assert refused["blessed"] == 0 and (refused["baseline_model"], refused["baseline_model_id"]) == ("b/model", 3)
