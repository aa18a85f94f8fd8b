"""Types for documents with markup in any format: blocks of text with marks, and rendering with translated blocks.

A block is the smallest run of inline content (a paragraph, a cell, a heading). Its marks are the tags, delimiters and
untranslated objects inside it. Invariant: a document rendered with unchanged blocks equals its source.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from latimer_server.core.spans import TextSpan
from latimer_server.text.segmentation import Document, Rebuilt, rebuild_text

# OBJECT REPLACEMENT CHARACTER: stands in the text of a block for an object that comes out unchanged, exactly once.
OBJECT = "\ufffc"


class TextFormat(Enum):
    """Formats of markup; see TextFormat in the contract."""

    HTML = "html"
    XML = "xml"
    MARKDOWN = "markdown"


class MarkKind(Enum):
    """Kinds of marks. OPEN and CLOSE wrap text and have no characters in it; an ATOM is one U+FFFC of the text."""

    OPEN = "open"
    CLOSE = "close"
    ATOM = "atom"


@dataclass(frozen=True)
class Mark:
    """A tag, a delimiter or an untranslated object inside a block.

    `offset`: its place in `Block.text`. `source`: its span in the document. `partner`: the index, among the marks of
    the block, of the other end of an OPEN or CLOSE; None if it has none in this block. `written`: its text in the
    output. That is its source, except for references such as `[name]` in Markdown, which must name their target once
    their text is translated. `breaks_line`: True for an ATOM that ends a line and thus a sentence, such as `<br>`.
    """

    offset: int
    source: TextSpan
    kind: MarkKind
    partner: int | None
    written: str
    breaks_line: bool = False


class OffsetRun(NamedTuple):
    """A range of one text and the range of another that it corresponds to.

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
    """A text to translate and its marks.

    `span`: the part of the document that the translation replaces. `source`: the document's text there. `runs`: where
    in the document each part of `text` comes from, ascending. `spellings`: the source's spelling (`&nbsp;`) of
    characters that are invisible, such as no-break spaces. `in_table`: True inside a cell of a Markdown table.
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
        """Returns the span of the document for a span of `text`: with whole entities, without tags at its edges."""
        return locate(self.runs, span, self.span)


@dataclass(frozen=True)
class MarkupDocument:
    """A document and its blocks, ascending and disjoint. The text between them is copied unchanged."""

    source: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class PlacedBlock:
    """The translation of a block with its marks, in the block's format.

    `repaired`: True if the place of a pair follows from no link (see `place_marks`). `runs`: where in `text` each part
    of the translation is.
    """

    text: str
    repaired: bool
    runs: tuple[OffsetRun, ...] = field(repr=False)

    def locate(self, span: TextSpan) -> TextSpan:
        """Returns the span of `text` for a span of the translation: with whole escapes, without tags at its edges."""
        return locate(self.runs, span, TextSpan(0, len(self.text)))


def render(document: MarkupDocument, texts: Sequence[str]) -> Rebuilt:
    """Returns the document with its blocks replaced by `texts`, and the new spans of the blocks.

    Raises `ValueError` if the number of texts differs from the number of blocks.
    """
    return rebuild_text(Document(document.source, tuple(block.span for block in document.blocks)), texts)


def locate(runs: Sequence[OffsetRun], span: TextSpan, whole: TextSpan) -> TextSpan:
    """Returns the span of the other text for a span of the first. `whole`: the span of the other text under `runs`."""
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
