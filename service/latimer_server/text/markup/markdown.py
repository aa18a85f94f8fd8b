"""Finds the blocks of a Markdown text: CommonMark with tables, strikethrough, task lists, footnotes and front matter.

The parser is pulldown-cmark, through pyromark. Not translated: code, inline HTML, link targets, definitions, front
matter, and the text of images (alt, title). An HTML block outside lists and quotations is read as HTML.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Collection, Iterator

import pyromark

from latimer_server.text.markup.building import BlockBuilder
from latimer_server.text.markup.document import Block, TextFormat
from latimer_server.text.markup.elements import VOIDS, is_untranslated
from latimer_server.text.markup.html import add_inline_tag, find_html_blocks
from latimer_server.text.markup.tags import TokenKind, read_tags

_OPTIONS = (
    pyromark.Options.ENABLE_TABLES
    | pyromark.Options.ENABLE_STRIKETHROUGH
    | pyromark.Options.ENABLE_TASKLISTS
    | pyromark.Options.ENABLE_FOOTNOTES
    | pyromark.Options.ENABLE_HEADING_ATTRIBUTES
    | pyromark.Options.ENABLE_GFM
)
# Front matter is at the start of a text only. pulldown-cmark would take a paragraph between two rules for metadata.
_FRONT_MATTER = re.compile(r"\ufeff?(---|\+\+\+)[ \t]*+\r?\n(?=.*\S)(?:.*+\n)*?(?:\1|\.\.\.)[ \t]*+(?:\r?\n|\Z)")
_PARAGRAPH = re.compile(r"(?:[^\S\n]*+\S.*+\n?)++")
_INLINE = frozenset(("Emphasis", "Strong", "Strikethrough", "Link", "Image", "Superscript", "Subscript"))


def find_markdown_blocks(source: str, ignored: Collection[str]) -> list[Block]:
    """Returns the blocks of a Markdown text. `ignored`: lower-case names of HTML elements that are not translated."""
    front = _FRONT_MATTER.match(source)
    start = front.end() if front else int(source.startswith("\ufeff"))
    try:
        return _Reader(source, start, ignored).read_blocks()
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001 (pyo3's PanicException derives from BaseException)
        return _find_paragraphs(source, start)


def _find_paragraphs(source: str, start: int) -> list[Block]:
    """Returns each paragraph from `start` on as a block of plain text, for a source on which the parser panics."""
    builder = BlockBuilder(source, TextFormat.MARKDOWN)
    for match in _PARAGRAPH.finditer(source, start):
        builder.add_text(match.start(), match.end())
        builder.finish_block()
    return builder.blocks


def _read_events(source: str, start: int) -> Iterator[tuple[str, object, int, int]]:
    """Yields the events of pulldown-cmark for the text from `start` on, as (name, data, start, end).

    Start and end are offsets in code points of `source`.
    """
    # UTF-8 cannot encode a lone surrogate. A question mark takes its place, so that offsets stay.
    encoded = source[start:].encode("utf-8", "replace")
    text = encoded.decode()
    points = None if len(encoded) == len(text) else _list_code_points(text)
    for event, place in pyromark.events_with_range(text, options=_OPTIONS):
        name, value = next(iter(event.items())) if isinstance(event, dict) else (event, None)
        first, last = place["start"], place["end"]
        if points is not None:
            first, last = points[first], points[last]
        yield str(name), value, start + first, start + last


def _list_code_points(text: str) -> array[int]:
    """Returns the index of the code point for each byte of the text in UTF-8, and one more for the end."""
    points = array("I")
    for index, character in enumerate(text):
        code = ord(character)
        points.append(index)
        if code > 0x7F:
            points.extend((index,) * (1 if code < 0x800 else 2 if code < 0x10000 else 3))
    points.append(len(text))
    return points


class _Reader:
    """Reads the parser's events for a Markdown text from `start` on, and passes text and marks to a `BlockBuilder`."""

    def __init__(self, source: str, start: int, ignored: Collection[str]) -> None:
        self._source = source
        self._start = start
        self._ignored = ignored
        self._builder = BlockBuilder(source, TextFormat.MARKDOWN)
        # The offset up to which the source was passed to the builder.
        self._end = start
        # The open inline elements as (number of the mark in the builder, kind, type of link). The number is None for an
        # element that is kept as one atom, or inside such an element.
        self._opened: list[tuple[int | None, str, str]] = []
        # How deep the current event is inside images and autolinks, which are kept; inside blocks of code, HTML or
        # metadata, which are left alone; and inside lists, quotations and footnotes.
        self._kept = 0
        self._untouched = 0
        self._containers = 0
        self._in_table = False

    def read_blocks(self) -> list[Block]:
        """Returns the blocks of the text. May be called once."""
        for name, value, start, end in _read_events(self._source, self._start):
            if name in ("Start", "End"):
                kind, data = next(iter(value.items())) if isinstance(value, dict) else (str(value), None)
                if kind in _INLINE:
                    link_type = data["link_type"] if isinstance(data, dict) else ""
                    self._add_inline(name, kind, link_type, start, end)
                else:
                    self._add_boundary(name, kind, start, end)
            elif not self._untouched and not self._kept:
                self._add_leaf(name, str(value), start, end)
        self._builder.finish_block()
        return self._builder.blocks

    def _add_boundary(self, name: str, kind: str, start: int, end: int) -> None:
        """Handles the start or the end of a block, or of a container of blocks."""
        self._builder.finish_block(in_table=self._in_table)
        self._end = start if name == "Start" else end
        step = 1 if name == "Start" else -1
        if kind == "TableCell":
            self._in_table = name == "Start"
        if kind in ("CodeBlock", "HtmlBlock", "MetadataBlock"):
            self._untouched += step
            if kind == "HtmlBlock" and name == "Start" and not self._containers:
                self._builder.blocks += find_html_blocks(self._source, start, end, self._ignored)
        elif kind in ("BlockQuote", "List", "Item", "FootnoteDefinition"):
            self._containers += step

    def _add_inline(self, name: str, kind: str, link_type: str, start: int, end: int) -> None:
        """Handles the start or the end of emphasis, a link or an image."""
        if name == "End":
            self._end_inline(*self._opened.pop(), start, end)
            return
        # The text of an autolink is its target, and the content of an image is an attribute.
        kept = kind == "Image" or (kind == "Link" and link_type in ("Autolink", "Email"))
        if kept or self._kept:
            if not self._kept:
                self._close_gap(start)
                self._builder.add_atom(start, end, silent=kind == "Image")
                self._end = end
            self._kept += 1
            self._opened.append((None, kind, link_type))
            return
        self._close_gap(start)
        self._end = start + self._measure_delimiter(kind, start)
        self._opened.append((self._builder.open_mark(start, self._end, "", barrier=True), kind, link_type))

    def _end_inline(self, number: int | None, kind: str, link_type: str, start: int, end: int) -> None:
        if number is None:
            self._kept -= 1
        elif kind == "Link":
            written = None
            if link_type in ("Collapsed", "Shortcut"):
                # The text is also the name of the target, which the translation must still name.
                written = f"][{self._source[start + 1 : end - 1]}]"
                if link_type == "Collapsed" and self._source.startswith("[]", end):
                    end += 2  # the parser leaves these brackets out
            self._builder.close_barrier(number, self._end, end, written)
            self._end = end
        else:
            self._builder.close_barrier(number, end - self._measure_delimiter(kind, start), end)
            self._end = end

    def _measure_delimiter(self, kind: str, start: int) -> int:
        return 2 if kind == "Strong" or self._source.startswith("~~", start) else 1

    def _close_gap(self, start: int) -> None:
        """Extends the last item of the builder up to `start`, over text of the source without an event.

        Such text is at the start of a line: white space and signs of a quotation, which belong to the line break.
        """
        if self._end < start and not self._builder.is_empty:
            self._builder.extend_last(start)

    def _add_leaf(self, name: str, value: str, start: int, end: int) -> None:
        builder = self._builder
        if name == "Text":
            self._add_text(value, start, end)
            return
        if name == "SoftBreak":
            # White space before the line break belongs to it, so that the line stays equal to its source.
            builder.add_text(start if builder.is_empty else min(start, self._end), end, " ")
            self._end = end
            return
        self._close_gap(start)
        if name == "HardBreak":
            builder.add_atom(start, end, breaks_line=True)
        elif name == "InlineHtml":
            self._add_html(start, end)
        elif name == "Rule":
            builder.finish_block()
        else:
            builder.add_atom(start, end, silent=name == "TaskListMarker")
        self._end = end

    def _add_text(self, value: str, start: int, end: int) -> None:
        escaped = self._end < start and self._source[start - 1] == "\\"
        self._close_gap(start - escaped)
        if self._source[start:end] != value:
            # The parser's text differs from the source, since that has an entity.
            self._builder.add_text(start - escaped, end, value)
        elif escaped:
            self._builder.add_text(start - 1, start + 1, value[:1])
            self._builder.add_text(start + 1, end)
        else:
            self._builder.add_text(start, end)
        self._end = end

    def _add_html(self, start: int, end: int) -> None:
        """Adds an HTML tag or comment inside a paragraph to the builder."""
        tag = next(read_tags(self._source, start, end))
        if tag.kind in (TokenKind.OPEN, TokenKind.CLOSE) and tag.end == end:
            kept = (
                tag.kind is TokenKind.OPEN
                and tag.name not in VOIDS
                and is_untranslated(self._source, tag, self._ignored)
            )
            add_inline_tag(self._builder, tag, opaque=kept)
        else:
            self._builder.add_atom(start, end, silent=True)
