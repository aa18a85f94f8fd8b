"""Types for documents in HTML, XML or Markdown, and their rendering with translated blocks.

A block is the smallest run of inline content (a paragraph, a cell, a heading). Its marks are the tags, delimiters and
untranslated objects inside it. Invariant: a document rendered with the source of its blocks equals its source.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from latimer_server.core.spans import TextSpan
from latimer_server.text.segmentation import Document, Rebuilt, rebuild_text

# OBJECT REPLACEMENT CHARACTER: stands in the text of a block for an object, such as an image, that comes out unchanged
# and exactly once.
OBJECT = "\ufffc"
# Stands in the place of each line-breaking tag, such as `<br>`, while a block is divided into sentences, because the
# splitter always ends a sentence at this character. It is one code point, like U+FFFC, so spans stay valid.
LINE_BREAK = "\v"


class TextFormat(Enum):
    """Formats of markup; see TextFormat in the contract. PLAIN is a plain text with tags in it, see `inline_tags`."""

    PLAIN = "plain"
    HTML = "html"
    XML = "xml"
    MARKDOWN = "markdown"


class MarkKind(Enum):
    """Kinds of marks.

    OPEN and CLOSE are the ends of a pair, and have no character in `Block.text`. An ATOM is one U+FFFC there.
    """

    OPEN = "open"
    CLOSE = "close"
    ATOM = "atom"


@dataclass(frozen=True, slots=True)
class Mark:
    """A tag, a delimiter or an untranslated object inside a block.

    `offset`: its place in `Block.text`. `source`: its span in the document. `partner`: the index, among the marks of
    the block, of the other end of an OPEN or CLOSE; None if it has none in this block. `written`: the text that stands
    for the mark in the output. That is its source, except at the end of a Markdown reference such as `[name]`: it
    becomes `[translated name][name]`. `breaks_line`: True for an ATOM that ends a line and thus a sentence, such as
    `<br>`.
    """

    offset: int
    source: TextSpan
    kind: MarkKind
    partner: int | None
    written: str
    breaks_line: bool = False


class OffsetRun(NamedTuple):
    """A range of one text (`start`, `end`) and the range of another text that it corresponds to; both half-open.

    Ranges of equal length correspond character by character.
    """

    start: int
    end: int
    other_start: int
    other_end: int

    @property
    def is_literal(self) -> bool:
        """True if both ranges have equal lengths."""
        return self.end - self.start == self.other_end - self.other_start


@dataclass(frozen=True)
class Block:
    """A part of a document to translate: its text without markup, and its marks.

    `span`: the part of the document that the translation replaces. `source`: the document's text there. `runs`: for
    each part of `text` the range of the document that it comes from, ascending. `spellings`: for an invisible
    character, such as a no-break space, how the source writes it (`&nbsp;`). `in_table`: True for a cell of a Markdown
    table.
    """

    text: str
    marks: tuple[Mark, ...]
    span: TextSpan
    source: str
    format: TextFormat
    runs: tuple[OffsetRun, ...] = field(repr=False)
    spellings: Mapping[str, str] = field(default_factory=dict, repr=False)
    in_table: bool = False

    @property
    def atoms(self) -> tuple[Mark, ...]:
        """The ATOM marks, in the order of the text."""
        return tuple(mark for mark in self.marks if mark.kind is MarkKind.ATOM)

    def locate(self, span: TextSpan) -> TextSpan:
        """Returns the span of the document that corresponds to a span of `text`.

        It has whole entities such as `&amp;`, and no tags at its edges.
        """
        return locate(self.runs, span, self.span)


@dataclass(frozen=True)
class MarkupDocument:
    """A document and its blocks, ascending and disjoint. The text outside the blocks is copied unchanged."""

    source: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class PlacedBlock:
    """The translation of a block with its marks, in the block's format (HTML, XML or Markdown).

    `repaired`: True if the place of a pair was guessed, since no link decides it (see `place_marks`). `runs`: for each
    part of the translation without marks, its range in `text`.
    """

    text: str
    repaired: bool
    runs: tuple[OffsetRun, ...] = field(repr=False)

    def locate(self, span: TextSpan) -> TextSpan:
        """Returns the span of `text` that corresponds to a span of the translation without marks.

        It has whole escapes such as `&amp;`, and no tags at its edges.
        """
        return locate(self.runs, span, TextSpan(0, len(self.text)))


def render(document: MarkupDocument, texts: Sequence[str]) -> Rebuilt:
    """Returns the text of a document with its blocks replaced by `texts`, and the spans of the blocks in it.

    Raises `ValueError` if the number of texts differs from the number of blocks.
    """
    return rebuild_text(Document(document.source, tuple(block.span for block in document.blocks)), texts)


def locate(runs: Sequence[OffsetRun], span: TextSpan, whole: TextSpan) -> TextSpan:
    """Returns the span of the second text of `runs` that corresponds to a span of the first text.

    `whole`: the part of the second text that `runs` cover. Without runs, the result is empty at the start of `whole`.
    """
    if not runs:
        return TextSpan(whole.start, whole.start)
    start = _locate_start(runs, span.start, whole)
    if span.end <= span.start:
        return TextSpan(start, start)
    last = _find_run(runs, span.end - 1)
    if span.end >= last.end or not last.is_literal:
        return TextSpan(start, max(start, last.other_end))
    return TextSpan(start, max(start, last.other_start + span.end - last.start))


def _locate_start(runs: Sequence[OffsetRun], offset: int, whole: TextSpan) -> int:
    run = _find_run(runs, offset)
    if offset >= run.end:
        return whole.end if run is runs[-1] and offset > run.end else run.other_end
    return run.other_start + (offset - run.start if run.is_literal else 0)


def _find_run(runs: Sequence[OffsetRun], offset: int) -> OffsetRun:
    return runs[max(0, bisect_right(runs, offset, key=lambda run: run.start) - 1)]
