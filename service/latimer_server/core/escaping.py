"""Escaping: shows a text of somebody else in a message without what would control a terminal or divide a line."""

from __future__ import annotations


def escape_unprintable(text: str) -> str:
    r"""Returns a text in which each code point that is neither visible nor a space is an escape such as `\x1b`.

    Line breaks, controls, marks of direction, surrogates and unassigned code points are escaped.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
