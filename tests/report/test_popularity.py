"""Popularity of what is recommended, against NumPy."""

from __future__ import annotations

import numpy as np

from tfmmrec.report.popularity import (
    PopularityShares,
    popularity_groups,
    popularity_plot,
    popularity_shares,
    popularity_table,
    popularity_words,
    unseen_positives,
)


def test_tenths_are_equally_many_and_in_order():
    counts = np.array([0, *range(40, 20, -1)])
    groups = popularity_groups(counts)
    assert groups[0] == 0
    assert groups[1] == 10 and groups[-1] == 1
    assert np.bincount(groups).tolist() == [1] + [2] * 10


def test_nobody_chose_anything():
    assert popularity_groups(np.zeros(5, int)).tolist() == [0] * 5


def test_positives_that_train_has_do_not_count(shop):
    expected = [
        candidate
        for query in range(shop.test.num_queries)
        for candidate in sorted({*shop.test.candidates_of(query)} - {*shop.train.candidates_of(query)})
    ]
    assert unseen_positives(shop.train, shop.test).tolist() == expected


def test_shares_add_up_and_count_the_first_places(shop, evaluation):
    shares = popularity_shares(shop, evaluation.recommendations, "test", 3)
    for values in (shares.catalogue, shares.recommended, shares.positives):
        assert abs(values.sum() - 1.0) < 1e-12
    table = evaluation.recommendations.to_pandas()
    first = table[(table["slice"] == "all") & (table["rank"] <= 3)]
    cold = {f"c{row:02}" for row in np.flatnonzero(shop.train.counts() == 0)}
    assert abs(shares.recommended[0] - first["candidate_id"].isin(cold).mean()) < 1e-12


def shares_of(cold):
    rest = np.full(10, (1 - cold) / 10)
    values = np.array([cold, *rest])
    return PopularityShares(values, values, values)


def test_words_table_and_plot_agree():
    shares = shares_of(0.2)
    assert "is 8% of what is recommended and 8% of what should be found." in popularity_words(shares)
    assert "without a choice in training are 20% of the catalogue" in popularity_words(shares)
    assert "<td>20.0%</td>" in popularity_table(shares, 20) and "First 20" in popularity_table(shares, 20)
    assert "recommended (first 20)" in popularity_plot(shares, 20)


def test_without_unseen_candidates_they_are_not_mentioned():
    shares = shares_of(0.0)
    assert "without a choice" not in popularity_words(shares)
    assert "Never chosen" not in popularity_table(shares, 20)
    assert ">never<" not in popularity_plot(shares, 20)
