import logging

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tfmmrec.baselines import content_features, content_ridge, ease, most_popular, random_scorer
from tfmmrec.data.dataset import dataset_from_frames
from tfmmrec.evaluation import quick_metrics
from tfmmrec.types import UsageError

NUM_QUERIES, NUM_CANDIDATES = 60, 24
ROWS = np.arange(NUM_QUERIES)
WORDS = ("linen dress", "winter boots", "silk scarf")


def _make_dataset(features=None, cold=0.0, seed=0, repeat=False):
    """Queries that like candidates whose number leaves the same remainder as theirs."""
    random = np.random.default_rng(seed)
    likes = ROWS[:, None] % 3 == np.arange(NUM_CANDIDATES) % 3
    pairs = np.argwhere(random.random(likes.shape) < np.where(likes, 0.7, 0.05))
    test = random.random(len(pairs)) < 0.3
    frame = pd.DataFrame({"q": [f"q{q:02}" for q in pairs[:, 0]], "c": [f"c{c:02}" for c in pairs[:, 1]]})
    train = pd.concat([frame[~test]] * (2 if repeat else 1))
    numbers = np.arange(NUM_CANDIDATES, dtype=float)
    numbers[5] = np.nan
    candidates = pd.DataFrame(
        {
            "id": [f"c{c:02}" for c in range(NUM_CANDIDATES)],
            "text": [None if c == 4 else f"{WORDS[c % 3]} unique{c}" for c in range(NUM_CANDIDATES)],
            "kinds": [f"k{c % 3}| odd" if c % 2 else f"k{c % 3}" for c in range(NUM_CANDIDATES)],
            "price": numbers,
            "look": [np.eye(3)[c % 3].tolist() if c else None for c in range(NUM_CANDIDATES)],
            "photo": "",
        }
    )
    kinds = {
        "text": {"kind": "text"},
        "kinds": {"kind": "category", "separator": "|"},
        "price": {"kind": "number"},
        "look": {"kind": "vector"},
        "photo": {"kind": "image"},
    }
    features = ("text", "kinds", "price") if features is None else features
    schema = {
        "interactions": {"train": "-", "test": "-", "query": "q", "candidate": "c", "cold_candidates": cold},
        "candidates": {"path": "-", "id": "id", "features": {name: kinds[name] for name in features}},
        "queries": {"path": "-", "id": "id"},
    }
    queries = pd.DataFrame({"id": [f"q{q:02}" for q in ROWS]})
    return dataset_from_frames(schema, {"train": train, "test": frame[test]}, candidates, queries)


def _dense(dataset):
    chosen = np.zeros((NUM_QUERIES, NUM_CANDIDATES))
    chosen[dataset.train.query_rows(), dataset.train.indices] = 1.0
    return chosen


def test_most_popular_counts():
    dataset = _make_dataset()
    scores = most_popular(dataset)(ROWS[:5])
    np.testing.assert_array_equal(scores, np.tile(_dense(dataset).sum(axis=0), (5, 1)))


def test_random_scores_depend_on_seed_and_row_alone():
    scorer = random_scorer(_make_dataset(), seed=3)
    np.testing.assert_array_equal(scorer(np.array([7, 2]))[1], scorer(np.array([2]))[0])
    assert not np.array_equal(scorer(ROWS), random_scorer(_make_dataset(), seed=4)(ROWS))
    assert scorer(ROWS).shape == (NUM_QUERIES, NUM_CANDIDATES)


@pytest.mark.parametrize("repeat", [False, True])
def test_ease_is_the_closed_form(repeat):
    dataset = _make_dataset(repeat=repeat)
    chosen = _dense(dataset)
    inverse = np.linalg.inv(chosen.T @ chosen + 5.0 * np.eye(NUM_CANDIDATES))
    weights = np.eye(NUM_CANDIDATES) - inverse / np.diag(inverse)
    np.testing.assert_allclose(np.diag(weights), 0.0, atol=1e-12)
    np.testing.assert_allclose(ease(dataset, l2=5.0)(ROWS[3:9]), chosen[3:9] @ weights, atol=1e-5)


def test_ease_knows_nothing_of_cold_candidates():
    dataset = _make_dataset(cold=0.25)
    assert not ease(dataset)(ROWS)[:, dataset.cold_candidates].any()


def test_ease_states_its_need_and_refuses(caplog):
    with caplog.at_level(logging.INFO, "tfmmrec"):
        ease(_make_dataset())
    assert "ease over 24 candidates needs 0.0 MB of memory" in caplog.text
    with pytest.raises(UsageError, match=r"ease over 24 candidates needs 0\.0 MB of memory, and max_bytes is 0\.0"):
        ease(_make_dataset(), max_bytes=12 * 24**2 - 1)
    ease(_make_dataset(), max_bytes=12 * 24**2)


@pytest.mark.parametrize("features", [("kinds", "price"), ("text", "kinds", "price")])
def test_content_ridge_is_the_closed_form(features):
    dataset = _make_dataset(features, cold=0.25)
    content = content_features(dataset).toarray()
    warm = dataset.train.counts() > 0
    seen = content[warm]
    gram = seen.T @ seen + 2.0 * np.eye(content.shape[1])
    weights = np.linalg.solve(gram, seen.T @ _dense(dataset)[:, warm].T)  # [features, queries]
    np.testing.assert_allclose(content_ridge(dataset, l2=2.0)(ROWS), (content @ weights).T, atol=1e-5)


def test_more_words_than_candidates_give_the_same_closed_form():
    dataset = _make_dataset(("text", "kinds", "price"), cold=0.25)
    texts = [" ".join(f"word{c + i}" for i in range(20)) for c in range(NUM_CANDIDATES)]
    dataset.candidates.features["text"] = pa.array(texts)
    content = content_features(dataset).toarray()
    warm = dataset.train.counts() > 0
    assert content.shape[1] > warm.sum()  # so that the dual is the smaller system
    seen = content[warm]
    gram = seen.T @ seen + 2.0 * np.eye(content.shape[1])
    weights = np.linalg.solve(gram, seen.T @ _dense(dataset)[:, warm].T)
    np.testing.assert_allclose(content_ridge(dataset, l2=2.0)(ROWS), (content @ weights).T, atol=1e-5)


@pytest.mark.parametrize("feature", ["text", "kinds", "look"])
def test_content_finds_cold_candidates(feature):
    dataset = _make_dataset((feature,), cold=0.25)
    arguments = dataset.train, dataset.test, (2,), dataset.cold_candidates
    found = quick_metrics(content_ridge(dataset, l2=1.0), *arguments)["ndcg@2"]
    chance = quick_metrics(most_popular(dataset), *arguments)["ndcg@2"]
    assert found > 1.5 * chance


def test_features_as_numbers():
    content = content_features(_make_dataset(("text", "kinds", "price", "look"))).toarray()
    texts, kinds, price, look = np.split(content, [6, 10, 11], axis=1)
    assert (texts.astype(bool).sum(axis=1) == [0 if c == 4 else 2 for c in range(NUM_CANDIDATES)]).all()
    np.testing.assert_allclose(np.linalg.norm(np.delete(texts, 4, axis=0), axis=1), 1.0)
    assert kinds.sum(axis=1).tolist() == [1 + c % 2 for c in range(NUM_CANDIDATES)]
    there = np.arange(NUM_CANDIDATES) != 5
    assert price[there].mean() == pytest.approx(0) and price[there].std() == pytest.approx(1) and price[5] == 0
    assert not look[0].any() and look[1:].sum() == NUM_CANDIDATES - 1


def test_content_ridge_refuses_what_it_cannot_use():
    with pytest.raises(UsageError, match="of kind category, number, text or vector, found photo: image"):
        content_ridge(_make_dataset(("photo",)))
    with pytest.raises(UsageError, match="found none"):
        content_ridge(_make_dataset(()))
    with pytest.raises(UsageError, match="l2 must be positive, got 0"):
        content_ridge(_make_dataset(), l2=0)
    with pytest.raises(UsageError, match="with a system of .* equations needs .* max_bytes is"):
        content_ridge(_make_dataset(), max_bytes=10)
