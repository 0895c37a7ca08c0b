"""Text is escaped where it enters."""

from __future__ import annotations

from tfmmrec.report.markup import Markup, element, join


def test_text_is_escaped_and_markup_is_not():
    inner = element("b", "5 < 6 & 7")
    assert inner == "<b>5 &lt; 6 &amp; 7</b>"
    assert element("p", inner, " <i>", None, 3) == "<p><b>5 &lt; 6 &amp; 7</b> &lt;i&gt;3</p>"


def test_attributes():
    made = element("td", class_="a", aria_label='say "hi"', rowspan=2, hidden=True, title=None, open=False)
    assert made == '<td class="a" aria-label="say &quot;hi&quot;" rowspan="2" hidden></td>'


def test_elements_without_an_end():
    assert element("img", src="x", alt="a>b") == '<img src="x" alt="a&gt;b">'


def test_join():
    assert join(["a<", Markup("<br>"), None, "b"], " · ") == "a&lt; · <br> · b"
    assert isinstance(join([]), Markup)
