import numpy as np
import pandas as pd
import pytest

from tfmmrec.data.fashion import DESIGN as FASHION
from tfmmrec.data.generated_catalogue import Design, draw_catalogue, numbered, some_rows, write_catalogue
from tfmmrec.types import UsageError

DESIGN = Design(
    name="toys",
    query_id="child_id",
    candidate_id="toy_id",
    attributes={"sound": ("loud", "quiet"), "size": ("small", "large", "huge")},
    makers=("a", "b", "c"),
    groups={"age": ("young", "old")},
    shares={"look": {"size": 0.5}, "noise": {"sound": 0.2}},
    popularity={"maker": 0.2, "toy": 0.1},
)
NUMBERS = {"num_candidates": 120, "num_queries": 60, "num_interactions": 600}


def sources(seed=0):
    return [np.random.default_rng(own) for own in np.random.SeedSequence(seed).spawn(4)]


@pytest.mark.parametrize("design", [FASHION, DESIGN], ids=["fashion", "toys"])
def test_shares_of_a_design_sum_to_one_and_cover_its_attributes(design):
    shares = [share for part in design.shares.values() for share in part.values()]
    assert sum(shares) + sum(design.popularity.values()) == pytest.approx(1.0)
    assert sorted(name for part in design.shares.values() for name in part) == sorted(design.attributes)


def test_the_truth_of_a_drawn_catalogue():
    drawn = draw_catalogue(DESIGN, NUMBERS, *sources())
    oracle = drawn.oracle
    assert set(drawn.attributes["size"]) == {"small", "large", "huge"} and len(drawn.makers) == 120
    assert set(drawn.groups["age"]) == {"young", "old"} and len(drawn.groups["age"]) == 60
    assert len(drawn.train) + len(drawn.test) == 600
    cold = oracle.cold_candidates
    assert (
        cold.sum() == 18 and not cold[drawn.train[:, 1]].any() and set(drawn.train[:, 1]) == set(np.flatnonzero(~cold))
    )
    assert oracle.parts == {"look": ("size",), "noise": ("sound",), "popularity": ("maker", "toy")}
    assert oracle.terms.tolist() == ["sound"] * 2 + ["size"] * 3 + ["maker", "toy"]
    for part, share in {"look": 0.5, "noise": 0.2, "popularity": 0.3}.items():
        assert oracle.scores(np.arange(60), [part]).var(axis=1).mean() == pytest.approx(share, abs=0.08)
    again = draw_catalogue(DESIGN, NUMBERS, *sources())
    np.testing.assert_array_equal(again.train, drawn.train)
    assert not np.array_equal(draw_catalogue(DESIGN, NUMBERS, *sources(1)).oracle.query_vectors, oracle.query_vectors)


def test_a_folder_is_written_whole_or_not_at_all_and_once(tmp_path):
    written, made_by = [], NUMBERS | {"seed": 0}

    def write(folder, drawn, candidates, missing):
        written.append(folder)
        (folder / "items.csv").write_text("rows")
        if len(written) == 1:
            raise OSError("the disk is full")
        return numbered("t", len(drawn.makers))

    with pytest.raises(OSError, match="full"):
        write_catalogue(tmp_path / "toys", DESIGN, made_by, "yaml", write)
    assert not list(tmp_path.iterdir())
    for _ in range(2):
        write_catalogue(tmp_path / "toys", DESIGN, made_by, "yaml", write)
    assert len(written) == 2
    names = ["dataset.yaml", "items.csv", "oracle.npz", "queries.csv", "test.parquet", "toys.json", "train.parquet"]
    assert sorted(path.name for path in (tmp_path / "toys").iterdir()) == names
    train = pd.read_parquet(tmp_path / "toys" / "train.parquet")
    assert list(train.columns) == ["child_id", "toy_id"] and train["child_id"].str.startswith("c").all()
    assert pd.read_csv(tmp_path / "toys" / "queries.csv").columns.tolist() == ["child_id", "age"]
    with pytest.raises(UsageError, match=r"was made with .*600.*, not with .*601.*; delete it or pass another folder"):
        write_catalogue(tmp_path / "toys", DESIGN, made_by | {"num_interactions": 601}, "yaml", write)
    with pytest.raises(UsageError, match="exists and is not the catalogue `toys`; pass an empty or a new folder"):
        write_catalogue(tmp_path, DESIGN, made_by, "yaml", write)


def test_ids_have_one_width():
    assert numbered("s", 3).tolist() == ["s0", "s1", "s2"]
    assert numbered("s", 100)[[0, 99]].tolist() == ["s000", "s099"]


def test_so_many_rows_lack_something():
    rows = some_rows(200, 0.05, np.random.default_rng(0))
    assert rows.sum() == 10 and rows.dtype == bool
    assert some_rows(10, 0.001, np.random.default_rng(0)).sum() == 1
