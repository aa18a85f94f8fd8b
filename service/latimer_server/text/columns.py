"""Finds the spaces between the columns of a plain text.

A column ends at three or more spaces, and at two that end at the same offset in a line above or below, or that follow
an option, as docopt defines help texts, or a key such as `^K`. Takes linear time. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from latimer_server.core.spans import TextSpan

_LINE = re.compile("[^\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029]++")
_SPACES = re.compile(" {2,}+")
_WIDE = 3
# A line that begins with an option, such as `-v, --verbose`.
_OPTION = re.compile(r" *+--?[A-Za-z0-9?]")


def find_columns(text: str) -> Iterator[TextSpan]:
    """Yields the spans of the spaces between columns, ascending and disjoint."""
    lines = [(match.start(), list(_SPACES.finditer(text, *match.span()))) for match in _LINE.finditer(text)]
    ends = [
        frozenset[int](),
        *(frozenset(run.end() - start for run in runs) for start, runs in lines),
        frozenset[int](),
    ]
    for number, (start, runs) in enumerate(lines):
        follows_option = bool(runs) and _OPTION.match(text, start) is not None
        for run in runs:
            if run.start() == start:
                continue
            column = run.end() - start
            wide = run.end() - run.start() >= _WIDE or text[max(start, run.start() - 2)] == "^"
            if wide or follows_option or column in ends[number] or column in ends[number + 2]:
                yield TextSpan(*run.span())
            follows_option = False
