"""Recognition of plain text whose paragraphs are wrapped at a width, and division of it into paragraphs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

from latimer.files.lines import Line

_MIN_WIDTH, _MAX_WIDTH = 40, 120
# Lines that start a paragraph of their own: marks of lists, quotations and tables, and rows of signs.
_MARK = re.compile(r"(?:[-*+•·–—|>#:%]|\(?\d{1,3}[.)]|[a-zA-Z][.)])(?:\s|$)|[^\w\s]{3}")
_SENTENCE_END = re.compile(r"[.!?:;…。！？]['\"”’)\]]*$")
# A part of the width by which a line may be shorter than it needs to be; fmt(1) makes such lines.
_SLACK = 0.15
# Columns by which a line may be longer than the width of the file.
_OVERHANG = 4
_MIN_SPACES, _MAX_WORD = 3, 25


def find_width(lines: Iterable[str]) -> int | None:
    """Returns the width at which a text is wrapped; None if its lines stand for themselves.

    It is wrapped if most paragraphs of three or more lines are filled, which means that the first word of each line
    would not have fitted on the line before, and most lines end within a sentence.
    """
    filled = unfilled = within = ends = width = 0
    for paragraph in _blocks(lines):
        if len(paragraph) < 3:
            continue
        widest = max(map(len, paragraph))
        if not _MIN_WIDTH <= widest <= _MAX_WIDTH or not _is_filled(paragraph, widest, slack=0):
            unfilled += 1
            continue
        filled += 1
        width = max(width, widest)
        for line, following in pairwise(paragraph):
            ends += 1
            within += not _SENTENCE_END.search(line.rstrip()) and not following.lstrip()[:1].isupper()
    return width if filled > unfilled and within * 2 > ends else None


def split_paragraphs(lines: Iterable[Line], width: int, most: int) -> Iterator[list[Line]]:
    """Yields paragraphs; a line that is not in a wrapped paragraph, and a blank line, is one of its own.

    `most`: the lines of a paragraph.
    """
    held: list[Line] = []
    for line in lines:
        if held and (len(held) == most or not line.text.strip() or _starts(held, line.text)):
            yield from _settle(held, width)
            held = []
        held.append(line)
        if not line.text.strip():
            yield held
            held = []
    if held:
        yield from _settle(held, width)


def _settle(held: list[Line], width: int) -> Iterator[list[Line]]:
    texts = [line.text for line in held]
    if len(held) > 1 and max(map(len, texts)) <= width + _OVERHANG and _is_filled(texts, width, slack=_SLACK):
        yield held
    else:
        yield from ([line] for line in held)


def _blocks(lines: Iterable[str]) -> Iterator[list[str]]:
    held: list[str] = []
    for line in lines:
        blank = not line.strip()
        if held and (blank or _breaks(held, line)):
            yield held
            held = []
        if not blank:
            held.append(line)
    if held:
        yield held


def _starts(held: list[Line], text: str) -> bool:
    return _breaks([line.text for line in held[:2]], text)


def _breaks(held: list[str], text: str) -> bool:
    """Returns True if a line starts another paragraph than the first two lines before it."""
    if _MARK.match(text.lstrip()):
        return True
    indent = len(text) - len(text.lstrip())
    if len(held) > 1:
        return indent != len(held[1]) - len(held[1].lstrip())
    return False


def _is_filled(lines: list[str], width: int, slack: float) -> bool:
    """Returns True if each line but the last is as long as the width allows."""
    least = width * (1 - slack)
    for line, following in pairwise(lines):
        text = line.rstrip()
        word = following.split(maxsplit=1)[0]
        # Long words of scripts without spaces, checksums and addresses would fill every line.
        if text.strip().count(" ") < _MIN_SPACES or len(word) > _MAX_WORD or len(text) + 1 + len(word) <= least:
            return False
    return True
