"""The TFX pipeline for real, on the embedded catalogue: what is good is pushed, what is bad is not.

`make test-tfx` runs this where TFX is: see `debian_root.py`.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("tfx", reason="make test-tfx runs this with TFX in a Debian 13 root")

import ml_metadata  # noqa: E402
import tensorflow as tf  # noqa: E402
import yaml  # noqa: E402
from ml_metadata.proto import metadata_store_pb2  # noqa: E402

from pipelines.tfx_pipeline import main  # noqa: E402
from tfmmrec.data.fashion import write_fashion  # noqa: E402

pytestmark = pytest.mark.timeout(3600)  # where much else goes on, TFX takes its time
NUM_CANDIDATES = 240
SETTINGS = {"dim": 16, "epochs": 6, "batch_size": 64, "learning_rate": 0.01, "image_steps": 10, "refit": "false"}
TREE = {
    "saved_model.pb",
    "fingerprint.pb",
    "variables/variables.index",
    "variables/variables.data-00000-of-00001",
    "assets.extra/candidates.parquet",
    "assets.extra/contents.parquet",
    "assets.extra/evaluation.parquet",
    "assets.extra/model.json",
    "assets.extra/schema.json",
    "assets.extra/signatures.json",
    "assets.extra/size.json",
    "assets.extra/tf_serving_warmup_requests",
}


class Shop:
    """A catalogue, and what the pipeline made of it."""

    def __init__(self, folder: Path):
        self.data = write_fashion(folder / "fashion", 0, NUM_CANDIDATES, 150, 3000)
        self.root, self.models = folder / "root", folder / "models" / "fashion"
        self.train = pd.read_parquet(self.data / "train.parquet")

    def run(self, *flags: str):
        """Exit code and answer of the command."""
        said = io.StringIO()
        paths = [str(self.data), f"--root={self.root}", f"--to={self.models}"]
        with contextlib.redirect_stdout(said):
            settings = [f"--set={name}={value}" for name, value in SETTINGS.items()]
            code = main([*paths, *settings, "--infra=none", "--cache", *flags])
        lines = said.getvalue().splitlines()
        return code, json.loads(lines[-1]) if lines else None

    def versions(self) -> list[str]:
        return sorted(path.name for path in self.models.iterdir())

    def artifacts(self, kind: str) -> list[dict[str, int | str]]:
        """The custom properties of all artifacts of a type, as TFX recorded them."""
        config = metadata_store_pb2.ConnectionConfig()
        config.sqlite.filename_uri = str(self.root / "metadata.sqlite")
        found = ml_metadata.MetadataStore(config).get_artifacts_by_type(kind)
        return [
            {name: getattr(value, value.WhichOneof("value")) for name, value in artifact.custom_properties.items()}
            for artifact in sorted(found, key=lambda artifact: artifact.id)
        ]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """After a first run of the pipeline."""
    made = Shop(tmp_path_factory.mktemp("shop"))
    made.first = made.run()
    return made


def test_a_good_model_is_pushed_whole(shop):
    code, found = shop.first
    assert (code, found["short"]) == (0, []) and found["pushed"]
    version = Path(found["version"])
    assert version.parent == shop.models and version.name.isdecimal()
    assert {path.relative_to(version).as_posix() for path in version.rglob("*") if path.is_file()} == TREE
    evaluation = json.loads(Path(found["evaluation"]).read_text())
    by_lot = 20 / NUM_CANDIDATES
    assert evaluation["passed"] and evaluation["figures"]["model"]["slices"]["all"]["recall"] > by_lot
    assert "replay" in {check["name"] for check in evaluation["checks"]}, "a fresh process has loaded it as a server"
    (blessing,) = shop.artifacts("ModelBlessing")
    assert blessing["blessed"] == 1 and "baseline_model" not in blessing


def test_the_pushed_model_answers_serialized_examples(shop):
    shopper = shop.train["shopper_id"].iloc[0]
    seen = set(shop.train.loc[shop.train["shopper_id"] == shopper, "garment_id"])
    asked = tf.train.Example()
    asked.features.feature["query_id"].bytes_list.value.append(shopper.encode())
    asked.features.feature["k"].int64_list.value.append(NUM_CANDIDATES)
    serialized = [base64.b64encode(example).decode() for example in (asked.SerializeToString(), b"")]
    script = Path(__file__).with_name("stock_answer.py")
    command = [sys.executable, "-P", str(script), shop.first[1]["version"], "recommend_examples"]
    plain = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}  # as a server is
    done = subprocess.run(command, input=json.dumps(serialized), capture_output=True, text=True, env=plain)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    catalogue = set(pd.read_csv(shop.data / "items.csv")["garment_id"])
    answers = [id for id in found["candidate_ids"][0] if id]
    assert sorted(answers) == sorted(catalogue - seen), "every garment, the cold ones too, but what was chosen"
    assert found["source"] == ["query", "popular"]
    scores = np.array(found["scores"][0], float)
    assert (np.diff(scores[: len(answers)]) <= 0).all() and len(set(scores[: len(answers)])) > NUM_CANDIDATES / 2


def test_a_bad_model_is_not(shop):
    before = shop.versions()
    code, found = shop.run("--steps=1")
    assert (code, found["pushed"], found["version"]) == (1, False, None) and shop.versions() == before
    assert any(said.startswith("ndcg@20 of all: ") for said in found["short"]), "worse than the one in service"
    evaluation = json.loads(Path(found["evaluation"]).read_text())
    assert set(evaluation["figures"]) == {"model", "in_service"} and not evaluation["passed"]
    refused = shop.artifacts("ModelBlessing")[-1]
    assert refused["blessed"] == 0 and refused["baseline_model"] == shop.artifacts("ModelBlessing")[0]["current_model"]
    assert [pushed["pushed"] for pushed in shop.artifacts("PushedModel")] == [1, 0]


def test_a_policy_that_the_good_model_does_not_meet_keeps_it_back(shop, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text(yaml.safe_dump({"min_recall": 0.99}))
    before = shop.versions()
    code, found = shop.run(f"--policy={policy}")
    assert code == 1 and shop.versions() == before and len(shop.artifacts("Model")) == 2, (
        "the training was not repeated"
    )
    assert found["short"][0].startswith("recall@20 ") and "at least 0.9900" in found["short"][0]


@pytest.mark.parametrize(("runner", "name"), [("kubeflow", "pipeline.yaml"), ("vertex", "pipeline.json")])
def test_a_specification_for_a_service(shop, tmp_path, monkeypatch, runner, name):
    monkeypatch.chdir(tmp_path)
    code, found = shop.run(f"--runner={runner}", "--image=registry/recommender:1")
    assert code == 0 and found == {"specification": name}
    written = yaml.safe_load((tmp_path / name).read_text())  # JSON is YAML too
    specification = written.get("pipelineSpec", written)
    tasks = set(specification["root"]["dag"]["tasks"])
    expected = {"StatisticsGen", "SchemaGen", "ExampleValidator", "Trainer", "RetrievalEvaluation", "Pusher"}
    assert expected <= tasks and any("ExampleGen" in task for task in tasks)
    executors = specification["deploymentSpec"]["executors"]
    assert executors["RetrievalEvaluation_executor"]["container"]["image"] == "registry/recommender:1"
    assert "pipelines.tfx_pipeline.RetrievalEvaluation_Executor" in str(executors["RetrievalEvaluation_executor"])


def test_a_split_that_no_example_gen_makes(shop, capsys):
    yaml_file = shop.data / "leave_one_out.yaml"
    whole = "path: train.parquet, split: {method: leave_one_out}"
    parts = "train: train.parquet, test: test.parquet"
    yaml_file.write_text((shop.data / "dataset.yaml").read_text().replace(parts, whole))
    assert shop.run("--config=leave_one_out.yaml") == (2, None)
    assert "Error: interactions.split: ExampleGen draws rows by chance" in capsys.readouterr().err
