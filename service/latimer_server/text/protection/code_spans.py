"""Finds code between backticks, and tells it from quotation marks of old terminals and of TeX. Pure functions.

As in CommonMark 6.1, a run of backticks ends at the next run of the same length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from latimer_server.core.spans import TextSpan

_RUN = re.compile("`++")
# Quotation such as `word' and ``words'': an apostrophe with no letter behind it, before the next backtick.
_QUOTED = re.compile(r"[^`'\n]*+(?:'(?=\w)[^`'\n]*+)*+'")
# A role of reStructuredText before a text with its target, as in ":ref:`the guide <guide>`": the text is no code.
_ROLE = re.compile(r"(?<![\w:]):[\w+.-]{1,32}:$")
_TITLED = re.compile(r"[^`<>\n]{1,200}(?P<target> <[^`<>\s]{1,200}>)")
# Code in a line ends in that line; a fence of three or more backticks may contain line breaks.
_FENCE = 3
_LONGEST_LINE = 10_000
_LONGEST_ROLE = 34


def find_code(text: str) -> Iterator[TextSpan]:
    """Yields the spans of code between backticks, ascending and disjoint."""
    runs = list(_RUN.finditer(text))
    # The places of the runs of each length, the last one first.
    places: dict[int, list[int]] = {}
    for run in reversed(runs):
        places.setdefault(run.end() - run.start(), []).append(run.start())
    end = 0
    for run in runs:
        size = run.end() - run.start()
        same = places[size]
        while same and same[-1] <= run.start():
            same.pop()
        if run.start() < end or not same or same[-1] == run.end():
            continue
        if size < _FENCE:
            if _QUOTED.match(text, run.end(), min(same[-1], run.end() + _LONGEST_LINE)):
                continue
            if "\n" in text[run.end() : same[-1]] or same[-1] - run.end() > _LONGEST_LINE:
                continue
        end = same[-1] + size
        titled = _TITLED.fullmatch(text, run.end(), same[-1]) if size == 1 else None
        if titled is not None and _ROLE.search(text, max(0, run.start() - _LONGEST_ROLE), run.start()):
            yield TextSpan(run.start(), run.end())
            yield TextSpan(titled.start("target"), end)
        else:
            yield TextSpan(run.start(), end)
