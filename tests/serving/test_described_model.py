import json
import shutil

import pytest

from tfmmrec.serving.described_model import read_description, read_extra
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


def test_what_candidates_can_be_filtered_by(exported, song_dataset, tmp_path):
    model = read_description(exported)
    assert model.filter_features == ["genre", "mood", "artist"]
    texts = song_dataset.candidates.features["genre"].to_pylist()
    genres = {part for text in texts if text for part in text.split("|")}
    assert "folk" in genres and "polka" not in genres
    values = ["genre=folk", "genre=polka", "artist=artist 4", "artist=artist 5", "genre=folk|rock", "mood=sad", "x"]
    assert model.absent_values(values) == ["genre=polka", "artist=artist 5", "genre=folk|rock", "x"]
    assert model.absent_values([]) == []
    model.path = str(tmp_path)
    assert model.absent_values(values) == [], "a folder without contents does not tell"
