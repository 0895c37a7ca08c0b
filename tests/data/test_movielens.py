from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tfmmrec.data.dataset import load_dataset
from tfmmrec.data.movielens import convert_movielens
from tfmmrec.types import DataError, UsageError

MOVIES = [
    "1::Toy Story (1995)::Animation|Comedy",
    "73::Misérables, Les (1995)::Drama",
    "2::Nameless::",
    "9::Unseen (2000)::War",
]
PEOPLE = ["1::F::1::10::48067", "2::M::56::16::70072", "3::M::99::77::"]


def lines(path, rows, encoding="utf-8"):
    path.write_bytes("".join(f"{row}\n" for row in rows).encode(encoding))


@pytest.fixture
def old(tmp_path):
    """1M: three people who rate three movies, in a folder of its own within the download's."""
    folder = tmp_path / "download" / "ml-1m"
    folder.mkdir(parents=True)
    ratings = [
        (who, what, 1 + (who + what) % 5, 978300000 + 10 * who + what) for who in (1, 2, 3) for what in (1, 2, 73)
    ]
    lines(folder / "ratings.dat", ["::".join(map(str, row)) for row in ratings] + ["1::2::5", "1::2::five::978300000"])
    lines(folder / "movies.dat", MOVIES, "latin-1")
    lines(folder / "users.dat", PEOPLE, "latin-1")
    return tmp_path / "download"


@pytest.fixture
def new(tmp_path):
    """The form of 25M and latest."""
    folder = tmp_path / "ml-latest-small"
    folder.mkdir()
    ratings = [
        f"{who},{what},{0.5 + (who + what) % 5},{1147880000 + 10 * who + what}"
        for who in range(1, 7)
        for what in (1, 2, 3)
    ]
    lines(folder / "ratings.csv", ["userId,movieId,rating,timestamp", *ratings])
    movies = ['1,"American President, The (1995)",Comedy|Drama', '2,"He said ""no"" (2006–2007)",(no genres listed)']
    lines(folder / "movies.csv", ["movieId,title,genres", *movies, '3,"Open,Drama'])
    return folder


def rows(entities, name):
    """Id -> one of its features or what is shown of it."""
    values = entities.features.get(name, entities.display.get(name))
    return dict(
        zip(
            entities.ids.to_pylist(),
            values.tolist() if isinstance(values, np.ndarray) else values.to_pylist(),
            strict=True,
        )
    )


def test_1m(old, tmp_path):
    made = convert_movielens(old, tmp_path / "out")
    assert (made.num_interactions, made.num_queries, made.num_candidates) == (9, 3, 3)
    kinds = {(issue.kind, issue.where): issue.count for issue in made.issues}
    assert kinds == {("broken line, left out", "ratings.dat"): 2, ("nobody chose it, left out", "movies.dat"): 1}
    dataset = load_dataset(tmp_path / "out")
    assert not dataset.issues
    assert rows(dataset.candidates, "title") == {"1": "Toy Story", "73": "Misérables, Les", "2": "Nameless"}
    assert rows(dataset.candidates, "genres")["1"] == "Animation|Comedy"
    years = rows(dataset.candidates, "year")
    assert years["1"] == 1995 and np.isnan(years["2"])
    assert rows(dataset.queries, "age") == {"1": "under 18", "2": "56 and over", "3": "99"}
    assert rows(dataset.queries, "gender")["1"] == "F"
    assert rows(dataset.queries, "occupation") == {"1": "K-12 student", "2": "self-employed", "3": "77"}
    # by time: query 3 chose last, and of its three choices movie 73
    assert dataset.test.columns["timestamp"].tolist() == [978300103.0]
    assert dataset.test.columns["rating"].tolist() == [1 + (3 + 73) % 5]


def test_latest(new, tmp_path):
    made = convert_movielens(new, tmp_path / "out", min_rating=2)
    assert (made.num_interactions, made.num_queries, made.num_candidates) == (18, 6, 3)
    dataset = load_dataset(tmp_path / "out")
    assert rows(dataset.candidates, "title") == {"1": "American President, The", "2": 'He said "no"', "3": None}
    assert rows(dataset.candidates, "year")["2"] == 2006
    assert rows(dataset.candidates, "genres") == {"1": "Comedy|Drama", "2": None, "3": None}
    assert [(issue.where, issue.count) for issue in made.issues] == [("movies.csv", 1), ("items.parquet", 1)]
    positive = sum(0.5 + (who + what) % 5 >= 2 for who in range(1, 7) for what in (1, 2, 3))
    assert sum(part.num_rows for part in dataset.parts.values()) == positive
    assert dataset.schema.queries.features == {} and len(dataset.queries) == 6


def test_posters(new, tmp_path):
    posters = tmp_path / "posters"
    posters.mkdir()
    Image.new("RGB", (4, 6), "blue").save(posters / "2.jpg")
    made = convert_movielens(new, tmp_path / "out", images=posters)
    assert made.num_pictures == 1
    dataset = load_dataset(tmp_path / "out")
    assert rows(dataset.candidates, "image") == {"1": None, "2": "images/2.jpg", "3": None}
    assert dataset.schema.candidates.display == ("title", "image")


def test_core_and_split(new, tmp_path):
    with open(new / "ratings.csv", "a") as file:
        file.write("9,1,5.0,1147880000\n")
    made = convert_movielens(new, tmp_path / "out", core=3, split="leave_one_out")
    assert (made.num_interactions, made.num_queries) == (18, 6), "one choice is too few"
    assert {name: part.num_rows for name, part in load_dataset(tmp_path / "out").parts.items()} == dict(
        train=6, valid=6, test=6
    )


def test_a_missing_file_is_told_with_where_to_get_it(old, tmp_path):
    (old / "ml-1m" / "movies.dat").unlink()
    with pytest.raises(DataError) as caught:
        convert_movielens(old / "ml-1m", tmp_path / "out")
    message = str(caught.value)
    assert "expected ratings.dat and movies.dat or ratings.csv and movies.csv, found ratings.dat, users.dat" in message
    assert "https://grouplens.org/datasets/movielens/" in message and "no commercial use without permission" in message
    assert not (tmp_path / "out").exists()


def test_nothing_is_left_of_what_fails(new, tmp_path):
    lines(new / "ratings.csv", ["userId,movieId,rating,timestamp", "1;2;3;4"])
    with pytest.raises(
        DataError, match="ratings.csv: no interactions; expected lines like 1,296,5.0,1147880044, found 1 ×"
    ):
        convert_movielens(new, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ml-latest-small"]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("")
    with pytest.raises(UsageError, match="out exists and is not empty"):
        convert_movielens(new, tmp_path / "out")
