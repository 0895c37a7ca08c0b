"""The queries that are shown."""

from __future__ import annotations

import re

import numpy as np

from tests.report.conftest import evaluated, make_shop
from tfmmrec.report.examples import choose_queries, show_examples
from tfmmrec.report.gallery import Gallery


def test_half_of_the_queries_have_something_cold_to_find():
    rows = {"all": np.arange(100), "cold": np.arange(40)}
    chosen = choose_queries(rows, 12, seed=3)
    assert len(set(chosen)) == 12
    assert [row < 40 for row in chosen] == [True] * 6 + [False] * 6
    assert chosen == choose_queries(rows, 12, seed=3) != choose_queries(rows, 12, seed=4)


def test_where_there_are_fewer_the_others_fill_up():
    assert sorted(choose_queries({"all": np.arange(5), "cold": np.arange(5)})) == [0, 1, 2, 3, 4]
    assert len(choose_queries({"all": np.arange(50), "cold": np.arange(49)})) == 12
    assert len(choose_queries({"all": np.arange(50)})) == 12


def articles(dataset, rows):
    shown = show_examples(evaluated(dataset), dataset, Gallery(dataset), rows)
    return re.findall(r"<article>.*?</article>", shown, re.DOTALL)


def test_hits_are_those_of_the_test_part(shop, evaluation):
    row = int(evaluation.query_rows["cold"][0])
    (article,) = articles(shop, [row])
    table = evaluation.recommendations.to_pandas()
    first = table[(table["query_id"] == f"q{row}") & (table["rank"] <= 8)]
    positives = set(shop.test.candidates_of(row)) - set(shop.train.candidates_of(row))
    for slice_name, title in (("all", "Gets"), ("cold", "Gets, of the cold ones only")):
        got = first[first["slice"] == slice_name]["candidate_id"].str[1:].astype(int)
        assert f"{title} · {len(positives & set(got))} of {len(got)} right" in article
    assert f"{len(positives):,} to find" in article


def test_what_is_known_of_a_query_is_said(shop):
    unknown, known = articles(shop, [0, 3])
    assert "Query q3" in known and "age 23 ·" in known
    assert "age" not in re.search(r'class="facts">([^<]*)', unknown)[1], "a missing number is not shown"


def test_the_history_is_train_s(shop):
    (article,) = articles(shop, [3])
    history = article.split("Gets")[0]
    shown = {int(number) for number in re.findall(r'title="garment (\d+)"', history)}
    assert shown and shown <= set(shop.train.candidates_of(3).tolist())


def test_without_cold_candidates():
    (article,) = articles(make_shop(cold=0.0), [3])
    assert "cold" not in article
