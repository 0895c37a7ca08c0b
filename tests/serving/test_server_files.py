"""Files that a server reads, whole or not at all, and never over what somebody has written."""

from __future__ import annotations

import os
import threading

import pytest
import yaml
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from tests.serving.published import make_version
from tfmmrec.serving import server_files
from tfmmrec.serving.server_files import is_ours, models_config, write_server_files

FILES = {"models.config", "batching_parameters.txt", "compose.yaml"}


def _configured(base):
    text = (base / "models.config").read_text()
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    return {entry.name: entry.base_path for entry in config.model_config_list.config}


def test_every_name_that_has_a_version(tmp_path):
    make_version(tmp_path / "shop" / "1")
    make_version(tmp_path / "songs" / "12")
    make_version(tmp_path / "withdrawn" / ".withdrawn" / "1")
    make_version(tmp_path / "export")
    (tmp_path / "refused").mkdir()
    assert write_server_files(tmp_path) == []
    assert _configured(tmp_path) == {"shop": "/models/shop", "songs": "/models/songs"}
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == FILES
    assert all((tmp_path / name).stat().st_mode & 0o777 == 0o644 for name in FILES), "a server can read them"
    assert "/elsewhere/shop" in models_config(tmp_path, "/elsewhere")


def test_the_server_is_started_with_flags_that_go_together(tmp_path):
    write_server_files(tmp_path)
    service = yaml.safe_load((tmp_path / "compose.yaml").read_text())["services"]["serving"]
    flags = service["command"].split()
    assert "--model_config_file=/models/models.config" in flags and service["volumes"] == [".:/models:ro"]
    assert flags[-1] == "${SERVING_FLAGS:-}" and not any("batching" in flag for flag in flags), (
        "a server refuses batching parameters where batching is off"
    )
    assert service["ports"] == [f"${{SERVING_ADDRESS:-127.0.0.1}}:{port}:{port}" for port in (8500, 8501)]


def test_batching_fits_answers_whose_width_is_the_largest_k(tmp_path):
    write_server_files(tmp_path)
    lines = [line for line in (tmp_path / "batching_parameters.txt").read_text().splitlines() if line[0] != "#"]
    assert "enable_large_batch_splitting { value: false }" in lines and "pad_variable_length_inputs: false" in lines
    assert "max_batch_size { value: 64 }" in lines and not any("allowed_batch_sizes" in line for line in lines)


def test_ours_are_replaced_and_others_left_alone(tmp_path):
    make_version(tmp_path / "shop" / "1")
    write_server_files(tmp_path)
    assert is_ours(tmp_path / "models.config") and is_ours(tmp_path / "nowhere")
    own = (tmp_path / "compose.yaml").read_text().replace("8501:8501", "80:8501")
    (tmp_path / "compose.yaml").write_text(own)
    make_version(tmp_path / "songs" / "1")
    (note,) = write_server_files(tmp_path)
    assert note.endswith(
        "compose.yaml has been edited and is left as it is; what would stand in it is in compose.yaml.new"
    )
    assert (tmp_path / "compose.yaml").read_text() == own and is_ours(tmp_path / "compose.yaml.new")
    assert set(_configured(tmp_path)) == {"shop", "songs"}
    (tmp_path / "compose.yaml").unlink()
    assert write_server_files(tmp_path) == [] and not (tmp_path / "compose.yaml.new").exists()


def test_what_somebody_wrote_is_not_ours(tmp_path):
    (tmp_path / "models.config").write_text("model_config_list {}\n")
    (note,) = write_server_files(tmp_path)
    assert "models.config has been edited" in note
    assert (tmp_path / "models.config").read_text() == "model_config_list {}\n"


def test_a_failure_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    make_version(tmp_path / "shop" / "1")
    write_server_files(tmp_path)
    before = {name: (tmp_path / name).read_text() for name in FILES}
    make_version(tmp_path / "songs" / "1")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(server_files.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_server_files(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir() if path.is_file()} == before


def test_many_at_once_leave_whole_files(tmp_path):
    def add(number):
        make_version(tmp_path / f"shop{number}" / "1")
        write_server_files(tmp_path)

    threads = [threading.Thread(target=add, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(_configured(tmp_path)) == 8 and {name for name in os.listdir(tmp_path) if name[:4] != "shop"} == FILES
