import json

import pytest

from tests.run_configs import config
from tfmmrec import run_config
from tfmmrec.run_config import read_config, read_finished, write_config, write_text
from tfmmrec.types import DataError


def test_a_config_comes_back(tmp_path):
    written = config(hyperparameters={"hidden_dims": [3]}, finished=True, num_epochs=4, validation={"val_ndcg@20": 0.5})
    write_config(tmp_path / "new", written)
    assert read_config(tmp_path / "new") == written
    assert json.loads((tmp_path / "new" / "config.json").read_text())["hyperparameters"] == {"hidden_dims": [3]}


def test_a_text_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "folder" / "text"
    write_text(path, "before")

    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr(run_config.os, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        write_text(path, "after")
    assert path.read_text() == "before" and list(path.parent.iterdir()) == [path]


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(DataError, match="expected a run folder with config.json, found none; `tfmmrec train` makes"):
        read_config(tmp_path)
    with pytest.raises(DataError, match="expected a run folder"):
        read_finished(tmp_path / "nowhere")


def test_a_run_that_has_not_finished_is_refused_with_the_way_on(tmp_path):
    write_config(tmp_path, config())
    with pytest.raises(DataError, match=f"its training has not finished; go on with .* --run {tmp_path} --resume"):
        read_finished(tmp_path)
    write_config(tmp_path, config(finished=True))
    assert read_finished(tmp_path).finished


def test_reading_needs_no_tensorflow(run_python):
    done = run_python("import sys, tfmmrec.run_config; print('tensorflow' in sys.modules)")
    assert done.stdout == "False\n", done.stderr


@pytest.mark.parametrize("content", [b"{", b'{"model": 3}', b"\xff\xfe", b"[]"])
def test_a_config_that_cannot_be_read_is_refused(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(DataError, match="config.json: not a config of this version"):
        read_config(tmp_path)
