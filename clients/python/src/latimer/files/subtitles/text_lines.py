"""Lines of a text that is in memory, with their offsets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_LINE = re.compile(r"([^\r\n]*)(\r\n|\n|\r|$)")


class TextLine(NamedTuple):
    """A line. `start`: its offset. `text`: without its line end. `end`: the offset after its line end."""

    start: int
    text: str
    end: int


def split_lines(text: str) -> Iterator[TextLine]:
    """Yields the lines of a text; a line ends with LF, CRLF or CR only."""
    position = 0
    while position < len(text):
        match = _LINE.match(text, position)
        if match is None:
            return
        yield TextLine(position, match[1], match.end())
        position = match.end()


def split_texts(text: str) -> list[str]:
    """Returns the lines of a text without their line ends."""
    return [line.text for line in split_lines(text)]
