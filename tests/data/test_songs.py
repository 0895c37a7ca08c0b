import hashlib

import numpy as np
import pandas as pd
import pytest
import yaml

from tfmmrec.data import songs
from tfmmrec.data.songs import DESIGN, load_oracle, write_songs
from tfmmrec.schema import Schema

SMALL = {"num_candidates": 150, "num_queries": 100, "num_interactions": 1500}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_songs(tmp_path_factory.mktemp("data") / "songs", **SMALL)


@pytest.fixture(scope="module")
def items(folder):
    return pd.read_csv(folder / "items.csv")


def digests(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_same_seed_same_files(folder, tmp_path):
    assert digests(write_songs(tmp_path / "again", **SMALL)) == digests(folder)
    assert (
        digests(write_songs(tmp_path / "other", seed=1, **SMALL))["train.parquet"] != digests(folder)["train.parquet"]
    )


def test_dataset_yaml_names_what_is_there(folder, items):
    schema = Schema.model_validate(yaml.safe_load((folder / "dataset.yaml").read_text()))
    assert set(schema.candidates.features) | {"song_id"} == set(items.columns)
    assert {schema.candidates.features[name].kind for name in ("sound", "cover")} == {"audio", "video"}
    queries = pd.read_csv(folder / "queries.csv")
    assert set(schema.queries.features) | {"listener_id"} == set(queries.columns) and len(queries) == 100


def test_some_lack_something_and_every_other_file_is_there(folder, items):
    for column, lacking in (("sound", 6), ("cover", 6), ("description", 8)):
        assert items[column].isna().sum() == lacking
    for column, place in (("sound", "sounds"), ("cover", "covers")):
        paths = {str(path.relative_to(folder)) for path in (folder / place).iterdir()}
        assert set(items[column].dropna()) == paths
    assert items["title"].notna().all()


def test_cold_songs_are_absent_from_train_and_only_they(folder, items):
    oracle = load_oracle(folder)
    known = set(pd.read_parquet(folder / "train.parquet")["song_id"])
    assert known == set(items["song_id"][~oracle.cold_candidates]) and oracle.cold_candidates.sum() == 22


def test_content_carries_most_of_the_taste(folder):
    oracle, rows = load_oracle(folder), np.arange(100)
    assert tuple(oracle.parts) == ("sound", "motion", "words", "popularity")
    for part, share in {"sound": 0.40, "motion": 0.20, "words": 0.18, "popularity": 0.22}.items():
        assert oracle.scores(rows, [part]).var(axis=1).mean() == pytest.approx(share, abs=0.06)
    assert sum(sum(part.values()) for part in DESIGN.shares.values()) + sum(
        DESIGN.popularity.values()
    ) == pytest.approx(1)


def test_a_failure_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(songs, "animate", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_songs(tmp_path / "songs", **SMALL)
    assert list(tmp_path.iterdir()) == []
