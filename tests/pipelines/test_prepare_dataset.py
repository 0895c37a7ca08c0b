"""What Apache Beam prepares is what one process loads, with several workers and after a kill; and it trains."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import ROOT
from tests.data.preparing import assert_same_dataset, write_dataset
from tfmmrec.data.dataset import load_dataset
from tfmmrec.data.inspection import inspect_dataset
from tfmmrec.runs import load_run
from tfmmrec.training import train

pytest.importorskip("apache_beam", reason="pip install '.[beam]' brings Apache Beam")

from pipelines.prepare_dataset import main  # noqa: E402

SCRIPT = ROOT / "pipelines" / "prepare_dataset.py"
TWO_PROCESSES = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
BY_TIME = 'path: "log-*.csv", split: {method: time, valid: 0.2, test: 0.2}, cold_candidates: 0.1'
AT_RANDOM = 'path: "log-*.csv", split: {method: ratio, valid: 0.1, test: 0.2}, seed: 3'
UNREADABLE = "u1,i1,soon,5,tv"


def arguments(folder, to, *flags):
    return [str(folder), f"--to={to}", "--queries-per-shard=16", *flags]


def command(folder, to, *flags):
    return [sys.executable, str(SCRIPT), *arguments(folder, to, *flags)]


def run(folder, to, *flags):
    """What the script prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command(folder, to, *flags), capture_output=True, text=True, env=environment, timeout=500)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def assert_prepared(folder, to):
    """The new folder holds what one process finds in the dataset's."""
    assert_same_dataset(load_dataset(folder), load_dataset(to))
    assert json.loads((to / "inspection.json").read_text()) == inspect_dataset(folder).to_dict()
    assert [path.name for path in to.parent.iterdir()] == [to.name], "nothing is left beside it"


def add_pictures(folder):
    """A picture for some candidates of `write_dataset`, one of them damaged, one missing."""
    for part in (0, 1):
        table = folder / f"things-{part}.csv"
        header, *rows = table.read_text().splitlines()
        named = [f"{row},{row.split(',')[0]}.png" if number % 3 else f"{row}," for number, row in enumerate(rows)]
        table.write_text("\n".join([f"{header},photo", *named]) + "\n")
        for row in named[2:]:
            if row.endswith(".png"):
                picture = tf.io.encode_png(tf.zeros([8, 8, 3], tf.uint8)).numpy()
                (folder / row.split(",")[-1]).write_bytes(picture[: 40 if row is named[2] else None])
    yaml = folder / "dataset.yaml"
    yaml.write_text(yaml.read_text().replace("features: {title", "features: {photo: {kind: image}, title"))


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = write_dataset(tmp_path_factory.mktemp("shop") / "shop", BY_TIME)
    add_pictures(folder)
    return folder


@pytest.fixture(scope="module")
def prepared(shop):
    """What is made of the same dataset with a row that one process refuses."""
    soiled, to = shop.parent / "soiled", shop.parent / "new" / "shop"
    shutil.copytree(shop, soiled)
    with open(soiled / "log-1.csv", "a") as file:
        file.write(f"{UNREADABLE}\n")
    assert main(arguments(soiled, to)) == 0
    return to


@pytest.fixture(scope="module")
def random_shop(tmp_path_factory):
    """Without any table, parted at random."""
    return write_dataset(tmp_path_factory.mktemp("random") / "shop", AT_RANDOM, tables=False)


def test_all_but_unreadable_rows_are_what_one_process_finds(shop, prepared):
    inspected = inspect_dataset(shop)
    assert_same_dataset(load_dataset(shop), load_dataset(prepared))
    found = json.loads((prepared / "inspection.json").read_text())
    own = {"folder": "", "fingerprint": ""}  # which are the soiled one's
    assert found | own == inspected.to_dict() | own
    faults = found["candidates"]["features"]["photo"]["unusable"]
    assert faults["missing picture file"] == 2 and sum(faults.values()) == 4
    lines = [json.loads(line) for line in (prepared.parent / "shop.rejected.jsonl").read_text().splitlines()]
    bad = [line for line in lines if line["row"] == 151]
    assert [(line["file"], line["values"]["time"]) for line in bad] == [("log-1.csv", "soon")]
    unknown = sum(issue.count for issue in inspected.issues if "unknown" in issue.kind)
    assert unknown and len(lines) == 1 + unknown + sum(faults.values())
    assert sorted(path.name for path in prepared.parent.iterdir()) == ["shop", "shop.rejected.jsonl"]


def test_it_trains_as_the_dataset_does(shop, prepared, tmp_path, deterministic):
    options = {"epochs": 1, "batch_size": 64, "deterministic": True}
    runs = [
        train(load_dataset(folder), tmp_path / name, "id_only", {"dim": 8}, options, progress=False)
        for name, folder in (("one", shop), ("other", prepared))
    ]
    one, other = (load_run(run.path) for run in runs)
    assert one.statistics == other.statistics
    assert sum(other.statistics.candidate_counts) == load_dataset(shop).train.num_rows
    for weights, same in zip(one.model.trainable_variables, other.model.trainable_variables, strict=True):
        np.testing.assert_array_equal(weights.numpy(), same.numpy())


def test_what_cannot_be_used_is_told_and_leaves_nothing(random_shop, tmp_path, capsys):
    soiled, to = tmp_path / "soiled", tmp_path / "new"
    shutil.copytree(random_shop, soiled)
    with open(soiled / "log-1.csv", "a") as file:
        file.write(f"{UNREADABLE}\n" * 9)
    assert main(arguments(soiled, to, "--errors", str(tmp_path / "errors"))) == 2
    assert "Error: log-*.csv: 9 of 459 interactions cannot be read, expected at most" in capsys.readouterr().err
    assert len((tmp_path / "errors").read_text().splitlines()) == 9
    assert sorted(path.name for path in tmp_path.iterdir()) == ["errors", "soiled"]
    assert main(arguments(soiled, tmp_path)) == 2
    assert f"Error: {tmp_path} exists and is not empty; name a new folder" in capsys.readouterr().err
    assert main(arguments(soiled, to, "--max-rejected=2")) == 2
    assert "--max-rejected must be a share between 0 and 1, got 2.0" in capsys.readouterr().err
    for flag, near in (("--max_rejected=1", "--max-rejected"), ("--direct_num_worker=2", "--direct_num_workers")):
        assert main(arguments(soiled, to, "--direct_num_workers=1", flag)) == 2
        assert f"nor to Beam; did you mean {near}?" in capsys.readouterr().err
    assert main(arguments(soiled, to, "--runner=FlinkRunner", "--queries-per-shards=9")) == 2
    assert "did you mean --queries-per-shard?" in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_make_the_same(random_shop, tmp_path):
    to = tmp_path / "new" / "shop"
    found = run(random_shop, to, f"--errors={tmp_path / 'errors'}", *TWO_PROCESSES)
    assert (found["num_unreadable"], found["num_queries"]) == (0, 40)
    assert_prepared(random_shop, to)


@pytest.mark.slow
def test_a_job_server_takes_it_as_those_of_flink_and_spark_do(shop, tmp_path):
    to, flags = tmp_path / "new" / "shop", ["--job_endpoint=embed", "--environment_type=LOOPBACK"]
    run(shop, to, f"--errors={tmp_path / 'errors'}", "--runner=PortableRunner", *flags)
    assert_prepared(shop, to)


@pytest.mark.slow
def test_after_a_kill_the_same_command_makes_it(random_shop, tmp_path):
    to, flags = tmp_path / "new" / "shop", [f"--errors={tmp_path / 'errors'}", *TWO_PROCESSES]
    killed = subprocess.Popen(
        command(random_shop, to, *flags),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 400
    while not list(tmp_path.glob("new/.*/prepared/train-*")) and time.monotonic() < until and killed.poll() is None:
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)  # its workers with it
    killed.wait()
    assert list(tmp_path.glob("new/.*/prepared/train-*")) and not to.exists(), "it was killed in the middle"
    run(random_shop, to, *flags)
    assert_prepared(random_shop, to)
