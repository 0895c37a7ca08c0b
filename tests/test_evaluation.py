import itertools
import json
import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfmmrec.data.dataset import dataset_from_frames
from tfmmrec.evaluation import evaluate, quick_metrics, vectors_scorer
from tfmmrec.types import DataError, UsageError

NUM_QUERIES, NUM_CANDIDATES = 40, 25
KS = (3, 8)


def _make_dataset(cold=0.0, valid=False, seed=0):
    random = np.random.default_rng(seed)
    pairs = np.argwhere(random.random((NUM_QUERIES, NUM_CANDIDATES - 1)) < 0.4)  # the last one is never chosen
    part = random.choice(["train", "valid", "test"] if valid else ["train", "test"], len(pairs))
    frame = pd.DataFrame({"who": [f"q{q}" for q in pairs[:, 0]], "what": [f"c{c:02}" for c in pairs[:, 1]]})
    frames = {name: frame[part == name] for name in ("train", "valid", "test") if (part == name).any()}
    frames["test"] = pd.concat([frames["test"], frames["test"][:5], frames["train"][:7]])  # repeated, and seen
    titles = ["" if c % 6 == 0 else f"number {c}" for c in range(NUM_CANDIDATES)]
    return dataset_from_frames(
        {
            "interactions": {
                "train": "-",
                "test": "-",
                "query": "who",
                "candidate": "what",
                "cold_candidates": cold,
            },
            "candidates": {
                "path": "-",
                "id": "id",
                "features": {"title": {"kind": "text"}, "size": {"kind": "number"}},
            },
            "queries": {"path": "-", "id": "id"},
        },
        frames,
        pd.DataFrame(
            {
                "id": [f"c{c:02}" for c in range(NUM_CANDIDATES)],
                "title": titles,
                "size": range(NUM_CANDIDATES),
            }
        ),
        pd.DataFrame({"id": [f"q{q}" for q in range(NUM_QUERIES)]}),
    )


def _table(num_values, seed=0):
    """A scorer with many ties, or none."""
    shape = NUM_QUERIES, NUM_CANDIDATES
    scores = np.random.default_rng(seed).integers(0, num_values, shape).astype(np.float32)
    return scores, lambda rows: scores[rows]


def _reference(scores, dataset, pool, wanted):
    """Mean Recall and NDCG with whole rankings; ties as the mean over many random orders of them."""
    random = np.random.default_rng(9)
    found = {f"{name}@{k}": [] for name in ("recall", "ndcg") for k in KS}
    for query in range(NUM_QUERIES):
        seen = set(dataset.train.candidates_of(query).tolist())
        positives = {c for c in dataset.test.candidates_of(query).tolist() if c not in seen and wanted[c]}
        if not positives:
            continue
        ranked = np.array([c for c in range(NUM_CANDIDATES) if pool[c] and c not in seen])
        orders = [ranked[np.lexsort((random.random(ranked.size), -scores[query, ranked]))] for _ in range(400)]
        hits = np.array([[c in positives for c in order] for order in orders], float)
        for k in KS:
            found[f"recall@{k}"].append(hits[:, :k].sum(axis=1).mean() / len(positives))
            discounts = 1 / np.log2(np.arange(2, k + 2))
            gain = (hits[:, :k] * discounts[: hits.shape[1]]).sum(axis=1).mean()
            found[f"ndcg@{k}"].append(gain / discounts[: len(positives)].sum())
    return {name: np.array(values) for name, values in found.items()}


@pytest.mark.parametrize("num_values", [4, 10**6])
@pytest.mark.parametrize("cold", [0.0, 0.3])
def test_against_an_independent_reference(num_values, cold):
    dataset = _make_dataset(cold)
    scores, scorer = _table(num_values)
    evaluation = evaluate(scorer, dataset, ks=KS, batch_size=7)
    warm = dataset.train.counts() > 0
    is_cold = dataset.cold_candidates
    assert is_cold.sum() >= (7 if cold else 1) and not (warm & is_cold).any()
    everything = np.ones(NUM_CANDIDATES, bool)
    missing = np.arange(NUM_CANDIDATES) % 6 == 0
    slices = {
        "all": (everything, everything),
        "warm": (everything, warm),
        "missing_title": (everything, missing),
    }
    if cold:
        slices["cold"] = (is_cold, is_cold)
    assert set(evaluation.metrics) == {"split", "num_queries", *slices}
    tolerance = 1e-6 if num_values > 1000 else 0.02
    for name, (pool, wanted) in slices.items():
        expected = _reference(scores, dataset, pool, wanted)
        assert evaluation.metrics[name]["num_queries"] == len(expected["recall@3"])
        for metric, values in expected.items():
            assert evaluation.metrics[name][metric] == pytest.approx(values.mean(), abs=tolerance), (
                name,
                metric,
            )
            assert evaluation.per_query[name][metric].mean() == pytest.approx(evaluation.metrics[name][metric])
            if num_values > 1000:
                np.testing.assert_allclose(evaluation.per_query[name][metric], values)
    assert evaluation.metrics["num_queries"] == evaluation.metrics["all"]["num_queries"]
    expected_names = {"recall", "precision", "ndcg", "mrr", "map", "hit_rate", "coverage", "novelty", "gini"}
    names = {f"{name}@{k}" for name, k in itertools.product(expected_names, KS)}
    assert set(evaluation.metrics["all"]) == names | {"num_queries"}


def test_the_batch_size_does_not_matter():
    dataset = _make_dataset(0.3)
    _, scorer = _table(5)
    one, other = (evaluate(scorer, dataset, ks=KS, batch_size=size) for size in (3, 1000))
    assert one.metrics["all"] == pytest.approx(other.metrics["all"])
    assert one.metrics["cold"] == pytest.approx(other.metrics["cold"])
    columns = ["slice", "query_id", "rank"]
    assert one.recommendations.sort_by([(name, "ascending") for name in columns]).equals(
        other.recommendations.sort_by([(name, "ascending") for name in columns])
    )


def test_vectors_and_their_scores_give_the_same():
    dataset = _make_dataset(0.3)
    random = np.random.default_rng(0)
    queries, candidates = (
        random.standard_normal((NUM_QUERIES, 4)),
        random.standard_normal((NUM_CANDIDATES, 4)),
    )
    scorer = vectors_scorer(queries, candidates)
    plain = evaluate(lambda rows: queries[rows] @ candidates.T, dataset)
    assert evaluate(scorer, dataset).metrics["cold"] == pytest.approx(plain.metrics["cold"])


def test_metrics_can_be_recomputed_from_the_recommendations(tmp_path):
    dataset = _make_dataset(0.3)
    evaluation = evaluate(_table(10**6)[1], dataset, ks=KS)
    evaluation.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.json", "recommendations.parquet"]
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    table = pq.read_table(tmp_path / "recommendations.parquet").to_pandas()
    assert list(table.columns) == ["query_id", "slice", "rank", "candidate_id", "score"]
    queries, candidates = dataset.queries.ids.to_pylist(), dataset.candidates.ids.to_pylist()
    for name in ("all", "cold"):
        gains = []
        for query_id, rows in table[table["slice"] == name].groupby("query_id"):
            query = queries.index(query_id)
            assert rows["rank"].tolist() == list(range(1, len(rows) + 1))
            assert rows["score"].is_monotonic_decreasing
            seen = {candidates[c] for c in dataset.train.candidates_of(query)}
            assert not seen & set(rows["candidate_id"])
            positives = {candidates[c] for c in dataset.test.candidates_of(query)} - seen
            if name == "cold":
                positives &= {candidates[c] for c in np.flatnonzero(dataset.cold_candidates)}
            gain = sum(
                1 / math.log2(r + 1)
                for r, c in zip(rows["rank"], rows["candidate_id"], strict=True)
                if r <= 8 and c in positives
            )
            gains.append(gain / sum(1 / math.log2(r + 2) for r in range(min(8, len(positives)))))
        assert metrics[name]["ndcg@8"] == pytest.approx(np.mean(gains))


def test_recommendations_are_cut_and_equal_scores_come_in_the_candidates_order():
    dataset = _make_dataset()
    evaluation = evaluate(lambda rows: np.zeros((len(rows), NUM_CANDIDATES)), dataset, num_recommendations=4)
    table = evaluation.recommendations.to_pandas()
    for query_id, rows in table[table["slice"] == "all"].groupby("query_id"):
        seen = dataset.train.candidates_of(int(query_id[1:]))
        left = [c for c in range(NUM_CANDIDATES) if c not in seen]
        assert rows["candidate_id"].tolist() == [f"c{c:02}" for c in left[:4]]
    assert evaluate(_table(3)[1], dataset, num_recommendations=0).recommendations.num_rows == 0


def test_another_split_has_its_own_files(tmp_path):
    dataset = _make_dataset(valid=True)
    evaluate(_table(3)[1], dataset, "valid").save(tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["metrics.valid.json", "recommendations.valid.parquet"]


def test_valid_is_seen_only_when_asked():
    dataset = _make_dataset(valid=True)
    valid = {(q, c) for q in range(NUM_QUERIES) for c in dataset.valid.candidates_of(q).tolist()}
    for mask_valid in (False, True):
        evaluation = evaluate(_table(10**6)[1], dataset, mask_valid=mask_valid)
        table = evaluation.recommendations.to_pandas()
        given = {(int(q[1:]), int(c[1:])) for q, c in zip(table["query_id"], table["candidate_id"], strict=True)}
        assert bool(given & valid) is not mask_valid


def test_the_oracle_is_measured_too():
    dataset = _make_dataset(0.3)
    best, oracle = _table(10**6, seed=1)
    mixed = best + _table(10**6, seed=2)[0]
    metrics = evaluate(lambda rows: mixed[rows], dataset, ks=KS, oracle=oracle).metrics
    assert metrics["oracle"]["cold"] == evaluate(oracle, dataset, ks=KS).metrics["cold"]
    expected = metrics["all"]["ndcg@8"] / metrics["oracle"]["all"]["ndcg@8"]
    assert metrics["share_of_oracle"]["all"]["ndcg@8"] == pytest.approx(expected)
    assert "coverage@8" not in metrics["share_of_oracle"]["all"]
    itself = evaluate(oracle, dataset, ks=KS, oracle=oracle).metrics["share_of_oracle"]
    assert set(itself["cold"].values()) == {1.0}


def test_missing_vectors_and_pictures_are_slices():
    dataset = _make_dataset()
    schema = dataset.schema.model_dump()
    schema["candidates"]["features"] |= {"look": {"kind": "vector"}, "photo": {"kind": "image"}}
    vectors = np.zeros((NUM_CANDIDATES, 3), np.float32)
    vectors[[1, 2]] = np.nan
    dataset.schema = type(dataset.schema).model_validate(schema)
    photos = [None if c in (3, 4) else b"\xff" for c in range(NUM_CANDIDATES)]
    dataset.candidates.features |= {"look": vectors, "photo": pa.array(photos, pa.large_binary())}
    evaluation = evaluate(_table(10**6)[1], dataset)
    for name, missing in (("missing_look", [1, 2]), ("missing_photo", [3, 4])):
        queries = [
            q
            for q in range(NUM_QUERIES)
            if set(dataset.test.candidates_of(q)) & set(missing) - set(dataset.train.candidates_of(q))
        ]
        assert evaluation.query_rows[name].tolist() == queries


def test_quick_metrics_are_those_of_the_evaluation():
    dataset = _make_dataset(0.3)
    scorer = _table(6)[1]
    metrics = evaluate(scorer, dataset, ks=KS).metrics
    quick = quick_metrics(scorer, dataset.train, dataset.test, KS)
    assert quick == pytest.approx({name: metrics["all"][name] for name in quick})
    cold = quick_metrics(scorer, dataset.train, dataset.test, KS, dataset.cold_candidates)
    assert cold == pytest.approx({name: metrics["cold"][name] for name in cold})
    some = quick_metrics(scorer, dataset.train, dataset.test, KS, query_rows=np.arange(10))
    per_query = evaluate(scorer, dataset, ks=KS)
    mine = per_query.query_rows["all"] < 10
    assert some["map@8"] == pytest.approx(per_query.per_query["all"]["map@8"][mine].mean())


def test_what_cannot_be_evaluated_is_refused():
    dataset = _make_dataset()
    scorer = _table(3)[1]
    with pytest.raises(UsageError, match="split must be test or valid, got 'train'"):
        evaluate(scorer, dataset, "train")
    with pytest.raises(UsageError, match="no part valid; it has train, test"):
        evaluate(scorer, dataset, "valid")
    with pytest.raises(UsageError, match=r"whole numbers from 1 on, such as \(10, 20\), got \(0, 5\)"):
        evaluate(scorer, dataset, ks=(0, 5))
    with pytest.raises(UsageError, match="pass one of them"):
        evaluate(scorer, _make_dataset(valid=True), "valid", mask_valid=True)
    dataset.test = dataset.train
    with pytest.raises(DataError, match="test is empty: no query has a candidate in it that train does not have"):
        evaluate(scorer, dataset)
    with pytest.raises(DataError, match="nothing to measure"):
        quick_metrics(scorer, dataset.train, dataset.train)
