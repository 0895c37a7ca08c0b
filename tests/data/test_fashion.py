import hashlib
import re

import numpy as np
import pandas as pd
import pytest
import yaml

from tfmmrec.data import fashion
from tfmmrec.data.fashion import load_oracle, write_fashion
from tfmmrec.schema import Schema
from tfmmrec.types import UsageError

SMALL = {"num_candidates": 200, "num_queries": 300, "num_interactions": 4500}
LOOKS = re.compile(
    r"\b(black|gr[ea]y|white|red|orange|yellow|green|blue|purple|brown|pink|navy|gold(en)?|silver|beige|tan|rose|"
    r"plain|strip\w+|dots?|dotted|check\w*|floral|flower\w*|pattern\w*|colou?r\w*)\b",
    re.IGNORECASE,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_fashion(tmp_path_factory.mktemp("data") / "fashion", **SMALL)


@pytest.fixture(scope="module")
def items(folder):
    return pd.read_csv(folder / "items.csv")


@pytest.fixture(scope="module")
def choices(folder, items):
    """Train and test as `[num_queries, num_candidates]` bool."""
    queries = pd.read_csv(folder / "queries.csv")["shopper_id"]

    def dense(name):
        table = pd.read_parquet(folder / f"{name}.parquet")
        assert not table.duplicated().any()
        chosen = np.zeros((len(queries), len(items)), bool)
        rows = pd.Index(queries).get_indexer(table["shopper_id"])
        chosen[rows, pd.Index(items["garment_id"]).get_indexer(table["garment_id"])] = True
        assert chosen.sum() == len(table)
        return chosen

    return dense("train"), dense("test")


def _digests(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _ndcg(scores, relevant, k):
    top = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    gains = np.take_along_axis(relevant, top, axis=1) / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(1 / np.log2(np.arange(2, k + 2)))[np.minimum(relevant.sum(axis=1), k) - 1]
    rows = relevant.any(axis=1)
    return (gains.sum(axis=1)[rows] / ideal[rows]).mean()


def test_same_seed_same_files(folder, tmp_path):
    assert _digests(write_fashion(tmp_path / "again", **SMALL)) == _digests(folder)
    other = _digests(write_fashion(tmp_path / "other", seed=1, **SMALL))
    assert other["train.parquet"] != _digests(folder)["train.parquet"]


def test_a_complete_folder_is_left_alone(folder):
    before = (folder / "items.csv").stat().st_mtime_ns
    assert write_fashion(folder, **SMALL) == folder
    assert (folder / "items.csv").stat().st_mtime_ns == before
    assert not list(folder.parent.glob(".fashion.*"))


def test_another_folder_is_refused(folder, tmp_path):
    with pytest.raises(UsageError, match=r"was made with .*'seed': 0.*delete it or pass another folder"):
        write_fashion(folder, seed=5, **SMALL)
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not the catalogue `fashion`; pass an empty or a new folder"):
        write_fashion(tmp_path, **SMALL)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_a_failure_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(fashion, "render_garment", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_fashion(tmp_path / "fashion", **SMALL)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"num_candidates": 99}, "num_candidates must be at least 100, got 99"),
        ({"num_queries": 0}, "num_queries must be at least 1, got 0"),
        ({"num_interactions": 100}, r"num_interactions must be 1500 to 7500 .* got 100"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(numbers, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        write_fashion(tmp_path / "fashion", **{**SMALL, **numbers})


def test_dataset_yaml_names_what_is_there(folder, items):
    schema = Schema.model_validate(yaml.safe_load((folder / "dataset.yaml").read_text()))
    assert set(schema.candidates.features) | {"garment_id"} == set(items.columns)
    assert set(schema.queries.features) | {"shopper_id"} == set(pd.read_csv(folder / "queries.csv").columns)
    assert (folder / schema.interactions.train).is_file()
    assert (folder / schema.interactions.test).is_file()


def test_counts(folder, items, choices):
    train, test = choices
    assert train.shape == (300, 200)
    assert train.sum() + test.sum() == 4500
    assert not (train & test).any()
    per_query = (train | test).sum(axis=1)
    assert per_query.min() >= 5
    assert per_query.max() > 2 * per_query.mean()


def test_cold_garments_are_absent_from_train_and_only_they(folder, choices):
    train, test = choices
    cold = load_oracle(folder).cold_candidates
    assert cold.sum() == 30
    np.testing.assert_array_equal(train.any(axis=0), ~cold)
    assert (train | test).any(axis=0).all()
    assert test[:, ~cold].sum() / (train | test)[:, ~cold].sum() == pytest.approx(0.2, abs=0.03)


def test_missing_values(folder, items):
    assert items["picture"].isna().sum() == 10
    assert items["description"].isna().sum() == 10
    assert items["price"].isna().sum() == 1
    assert items["title"].notna().all()
    paths = {str(path.relative_to(folder)) for path in (folder / "pictures").iterdir()}
    assert set(items["picture"].dropna()) == paths


def test_texts_do_not_say_what_the_picture_shows(items):
    for text in [*items["title"], *items["description"].dropna()]:
        assert not LOOKS.search(text), text


def test_garments_without_description_do_not_say_it_in_the_title(folder, items):
    words = {word for name in ("fabric", "occasion", "season") for word in fashion.ATTRIBUTES[name]}
    for title in items["title"][items["description"].isna()]:
        assert not words & set(title.split()), title


def test_shares_of_the_taste_are_as_documented(folder):
    oracle = load_oracle(folder)
    rows = np.arange(300)
    expected = {"look": 0.45, "words": 0.30, "popularity": 0.25}
    for part, share in expected.items():
        variance = oracle.scores(rows, parts=[part]).var(axis=1)
        assert variance.mean() == pytest.approx(share, abs=0.05)
    total = oracle.scores(rows)
    np.testing.assert_allclose(total, sum(oracle.scores(rows, parts=[part]) for part in oracle.parts), atol=1e-5)
    assert total.dtype == np.float32
    assert total.shape == (300, 200)


def test_the_oracle_is_far_above_popularity(folder, choices):
    train, test = choices
    oracle = load_oracle(folder)
    cold = oracle.cold_candidates
    relevant = test & ~cold
    best = _ndcg(np.where(train, -np.inf, oracle.scores(np.arange(300))), relevant, 10)
    popular = _ndcg(np.where(train, -np.inf, train.sum(axis=0) + np.zeros((300, 1))), relevant, 10)
    assert 0 < popular < 0.5 * best


def test_content_alone_ranks_cold_garments(folder, choices):
    _, test = choices
    oracle = load_oracle(folder)
    cold = oracle.cold_candidates
    rows = np.arange(300)
    best = _ndcg(oracle.scores(rows)[:, cold], test[:, cold], 5)
    content = _ndcg(oracle.scores(rows, parts=["look", "words"])[:, cold], test[:, cold], 5)
    chance = _ndcg(np.random.default_rng(0).random((300, 30)), test[:, cold], 5)
    assert content > 0.6 * best
    assert content > 2 * chance
