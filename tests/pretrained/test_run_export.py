import json
import os
import sys

import numpy as np
import pytest
import tensorflow as tf

import tfmmrec
from tests.encoders.reusable import NUM_BUCKETS, text_table, write_text_model
from tfmmrec.pretrained import ExportRequest, read_card, run_export
from tfmmrec.types import DataError, UsageError


@pytest.fixture
def process(monkeypatch, tmp_path):
    """`process(code)`: stands for the process that exports, with the folder and the reports at hand."""

    def replace(code):
        script = tmp_path / "python"
        head = "import json, os, sys\nfolder, reports = sys.argv[3], os.fdopen(int(sys.argv[4]), 'w')\n"
        script.write_text(f"#!{sys.executable}\n{head}{code}\n")
        script.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(script))

    return replace


def request(tmp_path):
    (tmp_path / "m").mkdir(exist_ok=True)
    (tmp_path / "m" / "saved_model.pb").touch()
    return ExportRequest(str(tmp_path / "m"), max_length=9)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_process_of_its_own_does_it(tmp_path):
    said = []
    card = run_export(ExportRequest(write_text_model(tmp_path / "m")), tmp_path / "out" / "texts", progress=said.append)
    model = tf.saved_model.load(str(tmp_path / "out" / "texts"))
    row = int(tf.strings.to_hash_bucket_fast("red", NUM_BUCKETS))
    np.testing.assert_allclose(model(tf.constant(["red"]))[0], text_table(4)[row])
    assert said == [f"reading {tmp_path / 'm'}", "writing the SavedModel"]
    assert names(tmp_path / "out") == ["texts"]
    assert card["licence"] is None and not card["untrained"] and len(card["fingerprint"]) == 64
    assert card["versions"]["tfmmrec"] == tfmmrec.__version__ and card["versions"]["tensorflow"] == tf.__version__
    assert read_card(tmp_path / "out" / "texts") == {"format": "tfmmrec-encoder", **card}


def test_the_process_has_keras_3_and_the_request(tmp_path, process):
    process("open(folder + '/x', 'w').write(json.dumps([json.load(sys.stdin), dict(os.environ)]))\n"
            "print(json.dumps({'card': {'dim': 3}}), file=reports)")  # fmt: skip
    assert run_export(request(tmp_path), tmp_path / "out") == {"dim": 3}
    told, environment = json.loads((tmp_path / "out" / "x").read_text())
    assert told["source"] == str(tmp_path / "m") and told["max_length"] == 9
    assert "TF_USE_LEGACY_KERAS" not in environment and environment["KERAS_BACKEND"] == "tensorflow"
    assert os.environ["TF_USE_LEGACY_KERAS"] == "1", "this process keeps Keras 2"


@pytest.mark.parametrize("error", [DataError, UsageError])
def test_its_errors_are_raised_here(tmp_path, process, error):
    process(f"print(json.dumps({{'error': '{error.__name__}', 'message': 'no words'}}), file=reports)")
    with pytest.raises(error, match="no words"):
        run_export(request(tmp_path), tmp_path / "out")
    assert names(tmp_path) == ["m", "python"]


def test_when_it_dies(tmp_path, process):
    process("open(folder + '/x', 'w').close()\nprint('half way')\nsys.exit('out of memory')")
    with pytest.raises(RuntimeError, match="the export's process ended with code 1: out of memory"):
        run_export(request(tmp_path), tmp_path / "out")
    assert names(tmp_path) == ["m", "python"]


def test_it_ends_with_whoever_asked(tmp_path, process):
    process("print(json.dumps({'stage': str(os.getpid())}), file=reports, flush=True)\nimport time; time.sleep(300)")

    def stop(text):
        pids.append(int(text))
        raise KeyboardInterrupt

    pids = []
    with pytest.raises(KeyboardInterrupt):
        run_export(request(tmp_path), tmp_path / "out", progress=stop)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
    assert names(tmp_path) == ["m", "python"]


def test_an_encoder_is_replaced_only_when_asked(tmp_path, process):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "encoder.json").write_text('{"format": "tfmmrec-encoder"}')
    process("print(json.dumps({'card': {}}), file=reports)")
    with pytest.raises(UsageError, match="holds an exported encoder already; --overwrite replaces it"):
        run_export(request(tmp_path), tmp_path / "out")
    assert names(tmp_path / "out") == ["encoder.json"]
    run_export(request(tmp_path), tmp_path / "out", overwrite=True)
    assert names(tmp_path / "out") == []


def test_what_is_nowhere_needs_no_process(tmp_path, process):
    process("raise SystemExit('must not run')")
    with pytest.raises(DataError, match="nowhere: expected a directory with config.json"):
        run_export(ExportRequest(str(tmp_path / "nowhere")), tmp_path / "out")
