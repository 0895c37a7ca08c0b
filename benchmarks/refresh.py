"""New candidates without training: what a refresh of the index costs, and whether what is new is recommended.

    python benchmarks/refresh.py times       100,000 generated candidates, of which a table brings 1,000 new ones
    python benchmarks/refresh.py garments    50 cold garments of the catalogue fashion, which the model never saw

`times` measures from the call to the export that is written, with a two-tower model over texts, a category, a number, a
vector and a picture of 64 x 64 (of 200 different ones): with a table of the 1,000 alone; with one of all 101,000, as a
shop writes it every night; and with that one and an export that knows no digest of its candidates, so that all are
encoded.

`garments` trains on the catalogue without 50 of its cold garments, publishes, and gives the version in service the 50
by `push_index`, from their pictures and words, which judges it by the default policy. NDCG@20 among the new ones is
over the shoppers who chose one of them (in the test: nobody learns from it); beside it stand what chance and the best
ranking have there, and the same model's figures before.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from measuring import machine, parser, publish

K = 20
NUM_CANDIDATES, NUM_NEW = 100_000, 1_000
NUM_GARMENTS = 50


def main() -> None:
    """Measures one of the two."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("what", choices=("times", "garments"))
    arguments.add_argument("--model", default="two_tower", help="of the garments")
    arguments.add_argument("--candidates", type=int, default=NUM_CANDIDATES)
    arguments.add_argument("--out", type=Path, metavar="FOLDER", help="keep what is made here")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        out = given.out or Path(temporary)
        out.mkdir(parents=True, exist_ok=True)
        if given.what == "times":
            found = times(out, given.candidates, given.repeats, given.seed)
        else:
            found = garments(out, given.model, given.seed)
    publish({"machine": machine(), given.what: found}, given.json)


def times(out: Path, num_candidates: int, repeats: int, seed: int) -> dict:
    """Seconds of a refresh, and how many candidates it encodes."""
    from tfmmrec.data.dataset import dataset_from_frames
    from tfmmrec.serving.contents import read_contents, write_contents
    from tfmmrec.serving.export import export_run
    from tfmmrec.serving.refresh import refresh_index
    from tfmmrec.training import train

    table, log = generated(num_candidates + NUM_NEW, num_candidates, seed)
    dataset = dataset_from_frames(DESCRIPTION, log, table.iloc[:num_candidates])
    run = train(dataset, out / "run", "two_tower", {"dim": 64}, QUICK | {"seed": seed})
    start = time.perf_counter()
    export_run(run, out / "export", dataset)
    found = {"num_candidates": num_candidates, "export_seconds": round(time.perf_counter() - start, 1)}
    shutil.copytree(out / "export", out / "forgetful")
    contents = read_contents(out / "forgetful")
    contents.digests = [b""] * len(contents.ids)
    write_contents(out / "forgetful", contents)
    new, whole = out / "new.parquet", out / "whole.parquet"
    table.iloc[num_candidates:].to_parquet(new)
    table.to_parquet(whole)
    ways = {
        "a table of the new ones": (out / "export", new),
        "a table of all": (out / "export", whole),
        "a table of all, everything encoded": (out / "forgetful", whole),
    }
    for name, (folder, file) in ways.items():
        taken = []
        for repeat in range(repeats):
            to = out / f"refreshed-{len(taken)}"
            start = time.perf_counter()
            done = refresh_index(folder, to, file)
            taken.append(time.perf_counter() - start)
            shutil.rmtree(to)
            print(f"{name}, {repeat + 1} of {repeats}: {taken[-1]:.1f} s", file=sys.stderr)
        found[name] = {"seconds": round(float(np.median(taken)), 1), "encoded": done.encoded}
    return found


QUICK = {"epochs": 1, "refit": False, "image_steps": 1}  # what the model has learned does not matter here
DESCRIPTION = {
    "interactions": {"path": "-", "query": "who", "candidate": "id", "split": {"method": "ratio"}},
    "candidates": {
        "path": "-",
        "id": "id",
        "features": {
            "title": {"kind": "text"},
            "text": {"kind": "text"},
            "maker": {"kind": "category"},
            "price": {"kind": "number"},
            "vector": {"kind": "vector"},
            "picture": {"kind": "image"},
        },
    },
    "queries": {"path": "-", "id": "who"},
}


def generated(num_candidates: int, num_chosen: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Candidates with texts of 5 and of 40 words, of one of 100 topics each, and 20,000 choices among the first
    `num_chosen` of them.
    """
    random = np.random.default_rng(seed)
    pictures = [some_picture(random) for _ in range(200)]
    words = np.array([f"word{place}" for place in range(5000)])
    drawn = 50 * random.integers(0, 100, (num_candidates, 1)) + random.integers(0, 50, (num_candidates, 45))
    table = pd.DataFrame(
        {
            "id": [f"c{place}" for place in range(num_candidates)],
            "title": [" ".join(row) for row in words[drawn[:, :5]]],
            "text": [" ".join(row) for row in words[drawn[:, 5:]]],
            "maker": words[random.integers(0, 200, num_candidates)],
            "price": random.lognormal(3.0, 1.0, num_candidates),
            "vector": list(random.normal(size=(num_candidates, 64)).astype(np.float32)),
        }
    )
    table["picture"] = [pictures[place] for place in random.integers(0, len(pictures), num_candidates)]
    pairs = np.unique(np.stack([random.integers(0, 2000, 20_000), random.integers(0, num_chosen, 20_000)], 1), axis=0)
    log = pd.DataFrame({"who": [f"q{q}" for q in pairs[:, 0]], "id": [f"c{c}" for c in pairs[:, 1]]})
    return table, log


def some_picture(random: np.random.Generator) -> bytes:
    """A garment's picture as PNG."""
    from tfmmrec.data.fashion import ATTRIBUTES, render_garment

    file = io.BytesIO()
    look = [random.choice(ATTRIBUTES[name]) for name in ("type", "colour", "pattern")]
    render_garment(*look, random).quantize(8).save(file, "PNG")
    return file.getvalue()


def garments(out: Path, model: str, seed: int) -> dict:
    """NDCG@20 among new garments for the shoppers who chose one, beside that of the warm ones."""
    from tfmmrec.data.dataset import load_dataset
    from tfmmrec.data.fashion import write_fashion
    from tfmmrec.data.oracle import load_oracle
    from tfmmrec.evaluation import quick_metrics
    from tfmmrec.serving.push import push_run
    from tfmmrec.serving.push_index import push_index
    from tfmmrec.training import train

    folder = write_fashion(out / "fashion", seed=seed)
    whole = load_dataset(folder)
    cold = np.flatnonzero(whole.cold_candidates)
    new = np.sort(np.random.default_rng(seed).choice(cold, NUM_GARMENTS, replace=False))
    write_without(folder, whole.candidates.ids.take(new).to_pylist())
    dataset = load_dataset(folder, folder / "without.yaml")
    run = train(dataset, out / "run", model, options={"seed": seed})
    name = out / "models" / "fashion"
    first = push_run(run, name, dataset=dataset)
    start = time.perf_counter()
    done, second = push_index(name, folder / "new.csv")
    seconds = time.perf_counter() - start
    if not (first.is_published and second.is_published):
        raise SystemExit(f"refused: {[check.says for check in (first, second)[first.is_published].blessing.checks]}")
    before, after = evaluated(first.path, dataset), evaluated(second.path, whole, new)
    mask = np.isin(np.arange(len(whole.candidates)), new)
    best, chance = (
        quick_metrics(scorer, whole.train, whole.test, (K,), mask)[f"ndcg@{K}"]
        for scorer in (load_oracle(folder).scores, lambda rows: np.zeros((len(rows), mask.size), np.float32))
    )
    return {
        "model": model,
        "push_seconds": round(seconds, 1),
        "encoded": done.encoded,
        "outcome": second.outcome,
        "notes": [*second.blessing.notes],
        "warm before": before["warm"],
        "cold before, among the cold": before["cold"],
        "new, among the new": after["cold"] | {"best": round(best, 4), "chance": round(chance, 4)},
        "new, among all": after["all"],
        "share of warm": round(after["cold"][f"ndcg@{K}"] / before["warm"][f"ndcg@{K}"], 3),
    }


def write_without(folder: Path, ids: list[str]) -> None:
    """The catalogue's files without some garments, and those in a table of their own."""
    items = pd.read_csv(folder / "items.csv", dtype=str, keep_default_na=False)
    is_new = items["garment_id"].isin(ids)
    items[is_new].to_csv(folder / "new.csv", index=False)
    items[~is_new].to_csv(folder / "items_without.csv", index=False)
    test = pd.read_parquet(folder / "test.parquet")
    test[~test["garment_id"].isin(ids)].to_parquet(folder / "test_without.parquet")
    config = yaml.safe_load((folder / "dataset.yaml").read_text(encoding="utf-8"))
    config["candidates"]["path"] = "items_without.csv"
    config["interactions"]["test"] = "test_without.parquet"
    (folder / "without.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")


def evaluated(model: Path, dataset, new: np.ndarray | None = None) -> dict[str, dict[str, float]]:
    """Slice -> NDCG and Recall of an exported model; with `new`, only these rows of the catalogue are to be found."""
    from tfmmrec.serving.evaluation_queries import evaluation_queries, without_candidates
    from tfmmrec.serving.exported_evaluation import evaluate_exported

    queries = evaluation_queries(dataset, len(dataset.queries))
    if new is not None:
        ids = dataset.candidates.ids
        queries = without_candidates(queries, ids.take(np.setdiff1d(np.arange(len(ids)), new)).to_pylist())
        queries.cold_ids = ids.take(new).to_pylist()
    found = evaluate_exported(model, queries, K)
    return {
        name: {
            "queries": len(scores.query_ids),
            f"ndcg@{K}": round(float(scores.ndcg.mean()), 4),
            f"recall@{K}": round(float(scores.recall.mean()), 4),
        }
        for name, scores in found.slices.items()
    }


if __name__ == "__main__":
    main()
