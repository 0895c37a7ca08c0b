"""The store that Apache Beam fills is the local command's, with several worker processes and after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import ROOT
from tests.encoders.reusable import write_image_model
from tests.test_catalogue_shards import stored, write_catalogue
from tfmmrec.bulk_embedding import embed_catalogue
from tfmmrec.data.dataset import load_dataset

pytest.importorskip("apache_beam", reason="pip install '.[beam]' brings Apache Beam")

from pipelines.embed_catalog import main  # noqa: E402

SCRIPT = ROOT / "pipelines" / "embed_catalog.py"
TWO_PROCESSES = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
NUM_TEXTS = 640


def arguments(folder, root, *flags):
    paths = [str(folder / "shop"), f"--encoder={folder / 'encoder'}", f"--store={root}", f"--errors={root}.jsonl"]
    return [*paths, "--rows-per-shard=64", *flags]


def command(folder, root, *flags):
    return [sys.executable, str(SCRIPT), *arguments(folder, root, *flags)]


def run(folder, root, *flags):
    """What the script prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command(folder, root, *flags), capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def write_slow_text_model(folder, dim=256, rounds=60):
    """A text's vector after many products with a matrix, so that a batch takes its time."""
    random = np.random.default_rng(0)
    module = tf.Module()
    module.table = tf.Variable(random.normal(size=(64, dim)).astype(np.float32))
    module.kernel = tf.Variable(random.normal(0, dim**-0.5, (dim, dim)).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def call(texts):
        vector = tf.repeat(tf.gather(module.table, tf.strings.to_hash_bucket_fast(texts, 64))[:, None], 16, axis=1)
        for _ in tf.range(rounds):
            vector = tf.tanh(tf.matmul(vector, module.kernel))
        return tf.reduce_mean(vector, axis=1)

    module.__call__ = call
    module.regularization_losses = []
    tf.saved_model.save(module, str(folder))


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    write_catalogue(folder / "shop", "title", "text", [f"text {row % 600}" for row in range(NUM_TEXTS)])
    write_slow_text_model(folder / "encoder")
    return folder


@pytest.fixture(scope="module")
def local(texts):
    """The local command's store of the texts."""
    return stored(embed_catalogue(load_dataset(texts / "shop"), texts / "encoder", root=texts / "local").store)


def test_pictures_are_encoded_and_unreadable_ones_are_told(tmp_path, capsys):
    pixels = np.random.default_rng(0).integers(0, 255, (70, 16, 16, 3), np.uint8)
    shop = write_catalogue(tmp_path / "shop", "photo", "image", [*(f"{row}.png" for row in range(70)), "none.png", ""])
    for row in range(70):
        (shop / f"{row}.png").write_bytes(tf.io.encode_png(pixels[row]).numpy()[: 400 if row == 5 else None])
    write_image_model(tmp_path / "encoder")
    assert main(arguments(tmp_path, tmp_path / "beam", "--half")) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["num_candidates"], found["num_empty"], found["num_unreadable"]) == (72, 3, 2)
    assert (found["num_new"], found["num_shards"]) == (70, 2)
    assert found["num_loaded"] == 1
    errors = sorted(map(json.loads, Path(found["errors"]).read_text().splitlines()), key=lambda row: row["id"])
    assert [(row["id"], row["feature"], row["reason"].split(":")[0]) for row in errors] == [
        ("c5", "photo", "damaged picture"),
        ("c70", "photo", "missing picture file"),
    ]
    own = embed_catalogue(load_dataset(shop), tmp_path / "encoder", root=tmp_path / "local", dtype="float16")
    assert stored(Path(found["store"])) == stored(own.store)


@pytest.mark.slow
def test_two_processes_fill_the_local_command_s_store(texts, local, tmp_path):
    found = run(texts, tmp_path / "beam", *TWO_PROCESSES)
    assert (found["num_new"], found["num_shards"]) == (600, 10)
    assert found["num_loaded"] == 2, "once in each process"
    assert stored(Path(found["store"])) == local
    again = run(texts, tmp_path / "beam", *TWO_PROCESSES)
    assert (again["num_new"], again["num_shards"]) == (0, 0)


@pytest.mark.slow
def test_a_job_server_takes_it_as_those_of_flink_and_spark_do(texts, local, tmp_path):
    found = run(texts, tmp_path, "--runner=PortableRunner", "--job_endpoint=embed", "--environment_type=LOOPBACK")
    assert (found["num_candidates"], found["num_new"], found["num_shards"], found["num_loaded"]) == (640, 600, 10, 1)
    assert stored(Path(found["store"])) == local


@pytest.mark.slow
def test_after_a_kill_unfinished_shards_alone_are_done(texts, local, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    killed = subprocess.Popen(
        command(texts, tmp_path / "beam", *TWO_PROCESSES),
        env=environment,
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 120
    while len(list(tmp_path.glob("beam/*/part-*"))) < 3 and time.monotonic() < until and killed.poll() is None:
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)  # its workers with it
    killed.wait()
    (store,) = (tmp_path / "beam").iterdir()
    parts, before = len(list(store.glob("part-*"))), stored(store)
    assert 3 <= parts < 10, "it was killed in the middle"
    found = run(texts, tmp_path / "beam", *TWO_PROCESSES)
    assert (found["num_new"], found["num_shards"]) == (600 - len(before), 10 - parts)
    assert stored(store) == local


def test_what_is_wrong_is_said_before_a_worker_starts(texts, tmp_path, capsys):
    assert main(arguments(texts, tmp_path, "--feature=photo")) == 2
    assert (
        "Error: encoders read texts and pictures, of which the candidates have title; 'photo'"
        in capsys.readouterr().err
    )
    assert main(arguments(texts, tmp_path, "--featur=title")) == 2
    assert "--featur: known neither to this script nor to Beam; did you mean --feature?" in capsys.readouterr().err
