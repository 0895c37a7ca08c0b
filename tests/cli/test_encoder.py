"""`tfmmrec encoder`."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.encoders.reusable import write_clip_model, write_image_model
from tfmmrec.cli.main import main


def test_an_encoder_is_exported(tmp_path, capsys):
    source = write_image_model(tmp_path / "m")
    command = ["encoder", "export", source, "--to", str(tmp_path / "out"), "--image-size", "12"]
    assert main([*command, "--json"]) == 0
    shown = capsys.readouterr()
    card = json.loads(shown.out)
    assert (card["path"], card["source"], card["input_kind"], card["dim"]) == (
        str(tmp_path / "out"),
        source,
        "image",
        3,
    )
    assert card["image_size"] == [12, 12] and "writing the SavedModel ..." in shown.err
    assert main(command) == 2
    assert "holds an exported encoder already; --overwrite replaces it" in capsys.readouterr().err


def test_a_model_of_clips_is_exported(tmp_path, capsys):
    source = write_clip_model(tmp_path / "m", key="image")
    command = ["encoder", "export", source, "--to", str(tmp_path / "out"), "--image-size", "12", "--num-frames", "4"]
    assert main(command) == 0
    assert "SavedModel: videos -> vectors of 3, 18 weights" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "encoder.json").read_text())["num_frames"] == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere/bert"], "nowhere/bert: expected a directory with config.json"),
        (["applications:ResNet50"], "applications:ResNet50 has no weights by itself"),
        (["bert_base_en", "--pooling", "sum"], "pooling must be mean, cls or max, got 'sum'"),
    ],
)
def test_bad_usage(tmp_path, capsys, arguments, message):
    assert main(["encoder", "export", *arguments, "--to", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_pipeline_is_the_same_command(tmp_path):
    command = [sys.executable, str(ROOT / "pipelines" / "export_encoder.py"), "applications:ResNet50", "--to", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "applications:ResNet50 has no weights by itself" in done.stderr
