import json
import shutil

import pytest

from tfmmrec.serving.described_model import missing_value, read_description, read_extra
from tfmmrec.types import DataError


def test_what_an_export_tells_of_itself(exported, song_dataset):
    found = read_description(exported)
    assert found.path == str(exported) and found.about["model"] == "two_tower"
    assert found.schema == song_dataset.schema and "recommend" in found.signatures
    assert found.rows_of(["s2", "nobody", "s0"]) == [2, -1, 0]
    first, unknown = found.display_of(["s0", "nobody"])
    assert set(first) == {"title", "mood"} and unknown == {}


def test_it_needs_no_graph_that_can_be_loaded(exported, tmp_path):
    shutil.copytree(exported / "assets.extra", tmp_path / "7" / "assets.extra")
    (tmp_path / "7" / "saved_model.pb").write_bytes(b"")
    assert read_description(tmp_path).path == str(tmp_path / "7")


def test_other_models(exported, tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(DataError, match="`tfmmrec export` did not write it"):
        read_description(tmp_path)
    shutil.copytree(exported / "assets.extra", tmp_path / "assets.extra")
    (tmp_path / "assets.extra" / "schema.json").write_text("{")
    with pytest.raises(DataError, match="assets.extra: cannot be read; export the model again"):
        read_description(tmp_path)


def test_single_files(exported):
    about = json.loads((exported / "assets.extra" / "model.json").read_text())
    assert read_extra(exported, "model.json") == about


def test_what_stands_for_nothing():
    assert missing_value({"dtype": "string", "shape": []}) == ""
    assert missing_value({"dtype": "float32", "shape": [2]}) == [0.0, 0.0]
    number = missing_value({"dtype": "float32", "shape": []})
    assert number != number
