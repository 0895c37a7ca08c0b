"""What a model predicts beside its ranking, in tables, plots and examples."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tests.report.conftest import PREDICTIONS as ALL
from tests.report.conftest import RATINGS, TAGS, TYPES
from tfmmrec.report.gallery import Gallery
from tfmmrec.report.task_section import calibration, label_shares, task_examples, task_lead, task_plots, task_table


def cells(table, label):
    row = next(row for row in re.findall(r"<tr.*?</tr>", table) if f">{label}<" in row)
    return [re.sub(r"<[^>]*>", " ", cell).split() for cell in re.findall(r"<td[^>]*>.*?</td>", row)], row


def test_each_number_stands_beside_its_baselines_and_the_best_is_marked():
    table = task_table(ALL, "multitask")
    found, row = cells(table, "Ratings")
    assert "4 ratings" in row and found[0][0] == "RMSE"
    assert [cell[0] for cell in found[1:]] == ["0.7071", "1.0000", "1.5811"]  # √(2/4), 1, √(10/4)
    assert row.count("best") == 1 and 'class="mine best">0.7071' in row
    found, row = cells(table, "Tags")
    # (1/2 + 1) / 2; of red and long one is right, red alone is wrong
    assert [cell[0] for cell in found] == ["R-precision", "0.7500", "0.2500"]
    assert 'class="mine best">0.7500' in row and "2 new candidates" in row
    found, row = cells(table, "Category")
    assert [cell[0] for cell in found] == ["Accuracy", "0.6667", "0.3333"]


def test_shares_by_label_begin_with_the_most_frequent():
    assert label_shares(TYPES) == [("hat", 2, 0.5, 0.0), ("sock", 1, 1.0, 1.0)]
    assert label_shares(TYPES, 1) == [("hat", 2, 0.5, 0.0)]
    assert label_shares(TAGS) == [("warm", 1, 1.0, 0.0), ("red", 1, 0.0, 1.0), ("long", 1, 1.0, 0.0)]


def test_expected_ratings_beside_those_given():
    expected, given = calibration(RATINGS, 2)
    np.testing.assert_allclose(expected, [2.0, 4.0])
    np.testing.assert_allclose(given, [1.5, 4.5])
    assert calibration(RATINGS)[0].size == 4  # no more groups than ratings


def test_plots_tell_their_numbers_in_words():
    errors, ratings, tags, types = task_plots(ALL, "multitask")
    assert "multitask 0.707, Biases alone 1.000, The mean 1.581" in errors
    assert "Ratings: expected and given" in ratings and "5.00 expected, 5.00 given" in ratings
    assert "warm 100% of 1" in tags and "Tags: found, by label" in tags
    assert "hat 50% of 2, sock 100% of 1" in types and "hat (2)" in types


def test_examples_say_what_candidates_are_and_what_they_are_taken_for(shop):
    title, strip, *others = task_examples({"rating": RATINGS, "category": TYPES}, Gallery(shop))
    assert others == [] and "Category of 3 new candidates" in title
    shown = {tile.partition("</span>")[0].rpartition(">")[2]: tile for tile in strip.split('class="title"')[1:]}
    assert set(shown) == {"garment 2", "garment 3", "garment 4"}
    assert "taken for sock" in shown["garment 3"] and ">hat<" in shown["garment 3"]
    assert strip.count("✓ right") == 2 and strip.count("taken for") == 1
    strip = task_examples({"tags": TAGS}, Gallery(shop))[1]
    assert "warm, red" in strip and "taken for warm, long" in strip and strip.count("✓ right") == 1


@pytest.mark.parametrize(("shown", "hidden"), [("rating", "Labels"), ("tags", "Ratings")])
def test_the_lead_tells_of_what_is_there(shown, hidden):
    assert hidden not in task_lead({shown: ALL[shown]}, "valid")
    assert "given in valid" in task_lead(ALL, "valid") and "Labels" in task_lead(ALL, "valid")
