"""Lines of marks in Markdown that CommonMark takes for text: containers, admonitions, templates, definition lists.

CommonMark joins such a line with the text around it into one paragraph, so a translation of the whole would move or
translate the marks. A block is divided at these lines instead. The forms are those of MkDocs (`!!! note "Title"`,
`=== "Tab"`), Docusaurus and Pandoc (`:::tip`, line blocks, definition lists), Jekyll (`{% note %}`, `{: .class}`) and
Hugo (`{{< note >}}`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from latimer.files.subtitles.text_lines import TextLine

FENCE = re.compile(r"\s*(`{3,}(?=[^`]*$)|~{3,})")
RAW_START = re.compile(r" {0,3}<(?:(script|pre|style|textarea)(?=[\s>]|$)|(!--)|(\?))", re.IGNORECASE)
# A line of marks; the group `title` is its text.
_MARKS = re.compile(
    r"""\s*(?:
    :{3,}[ \t]*(?:[\w-]+(?:\[(?P<bracketed>(?:[^\[\]]|\[[^\[\]]*\])+)\]
        |[ \t]+(?P<container>[^\s{}:][^{}:]*))?|[^\s\w].*)?
    |(?:!!!|\?\?\?\+?)[ \t]+[\w-]+(?:[ \t]+[\w-]+){0,3}(?:[ \t]+"(?P<quoted>.*)")?
    |(?:!!!|\?\?\?\+?|===[+!]*)[ \t]+(?:"(?P<tab>.*)"|'(?P<single>.*)')
    |(?:\{%(?:(?!%\}).)*%\}\s*)+
    |\{\{(?:<(?:(?!>\}\}).)*>|%(?:(?!%\}\}).)*%)\}\}
    |\{:[^{}]*\}
    |<!--(?:(?!-->).)*-->
    )[ \t]*$""",
    re.VERBOSE,
)
# The titles by their groups, and the characters that end each.
_TITLES = {"bracketed": "[]\n", "container": "{}:\n", "quoted": "\n", "tab": "\n", "single": "\n"}
_ADMONITION = re.compile(r"\s*(?:!!!|\?\?\?|===)")
_DEFINITION_TEXT = re.compile(r" {0,3}[:~][ \t]+(?=\S)")
_LINE_BLOCK = re.compile(r" {0,3}\|[ \t]+(?=\S)(?!.*\|[ \t]*$)")
_TABLE_RULE = re.compile(r"\s*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_SPACES = re.compile(r"[ \t]*")
_BODY_INDENT = 4


class Piece(NamedTuple):
    """A part of a block.

    `start` and `end`: its offsets. `text`: its lines with LF between them, without the white space `indent` that the
    lines have in the file. `forbidden`: characters that would end it.
    """

    start: int
    end: int
    text: str
    indent: str = ""
    forbidden: str = ""


def raw_end(line: str) -> re.Pattern[str] | None:
    """Returns the pattern that closes the raw block that a line opens; None if it opens none."""
    fence = FENCE.match(line)
    if fence:
        return re.compile(rf"^\s*{re.escape(fence[1][0])}{{{len(fence[1])},}}[ \t]*$")
    raw = RAW_START.match(line)
    if raw is None:
        return None
    if raw[1]:
        return re.compile(rf"</{raw[1]}>", re.IGNORECASE)
    return re.compile("-->" if raw[2] else r"\?>")


def divide_at_marks(lines: Sequence[TextLine]) -> list[Piece] | None:
    """Returns the texts of a block between its lines of marks; None if it has no such lines."""
    divider = _Divider(lines)
    pieces = list(divider.pieces())
    return pieces if divider.has_marks else None


class _Divider:
    def __init__(self, lines: Sequence[TextLine]) -> None:
        self._lines = lines
        self._held: list[TextLine] = []
        self._indent = 0  # columns that the text of the current container is indented by
        self._bodies: list[int] = []  # indentations of the open bodies of admonitions
        self._is_table = any(_TABLE_RULE.match(line.text) and "|" in line.text for line in lines)
        self._opened: int | None = None  # the indentation of the admonition in the line before
        self._until: re.Pattern[str] | None = None  # closes the raw block that is open
        self._is_raw = False  # the raw block begins the held lines
        self._is_item = False  # the held lines begin after the mark of a definition or of a line block
        self.has_marks = False

    def pieces(self) -> Iterator[Piece]:
        for line in self._lines:
            if self._until is not None:
                self._go_on(line)
            elif line.text.strip():
                yield from self._take(line)
            elif self._held:
                self._held.append(line)
        if self._until is None or not self._is_raw:
            yield from self._flush()

    def _go_on(self, line: TextLine) -> None:
        """Takes a line of an open raw block. Code and comments by themselves are no text."""
        self._held.append(line)
        if self._until is not None and self._until.search(line.text):
            self._until = None
            if self._is_raw:
                self._held = []

    def _take(self, line: TextLine) -> Iterator[Piece]:
        indent = _width(line.text)
        if self._opened is not None:
            body = 1 if line.text.startswith("\t", self._opened) else _BODY_INDENT
            self._bodies.append(self._opened + body)
            self._opened = None
        left = len([body for body in self._bodies if body <= indent])
        is_new = bool(self._held) and not self._held[-1].text.strip() and indent <= self._level(indent)
        if left < len(self._bodies) or is_new:
            yield from self._flush()
            del self._bodies[left:]
        mark, start = _MARKS.match(line.text), self._item_start(line.text)
        if mark is None and start is None:
            self._until = raw_end(line.text)
            if self._until is not None and FENCE.match(line.text) is None and self._until.search(line.text):
                self._until = None
            self._is_raw = not self._held
            self._held.append(line)
            return
        yield from self._flush()
        self.has_marks = True
        if mark is not None:
            yield from _title(line, mark)
            self._indent = indent
            self._opened = indent if _ADMONITION.match(line.text) else None
        elif start is not None:
            self._is_item = True
            self._held.append(TextLine(line.start + start, line.text[start:], line.end))

    def _level(self, indent: int) -> int:
        """Returns the indentation of the text around a line with an indentation."""
        return self._bodies[-1] if self._bodies else min(self._indent, indent)

    def _item_start(self, text: str) -> int | None:
        """Returns the offset of the text of a definition or of a line of a line block."""
        body = self._bodies[-1] if self._bodies else 0
        lead = body if text[:body].isspace() else 0
        match = _DEFINITION_TEXT.match(text[lead:]) or (None if self._is_table else _LINE_BLOCK.match(text[lead:]))
        return lead + match.end() if match else None

    def _flush(self) -> Iterator[Piece]:
        held, self._held = self._held, []
        while held and not held[-1].text.strip():
            held.pop()
        if not held:
            return
        first = 0 if self._is_item else _width(held[0].text)
        widths = [_width(line.text) for line in held[1:] if line.text.strip()]
        level = min(widths, default=0) if self._is_item else min(self._level(first), first, *widths)
        self._is_item = False
        cut = min(level, first)
        texts = [held[0].text[cut:], *(line.text[level:] if line.text.strip() else "" for line in held[1:])]
        indented = next((line.text[:level] for line in held[1:] if line.text.strip()), held[0].text[:cut])
        yield Piece(held[0].start + cut, held[-1].start + len(held[-1].text), "\n".join(texts), indented)


def _title(line: TextLine, mark: re.Match[str]) -> Iterator[Piece]:
    for name, forbidden in _TITLES.items():
        if mark[name]:
            text = mark[name].rstrip()
            start = line.start + mark.start(name)
            yield Piece(start, start + len(text), text, forbidden=forbidden)


def _width(text: str) -> int:
    match = _SPACES.match(text)
    return match.end() if match else 0
