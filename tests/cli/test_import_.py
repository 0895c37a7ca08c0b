"""`tfmmrec import`."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tfmmrec.cli.import_ import FORMATS
from tfmmrec.cli.main import main


@pytest.fixture
def movielens(tmp_path):
    """The form of latest-small: 12 people, 10 movies, and a line that is broken."""
    folder = tmp_path / "ml-latest-small"
    folder.mkdir()
    random, rows = np.random.default_rng(0), ["userId,movieId,rating,timestamp", "1,2"]
    for who in range(1, 13):
        for place, what in enumerate(random.permutation(10)[:6] + 1):
            rows.append(f"{who},{what},{3 + (who + what) % 3}.0,{1147880000 + 100 * place + who}")
    (folder / "ratings.csv").write_text("\n".join(rows) + "\n")
    movies = [f"{what},The {'long short'.split()[what % 2]} one ({1990 + what}),Drama|War" for what in range(1, 11)]
    (folder / "movies.csv").write_text("\n".join(["movieId,title,genres", *movies]) + "\n")
    return folder


def test_what_was_written_is_told(movielens, tmp_path, capsys):
    assert main(["import", "movielens", str(movielens), "--to", str(tmp_path / "out"), "--min-rating", "4"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "out: 72 interactions, 12 queries, 10 candidates." in shown
    assert "broken line, left out 1 line 2: '1,2'" in shown
    assert "Next: tfmmrec train" in shown
    assert "positive: rating >= 4" in (tmp_path / "out" / "dataset.yaml").read_text()


def test_json(movielens, tmp_path, capsys):
    options = ["--core", "2", "--split", "leave_one_out", "--json"]
    assert main(["import", "movielens", str(movielens), "--to", str(tmp_path / "out"), *options]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert {name: answer[name] for name in ("num_interactions", "num_queries", "num_candidates", "num_pictures")} == {
        "num_interactions": 72,
        "num_queries": 12,
        "num_candidates": 10,
        "num_pictures": 0,
    }
    (issue,) = answer["issues"]
    assert issue == {"kind": "broken line, left out", "where": "ratings.csv", "count": 1, "example": "line 2: '1,2'"}


def test_inspect_takes_what_was_written(movielens, tmp_path, capsys):
    assert main(["import", "movielens", str(movielens), "--to", str(tmp_path / "out"), "--json"]) == 0
    capsys.readouterr()
    assert main(["inspect", str(tmp_path / "out"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["issues"] == [] and answer["candidates"]["num_rows"] == 10


def test_a_model_learns_from_what_was_written(movielens, tmp_path):
    from tfmmrec import TrainingOptions, load_dataset, train

    assert main(["import", "movielens", str(movielens), "--to", str(tmp_path / "out"), "--json"]) == 0
    options = TrainingOptions(epochs=1, batch_size=16, refit=False)
    run = train(load_dataset(tmp_path / "out"), tmp_path / "run", "two_tower", {"dim": 8}, options, progress=False)
    assert run.config.num_epochs == 1 and run.config.dataset == str((tmp_path / "out").resolve())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["movielnes", "ml-latest-small"],
            "no format 'movielnes'; there are movielens, amazon, yelp, mmrec; did you mean",
        ),
        (["mmrec", "ml-latest-small", "--core", "5"], "--core is not for mmrec; leave it out"),
        (["yelp", "ml-latest-small", "--category", "x"], "--category is not for yelp; leave it out"),
        (["movielens", "ml-latest-small", "--split", "random"], "split must be one of time, leave_one_out, ratio"),
        (["amazon", "ml-latest-small"], "Amazon Reviews comes from https://amazon-reviews-2023.github.io"),
        (["movielens", "nowhere"], "expected the folder of MovieLens, but it does not exist"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_written(arguments, message, movielens, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["import", *arguments, "--to", "out"]) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and message in shown.err
    assert [path.name for path in tmp_path.iterdir()] == [movielens.name]


@pytest.mark.parametrize("format", FORMATS)
def test_help_names_each_format(format, capsys):
    assert main(["import", "--help"]) == 0
    assert f"  {format}: " in capsys.readouterr().out


def test_importing_needs_no_tensorflow(movielens, tmp_path, run_python):
    arguments = ["import", "movielens", str(movielens), "--to", str(tmp_path / "out")]
    code = f"from tfmmrec.cli.main import main\nimport sys\nassert main({arguments!r}) == 0"
    done = run_python(f"{code}\nassert 'tensorflow' not in sys.modules")
    assert (done.returncode, done.stderr) == (0, "")
