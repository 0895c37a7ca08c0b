"""Small catalogues and runs without training, for tests of what is served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

import tfmmrec
from tests.data.clips import animation, mjpeg
from tests.data.waves import tone
from tfmmrec.data.dataset import Dataset, dataset_from_frames, load_dataset
from tfmmrec.data.fashion import write_fashion
from tfmmrec.data.statistics import compute_statistics
from tfmmrec.runs import Run, RunConfig, build_model, write_config
from tfmmrec.serving.assets import write_assets
from tfmmrec.serving.described_model import read_description
from tfmmrec.serving.exported_model import ExportedModel
from tfmmrec.serving.serve_run import serve_run
from tfmmrec.zoo import ZOO

SMALL = {"dim": 8, "feature_dim": 6, "image_size": 16}


def fashion(folder: Path) -> Dataset:
    """120 garments with pictures and texts, 40 shoppers."""
    return load_dataset(write_fashion(folder, num_candidates=120, num_queries=40, num_interactions=400))


def untrained_run(dataset: Dataset, folder: Path, model: str = "two_tower", **hyperparameters: Any) -> Run:
    """A finished run as `train` leaves it, with the weights of a model that has learned nothing."""
    tf.keras.utils.set_random_seed(7)
    known = ZOO[model].hyperparameters
    config = RunConfig(
        run_id="run-7",
        version=tfmmrec.__version__,
        model=model,
        hyperparameters={name: size for name, size in SMALL.items() if name in known} | hyperparameters,
        options={"seed": 0},
        data_schema=dataset.schema,
        dataset=None if dataset.root is None else str(dataset.root),
        finished=True,
    )
    statistics = compute_statistics(dataset)
    built = build_model(config, statistics)
    folder.mkdir(parents=True)
    statistics.save(folder / "statistics.json")
    tf.train.Checkpoint(model=built).write(str(folder / "checkpoints" / "final"))
    write_config(folder, config)
    return Run(folder, config, statistics, built)


def as_exported(run: Run, dataset: Dataset, folder: Path) -> ExportedModel:
    """What `load_exported` gives of a run's export, but that the graph is not saved and loaded, which takes long."""
    served = serve_run(run, dataset)
    folder.mkdir()
    write_assets(folder, run, dataset.candidates, served)
    (folder / "saved_model.pb").touch()
    return ExportedModel(served, read_description(folder))


def songs(
    num_candidates: int = 30, num_queries: int = 12, history: bool = True, query_features: bool = True
) -> Dataset:
    """Songs in memory, with every kind of feature but pictures on both sides, and with times."""
    random = np.random.default_rng(3)
    words = np.array("slow fast loud quiet warm cold bright dark".split())
    moods = [
        list(random.choice(["sad", "glad", "calm"], random.integers(0, 3), replace=False))
        for _ in range(num_candidates)
    ]
    candidates = pd.DataFrame(
        {
            "song": [f"s{i}" for i in range(num_candidates)],
            "title": [" ".join(random.choice(words, 3)) if i % 7 else "" for i in range(num_candidates)],
            "genre": [random.choice(["rock", "folk|rock", "jazz", "", "folk"]) for _ in range(num_candidates)],
            "mood": moods,
            "artist": [f"artist {i % 5}" for i in range(num_candidates)],
            "length": np.where(random.random(num_candidates) < 0.1, np.nan, random.normal(200, 30, num_candidates)),
            "sound": list(random.normal(size=(num_candidates, 4))),
        }
    )
    queries = pd.DataFrame(
        {
            "listener": [f"q{i}" for i in range(num_queries)],
            "about": [" ".join(random.choice(words, 2)) for _ in range(num_queries)],
            "tastes": [list(random.choice(["rock", "folk", "jazz"], 2, replace=False)) for _ in range(num_queries)],
            "age": random.integers(18, 70, num_queries).astype(float),
            "face": list(random.normal(size=(num_queries, 3))),
        }
    )
    pairs = [(q, c) for q in range(num_queries) for c in random.choice(num_candidates - 4, 6, replace=False)]
    log = pd.DataFrame(
        {
            "listener": [f"q{q}" for q, _ in pairs],
            "song": [f"s{c}" for _, c in pairs],
            "time": np.arange(len(pairs), dtype=float),
        }
    )
    features = {
        "title": {"kind": "text"},
        "genre": {"kind": "category", "separator": "|"},
        "mood": {"kind": "category", "max_values": 3},
        "artist": {"kind": "identifier"},
        "length": {"kind": "number"},
        "sound": {"kind": "vector"},
    }
    about = {
        "about": {"kind": "text"},
        "tastes": {"kind": "category", "max_values": 4},
        "age": {"kind": "number"},
        "face": {"kind": "vector"},
    }
    schema = {
        "interactions": {
            "path": "-",
            "query": "listener",
            "candidate": "song",
            "timestamp": "time",
            "split": {"method": "leave_one_out"},
        },
        "candidates": {"path": "-", "id": "song", "display": ["title", "mood"], "features": features},
        "queries": {
            "path": "-",
            "id": "listener",
            "history": {"length": 5} if history else None,
            "features": about if query_features else {},
        },
    }
    return dataset_from_frames(schema, log, candidates, queries)


def recordings(num_candidates: int = 20, num_queries: int = 10) -> Dataset:
    """Recordings in memory with sounds and moving covers, some of which are missing."""
    random = np.random.default_rng(3)
    columns = {
        "title": [f"{random.choice(['loud', 'quiet'])} number {i}" for i in range(num_candidates)],
        "sound": [tone(random.uniform(200, 3000), 8_000, seconds=0.2) for _ in range(num_candidates)],
        "cover": [(animation, mjpeg)[i % 2](random.integers(0, 255, 4)) for i in range(num_candidates)],
    }
    columns["sound"][4], columns["cover"][5] = b"", b""
    candidates = pd.DataFrame({"id": [f"r{i}" for i in range(num_candidates)], **columns})
    queries = pd.DataFrame({"id": [f"q{i}" for i in range(num_queries)]})
    pairs = [(q, c) for q in range(num_queries) for c in random.choice(num_candidates - 3, 6, replace=False)]
    log = pd.DataFrame({"query": [f"q{q}" for q, _ in pairs], "candidate": [f"r{c}" for _, c in pairs]})
    features = {"title": {"kind": "text"}, "sound": {"kind": "audio"}, "cover": {"kind": "video"}}
    schema = {
        "interactions": {"path": "-", "query": "query", "candidate": "candidate", "split": {"method": "ratio"}},
        "candidates": {"path": "-", "id": "id", "display": ["title"], "features": features},
        "queries": {"path": "-", "id": "id"},
    }
    return dataset_from_frames(schema, log, candidates, queries)
