"""Joins words that a hyphen divides at the end of a line.

A word list would be needed for each language; the vocabulary of the model is one. A word that is one word has fewer
tokens than its two parts: `election` has one, `elec` and `tion` have more. A compound such as `well-known` has as many,
and keeps its hyphen. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from latimer_server.core.spans import TextSpan

_BREAK = re.compile("(?<=[^\\W\\d_])([-\u2010\u00ad])[ \t]{0,40}(?:\r\n|\n|\r)([ \t]{0,40})(?=[^\\W\\d_])")
# Stands for the hyphen and the line break in a segment: a soft hyphen is where a word may be divided.
JOINT = "-\u00ad"
_JOINED = re.compile("([^\\W\\d_]{1,40}+)-\u00ad([^\\W\\d_]{1,40}+)")


def find_divided(text: str) -> Iterator[TextSpan]:
    """Yields the spans of the hyphen, line break and indentation inside the words that go on in the next line.

    Such a word goes on with a small letter.
    """
    if "\n" not in text and "\r" not in text:
        return
    for match in _BREAK.finditer(text):
        if text[match.end()].islower():
            yield TextSpan(*match.span())


def join_words(text: str, count_tokens: Callable[[str], int]) -> str:
    """Returns a text in which `JOINT` is two soft hyphens, which are invisible, where a divided word is one word.

    `count_tokens`: returns the number of tokens of a word. The length of the text stays, so spans stay valid.
    """

    def join(match: re.Match[str]) -> str:
        first, second = match.groups()
        is_word = count_tokens(first + second) < count_tokens(first) + count_tokens(second)
        return f"{first}\u00ad\u00ad{second}" if is_word else match.group()

    return _JOINED.sub(join, text) if JOINT in text else text
