"""Plots are part of the page: its colours, its letters, described in words."""

from __future__ import annotations

import re

from tfmmrec.report.figures import ACCENT, plot


def drawn(title="A title", description='says "all" <there> is'):
    return plot(lambda axes: axes.plot([1, 2], [3, 4], color=ACCENT, label="a $x$ <b>"), title, description)


def test_a_plot_is_described_and_escaped():
    made = drawn()
    assert made.startswith("<figure><figcaption>A title</figcaption><svg ")
    assert 'role="img" aria-label="says &quot;all&quot; &lt;there&gt; is"' in made


def test_colours_are_the_page_s_variables():
    made = drawn()
    assert "stroke: var(--accent)" in made
    assert "#0102" not in made, "a stand-in colour was left"


def test_letters_stay_letters_in_the_page_s_font():
    made = plot(lambda axes: axes.set_xlabel("a $x$ <b>"), "t", "d")
    assert "a $x$ &lt;b&gt;" in made
    assert "font-family" not in made


def test_ids_do_not_clash_between_plots():
    ids = [set(re.findall(r' id="([^"]+)"', drawn(title))) for title in ("One", "Two")]
    assert ids[0] and not ids[0] & ids[1]


def test_the_same_plot_is_the_same_text():
    assert drawn() == drawn()


def test_nothing_is_fetched():
    assert not re.findall(r'(?:href|src)="(?!#)', drawn())
