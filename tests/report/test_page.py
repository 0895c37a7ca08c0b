"""The page as a whole: complete, self-contained, and there with pieces missing."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from tests.report.conftest import PREDICTIONS, evaluated, make_shop
from tfmmrec.evaluation import evaluate
from tfmmrec.report import write_report

VOID = {"meta", "img", "br", "hr", "col", "link"}


class _Checker(HTMLParser):
    """Notes elements that are not closed in order, references to elsewhere, pictures without words, ids."""

    def __init__(self):
        super().__init__()
        self.open, self.elsewhere, self.mute, self.ids, self.headings = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        for name in ("src", "href", "xlink:href"):
            value = attributes.get(name, "#")
            if not value.startswith(("#", "data:")):
                self.elsewhere.append(value)
        if tag == "img" and not attributes.get("alt") or tag == "svg" and not attributes.get("aria-label"):
            self.mute.append(attributes)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if re.fullmatch(r"h\d", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"


def check(page: str) -> _Checker:
    checker = _Checker()
    checker.feed(page)
    assert checker.open == [] and checker.elsewhere == [] and checker.mute == []
    assert len(checker.ids) == len(set(checker.ids))
    assert all(later - earlier <= 1 for earlier, later in zip(checker.headings, checker.headings[1:], strict=False))
    assert "<script" not in page
    return checker


@pytest.fixture
def history(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("phase,epoch,loss,val_ndcg@20\nselect,1,3.0,0.1\nselect,2,2.0,0.2\nrefit,1,3.0,\nrefit,2,2.0,\n")
    return path


def test_a_whole_report(tmp_path, shop, evaluation, history):
    evaluation.metrics["baselines"] = {"ease": {name: evaluation.metrics[name] for name in ("all", "warm", "cold")}}
    evaluation.metrics["notes"] = ["a note <here>"]
    path = write_report(tmp_path / "report.html", evaluation, shop, history=history, model="my <model>")
    page = path.read_text(encoding="utf-8")
    check(page)
    for heading in ("Metrics", "Learning", "Popularity", "Queries"):
        assert f"<h2>{heading}</h2>" in page
    assert page.count("<article>") == 12
    assert page.count("<figure>") == 5, "warm, cold, loss, validation, popularity"
    assert "my &lt;model&gt;" in page and "a note &lt;here&gt;" in page and "&lt;b&gt;bold" in page
    assert "1 of these pictures could not be read" in page
    assert sorted(file.name for file in tmp_path.iterdir()) == ["history.csv", "report.html"]


def test_the_same_seed_shows_the_same_queries(tmp_path, shop, evaluation):
    pages = [write_report(tmp_path / f"{seed}.html", evaluation, shop, seed=seed).read_text() for seed in (0, 0, 1)]
    assert pages[0] == pages[1] != pages[2]


def test_without_pictures_history_cold_slice_and_baselines(tmp_path):
    bare = make_shop(cold=0.0, pictures=False)
    found = evaluated(bare)
    found.metrics.pop("cold", None)
    found.query_rows.pop("cold", None)
    page = write_report(tmp_path / "report.html", found, bare, history=tmp_path / "none.csv").read_text()
    check(page)
    assert "<h2>Learning</h2>" not in page and "<img" not in page
    assert "garment 2" in page and page.count("<article>") == 12


def test_what_else_the_model_predicts(tmp_path, shop, evaluation):
    write_report(tmp_path / "report.html", evaluation, shop, model="multitask", predictions=PREDICTIONS)
    page = (tmp_path / "report.html").read_text()
    check(page)
    assert page.index("<h2>Metrics</h2>") < page.index("<h2>Other tasks</h2>") < page.index("<h2>Popularity</h2>")
    assert "taken for sock" in page and "Ratings are those given in test" in page


def test_without_recommendations(tmp_path, shop):
    found = evaluate(lambda rows: rows[:, None] * 0.0 + [range(24)], shop, ks=(3,), num_recommendations=0)
    page = write_report(tmp_path / "report.html", found, shop).read_text()
    check(page)
    assert "<h2>Metrics</h2>" in page and "<h2>Queries</h2>" not in page
