"""The numbers of the page."""

from __future__ import annotations

import re

from tfmmrec.report.metric_tables import comparison, everything, tiles

METRICS = {
    "all": {"num_queries": 1200, "ndcg@20": 0.25, "recall@20": 0.5, "novelty@20": 12.345},
    "cold": {"num_queries": 7, "ndcg@20": 0.3, "recall@20": 0.0},
    "share_of_oracle": {"all": {"ndcg@20": 0.5}},
    "oracle": {"all": {"ndcg@20": 0.5, "recall@20": 0.9}, "cold": {}},
    "baselines": {
        "ease": {"all": {"ndcg@20": 0.2, "recall@20": 0.6}, "cold": {"ndcg@20": 0.1, "recall@20": 0.0}},
        "most_popular": {"all": {"ndcg@20": 0.1, "recall@20": 0.1}},
    },
}


def cells(table, label):
    row = next(row for row in re.findall(r"<tr.*?</tr>", table) if f">{label}</th>" in row)
    return re.findall(r"<td[^>]*>(.*?)</td>", row), row


def test_tiles_compare_to_the_best_baseline():
    made = tiles(METRICS, [("all", "ndcg@20"), ("cold", "ndcg@20"), ("all", "recall@20")])
    assert "25.0% above EASE (0.200)" in made
    assert "3.0 × EASE (0.100)" in made
    assert "16.7% below EASE (0.600)" in made
    assert "50% of the best possible" in made


def test_tiles_without_baselines():
    assert "EASE" not in tiles({"all": METRICS["all"]}, [("all", "ndcg@20")])


def test_the_best_of_a_column_is_marked():
    table = comparison(METRICS, "two_tower", ["ndcg@20", "recall@20"], ["all", "cold"])
    mine, row = cells(table, "two_tower")
    assert mine[0].startswith("0.2500") and "50%" in mine[0], "the share stands below"
    assert row.count("best") == 2, "both NDCGs are the best; a recall of 0 is nobody's"
    assert cells(table, "EASE")[1].count("best") == 1
    assert cells(table, "Most popular")[0] == ["0.1000", "0.1000", "–", "–"]
    assert cells(table, "Best possible")[0] == ["0.5000", "0.9000", "–", "–"]
    assert "1,200 queries" in table


def test_every_metric_is_there():
    made = everything(METRICS)
    assert made.count("<details>") == 2
    for name, value in (("NDCG", "0.2500"), ("Novelty", "12.35")):
        assert f'<th scope="row">{name}</th><td>{value}</td>' in made
