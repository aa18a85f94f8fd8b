"""Lines of subtitles: words with their tags, their widths, wrapping, and division over several cues."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from itertools import accumulate

# Tags of all three formats; they take no space on the screen.
TAG = re.compile(r"<[^<>]*>|\{[^{}]*\}")
_WORD = re.compile(r"(?:<[^<>]*>|\{[^{}]*\}|\S)+")
# Scripts without spaces between words: Han, Hiragana, Katakana, and their full-width signs.
_WIDE = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff01-\uff60\U00020000-\U0003ffff]")
# A unit of them that is not broken: a character with its tags, and signs that may not start a line.
_CHARACTER = re.compile(
    r"(?:<[^<>]*>|\{[^{}]*\}|[「『（《【])*(?!<[^<>]*>|\{[^{}]*\})(?:[\x21-\x3b=\x3f-z|~\u00a1-\u024f]+|\S)"
    r"(?:[、。，．！？：；」』）》】ー…]|<[^<>]*>)*|(?:<[^<>]*>|\{[^{}]*\})+"
)
# A break after these reads well.
_PAUSE = re.compile(r"[,.;:!?…、。，！？]['\"”’)\]»」』]*$")

Word = tuple[str, bool]


def width_of(text: str) -> int:
    """Returns the columns of a text on the screen: a wide character takes two, a tag none."""
    visible = TAG.sub("", text)
    if visible.isascii():
        return len(visible)
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in visible
    )


def join_lines(lines: Sequence[str]) -> str:
    """Joins the lines of a cue; with a space unless the script has none."""
    joined = ""
    for line in (each.strip() for each in lines):
        glue = " " if joined and line and not (_WIDE.match(joined[-1]) and _WIDE.match(line[0])) else ""
        joined += glue + line
    return joined


def wrap(text: str, width: int, own: int, most: int) -> list[str]:
    """Returns a text in lines of about equal width.

    `own`: the number of lines of the source, which is kept if the text fits. Else there are as many more as it needs,
    at most `most`, and then lines are longer than `width` columns.
    """
    words = split_words(text)
    if not words:
        return [""]
    needed = len(_fill(words, width))
    lines = min(max(own, min(needed, most)), len(words))
    low, high = max(width_of(word) for word, _ in words), max(width_of(text), 1)
    while low < high:  # the smallest width that gives the number of lines
        middle = (low + high) // 2
        low, high = (low, middle) if len(_fill(words, middle)) <= lines else (middle + 1, high)
    return _fill(words, high)


def divide(text: str, lengths: Sequence[int]) -> list[str]:
    """Divides a text at words into parts whose lengths are in proportion to `lengths`.

    If there are fewer words than parts, a part is that before it again.
    """
    words = split_words(text)
    if not words:
        return [text] * len(lengths)
    ends = list(accumulate(width_of(word) + spaced for word, spaced in words))
    total, whole = ends[-1], sum(lengths) or 1
    cuts = [0]
    for number, share in enumerate(list(accumulate(lengths))[:-1], start=1):
        goal = total * share / whole
        slack = total * lengths[number - 1] / whole / 4
        first, last = cuts[-1] + 1, len(words) - (len(lengths) - number)
        choices = range(first, last + 1) or range(min(first, len(words)), min(first, len(words)) + 1)
        cuts.append(
            min(choices, key=lambda cut: abs(ends[cut - 1] - goal) - (slack if _PAUSE.search(words[cut - 1][0]) else 0))
        )
    parts: list[str] = []
    for start, end in zip(cuts, [*cuts[1:], len(words)], strict=True):
        part = _join(words[start:end])
        parts.append(part or (parts[-1] if parts else text))
    return parts


def split_words(text: str) -> list[Word]:
    """Returns the words of a text, each with True if a space stands before it."""
    words: list[Word] = []
    for match in _WORD.finditer(text):
        spaced = bool(words)
        if _WIDE.search(match[0]):
            parts = _CHARACTER.findall(match[0])
            words += [(part, spaced and number == 0) for number, part in enumerate(parts)]
        else:
            words.append((match[0], spaced))
    return words


def _fill(words: Sequence[Word], width: int) -> list[str]:
    lines: list[list[Word]] = []
    used = 0
    for word in words:
        columns = width_of(word[0])
        if lines and used + word[1] + columns <= width:
            lines[-1].append(word)
            used += word[1] + columns
        else:
            lines.append([word])
            used = columns
    return [_join(line) for line in lines]


def _join(words: Sequence[Word]) -> str:
    return "".join(" " + word if spaced else word for word, spaced in words).strip()
