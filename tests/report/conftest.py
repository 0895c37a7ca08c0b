"""A small shop with pictures, titles that look like markup, and an evaluation of it."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tfmmrec.data.dataset import Dataset, dataset_from_frames
from tfmmrec.evaluation import Evaluation, evaluate
from tfmmrec.task_evaluation import PredictedLabels, PredictedRatings

NUM_QUERIES, NUM_CANDIDATES = 30, 24

# of errors 1, 0, 1, 0 and, by the biases, 1, 1, 1, 1; the mean is 3
RATINGS = PredictedRatings(
    np.array([1.0, 2.0, 4.0, 5.0]), np.array([2.0, 2.0, 3.0, 5.0]), np.array([2.0, 3.0, 5.0, 4.0]), 3.0
)
TYPES = PredictedLabels(  # the second is taken for a sock
    labels=["sock", "hat", "<i>scarf"],
    several=False,
    rows=np.array([2, 3, 4]),
    codes=np.array([[0], [1], [1]]),
    logits=np.array([[2.0, 1.0, 0.0], [2.0, 1.0, 0.0], [0.0, 1.0, 0.0]], np.float32),
    frequency=np.array([9.0, 1.0, 0.0], np.float32),
)
TAGS = PredictedLabels(  # of the first's two tags one is found
    labels=["warm", "red", "long"],
    several=True,
    rows=np.array([2, 3]),
    codes=np.array([[0, 1], [2, -1]]),
    logits=np.array([[3.0, 0.0, 1.0], [0.0, 1.0, 2.0]], np.float32),
    frequency=np.array([1.0, 5.0, 3.0], np.float32),
)
PREDICTIONS = {"rating": RATINGS, "tags": TAGS, "category": TYPES}


def picture_bytes(colour="red", size=(40, 60), format="PNG", mode="RGB") -> bytes:
    """An encoded picture of one colour."""
    written = io.BytesIO()
    Image.new(mode, size, colour).save(written, format)
    return written.getvalue()


def make_shop(cold: float = 0.25, pictures: bool = True) -> Dataset:
    """Candidates c00 .. c23: c00's title is markup, every fifth has no picture, c01's is broken."""
    random = np.random.default_rng(0)
    pairs = np.argwhere(random.random((NUM_QUERIES, NUM_CANDIDATES)) < 0.4)
    test = random.random(len(pairs)) < 0.4
    log = pd.DataFrame({"who": [f"q{query}" for query in pairs[:, 0]], "what": [f"c{c:02}" for c in pairs[:, 1]]})
    candidates = pd.DataFrame({"id": [f"c{c:02}" for c in range(NUM_CANDIDATES)]})
    candidates["title"] = ["<b>bold</b> & co" if c == 0 else f"garment {c}" for c in range(NUM_CANDIDATES)]
    candidates["photo"] = [picture_bytes() if c % 5 else None for c in range(NUM_CANDIDATES)]
    candidates.loc[1, "photo"] = b"no picture at all"
    features = {"title": {"kind": "text"}, "photo": {"kind": "image"}}
    queries = pd.DataFrame({"id": [f"q{query}" for query in range(NUM_QUERIES)]})
    queries["age"] = [float("nan") if query == 0 else 20.0 + query for query in range(NUM_QUERIES)]
    return dataset_from_frames(
        {
            "interactions": {"train": "-", "test": "-", "query": "who", "candidate": "what", "cold_candidates": cold},
            "candidates": {
                "path": "-",
                "id": "id",
                "display": ["title", "photo"] if pictures else ["title"],
                "features": features if pictures else {"title": {"kind": "text"}},
            },
            "queries": {"path": "-", "id": "id", "features": {"age": {"kind": "number"}}},
        },
        {"train": log[~test], "test": log[test]},
        candidates if pictures else candidates.drop(columns="photo"),
        queries,
    )


def evaluated(dataset: Dataset, seed: int = 0) -> Evaluation:
    """The evaluation of random scores, which are the same for every call."""
    scores = np.random.default_rng(seed).random((NUM_QUERIES, NUM_CANDIDATES)).astype(np.float32)
    return evaluate(lambda rows: scores[rows], dataset, ks=(3, 8))


@pytest.fixture(scope="session")
def shop() -> Dataset:
    return make_shop()


@pytest.fixture(scope="session")
def evaluation(shop) -> Evaluation:
    return evaluated(shop)
