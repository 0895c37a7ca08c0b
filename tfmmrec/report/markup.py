"""HTML in small pieces: text is escaped where it enters, so that no title or id is taken for markup."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any


class Markup(str):
    """Text that is HTML already; all other text is escaped by `element`."""


def element(tag: str, *content: Any, **attributes: Any) -> Markup:
    """One element with what is in it.

    Args:
        tag: such as "p"; elements without an end, such as "img", take no content.
        content: `Markup` as it is, anything else as escaped text; None is nothing.
        attributes: `class_` for class, `aria_label` for aria-label; True for a bare attribute, None and False
            for none.
    """
    words = [tag]
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        name = name.rstrip("_").replace("_", "-")
        words.append(name if value is True else f'{name}="{escape(str(value), quote=True)}"')
    opened = f"<{' '.join(words)}>"
    if tag in ("img", "meta", "link", "br", "hr", "col"):
        return Markup(opened)
    return Markup(f"{opened}{join(content)}</{tag}>")


def join(content: Iterable[Any], separator: str = "") -> Markup:
    """Pieces one after the other, each escaped unless it is `Markup`."""
    pieces = (piece if isinstance(piece, Markup) else escape(str(piece)) for piece in content if piece is not None)
    return Markup(separator.join(pieces))
