import io
import json

import pytest
from PIL import Image

from tfmmrec.data import inspect_dataset
from tfmmrec.types import DataError

YAML = """
interactions: {train: train.csv, test: test.csv, query: user_id, candidate: movie_id}
candidates:
  path: movies.csv
  id: movie_id
  features:
    title: {kind: text}
    genres: {kind: category, separator: "|"}
    year: {kind: number}
    poster: {kind: image}
"""


@pytest.fixture
def folder(tmp_path):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    (tmp_path / "good.png").write_bytes(buffer.getvalue())
    (tmp_path / "cut.png").write_bytes(buffer.getvalue()[:-25])
    movies = [
        "1,One two three,A|B,1999,good.png",
        "2,,A,,cut.png",
        "3,Four,,inf,gone.png",
        "4,Five,B|C,2001,",
    ]
    (tmp_path / "movies.csv").write_text("movie_id,title,genres,year,poster\n" + "\n".join(movies) + "\n")
    (tmp_path / "train.csv").write_text("user_id,movie_id\n" + "a,1\na,2\na,1\nb,2\nb,9\n")
    (tmp_path / "test.csv").write_text("user_id,movie_id\na,3\nb,2\nc,1\n")
    return tmp_path


def test_everything_is_counted(folder):
    (folder / "dataset.yaml").write_text(YAML)
    found = inspect_dataset(folder)
    assert found.proposal is None
    side = found.candidates
    assert (side.source, side.num_rows, side.num_without_train) == ("movies.csv", 4, 2)
    assert {name: feature.num_missing for name, feature in side.features.items()} == {
        "title": 1,
        "genres": 1,
        "year": 2,
        "poster": 1,
    }
    assert side.features["genres"].num_distinct == 3 and side.features["genres"].examples[0] in "AB"
    assert side.features["year"].examples == ["1999", "2000", "2001"]
    assert side.features["poster"].unusable == {"damaged picture": 1, "missing picture file": 1}
    assert (found.queries.num_rows, found.queries.num_without_train) == (3, 1)
    train = found.parts["train"]
    assert (train.num_rows, train.num_queries, train.num_candidates, train.num_duplicates) == (4, 2, 2, 1)
    assert train.density == 4 / 12 and train.history_lengths["max"] == 3
    assert found.num_seen_in_test == 1  # b chose 2 in both
    assert found.num_cold_candidates == 2
    kinds = {issue.kind: issue.count for issue in found.issues}
    assert kinds == {
        "unknown candidate id": 1,
        "infinite number, taken as missing": 1,
        "missing picture file": 1,
        "damaged picture": 1,
    }
    assert json.loads(json.dumps(found.to_dict()))["parts"]["test"]["num_rows"] == 3


def test_small_blocks_count_the_same(folder, monkeypatch):
    (folder / "dataset.yaml").write_text(YAML)
    before = inspect_dataset(folder)
    monkeypatch.setattr("tfmmrec.data.interactions.BLOCK_ROWS", 1)
    assert inspect_dataset(folder) == before


def test_a_folder_without_yaml_gets_a_proposal_and_stays_as_it_is(folder):
    before = sorted(path.name for path in folder.iterdir())
    found = inspect_dataset(folder)
    assert "train: train.csv" in found.proposal and found.candidates.num_rows == 4
    assert sorted(path.name for path in folder.iterdir()) == before


def test_another_config(folder):
    (folder / "other.yaml").write_text("interactions: {train: train.csv, query: user_id, candidate: movie_id}\n")
    found = inspect_dataset(folder, "other.yaml")
    assert found.proposal is None and found.candidates.num_rows == 3


def test_what_cannot_be_used_is_an_error(folder):
    (folder / "dataset.yaml").write_text(YAML.replace("year:", "yeer:"))
    with pytest.raises(DataError, match="movies.csv: no column 'yeer'.*did you mean 'year'"):
        inspect_dataset(folder)
    with pytest.raises(DataError, match="expected a dataset's folder, but it does not exist"):
        inspect_dataset(folder / "nowhere")
