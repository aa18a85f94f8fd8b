"""Markup as blocks of text with marks in them, whatever the format; and a document put together again.

A block is the smallest run of inline content (a paragraph, a cell, a heading); its marks are the tags, delimiters and
untouched things inside it. Knows no format. Invariant: with every block put back as it was, the document is its source.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from latimer_server.core.spans import TextSpan
from latimer_server.text.segmentation import Document, Rebuilt, rebuild_text

# Stands in the text of a block for what must come out once and as it is: OBJECT REPLACEMENT CHARACTER.
OBJECT = "\ufffc"


class TextFormat(Enum):
    """What a text is written in; see TextFormat in the contract."""

    HTML = "html"
    XML = "xml"
    MARKDOWN = "markdown"


class MarkKind(Enum):
    """OPEN and CLOSE wrap text and take none of its room; an ATOM is one U+FFFC of it."""

    OPEN = "open"
    CLOSE = "close"
    ATOM = "atom"


@dataclass(frozen=True)
class Mark:
    """A tag, a delimiter or an untouched thing inside a block.

    `offset` is its place in `Block.text`, `source` in the document. `partner` is the index, in the marks of the block,
    of the other end of an OPEN or CLOSE; None where it has none in this block. `written` is what comes out: the source
    of the mark, but for references such as `[name]` in Markdown, whose target must be named once their text is
    translated. `breaks_line`: an ATOM that ends a line, as `<br>` does; a sentence does not go on behind it.
    """

    offset: int
    source: TextSpan
    kind: MarkKind
    partner: int | None
    written: str
    breaks_line: bool = False


class OffsetRun(NamedTuple):
    """A stretch of one text that a stretch of another one stands for; of equal lengths, character by character."""

    start: int
    end: int
    other_start: int
    other_end: int


@dataclass(frozen=True)
class Block:
    """Text to translate. `span` is what is replaced in the document, and `source` what stands there.

    `runs` tell from where in the document the text comes, in ascending order. `spellings` are characters that
    cannot be seen (no-break spaces and the like) as the source spells them (`&nbsp;`). `in_table`: in a cell of a
    Markdown table.
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
        """The marks that are a U+FFFC of the text, in its order."""
        return tuple(mark for mark in self.marks if mark.kind is MarkKind.ATOM)

    def locate(self, span: TextSpan) -> TextSpan:
        """Where in the document a range of `text` stands: entities whole, the tags at its edges outside."""
        return locate(self.runs, span, self.span)


@dataclass(frozen=True)
class MarkupDocument:
    """A source and its blocks, ascending and disjoint; what lies between them is copied as it is."""

    source: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class PlacedBlock:
    """A block's translation with its marks, written in the format of the block.

    `repaired`: a pair stands where no link says that it should (see `place_marks`).
    """

    text: str
    repaired: bool
    runs: tuple[OffsetRun, ...] = field(repr=False)

    def locate(self, span: TextSpan) -> TextSpan:
        """Where in `text` a range of the translation stands: escapes whole, the tags at its edges outside."""
        return locate(self.runs, span, TextSpan(0, len(self.text)))


def render(document: MarkupDocument, texts: Sequence[str]) -> Rebuilt:
    """The source with `texts`, one for each block, in the places of the blocks; the spans are those of the blocks.

    Raises ValueError where there are not as many.
    """
    return rebuild_text(Document(document.source, tuple(block.span for block in document.blocks)), texts)


def locate(runs: Sequence[OffsetRun], span: TextSpan, whole: TextSpan) -> TextSpan:
    """Where in the other text a range stands; `whole` is the range of the other text that the pieces are of."""
    if not runs:
        return TextSpan(whole.start, whole.start)
    start = _locate_start(runs, span.start, whole)
    if span.end <= span.start:
        return TextSpan(start, start)
    last = _run_at(runs, span.end - 1)
    if span.end >= last.end or not _is_literal(last):
        return TextSpan(start, max(start, last.other_end))
    return TextSpan(start, max(start, last.other_start + span.end - last.start))


def _locate_start(runs: Sequence[OffsetRun], offset: int, whole: TextSpan) -> int:
    run = _run_at(runs, offset)
    if offset >= run.end:
        return whole.end if run is runs[-1] and offset > run.end else run.other_end
    return run.other_start + (offset - run.start if _is_literal(run) else 0)


def _run_at(runs: Sequence[OffsetRun], offset: int) -> OffsetRun:
    return runs[max(0, bisect_right(runs, offset, key=lambda run: run.start) - 1)]


def _is_literal(run: OffsetRun) -> bool:
    return run.end - run.start == run.other_end - run.other_start
