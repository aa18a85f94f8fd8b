"""Segmenting: divides a content into segments and marks the protected spans in each.

A plain content is one part. A content with markup has one part for each block (paragraph, heading, table cell).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from latimer_server.core.abandonment import require_wanted
from latimer_server.core.spans import TextSpan
from latimer_server.text.markup import LINE_BREAK, OBJECT, Block, MarkupDocument, TextFormat, parse_markup
from latimer_server.text.protection.glossary import Glossary, protect_text
from latimer_server.text.protection.masking import ProtectedText, extract_parts
from latimer_server.text.protection.rules import ProtectionRules
from latimer_server.text.segmentation import Document, Splitting, segment_text
from latimer_server.translation.block_boundaries import (
    find_adjacent,
    find_glued,
    find_link_edges,
    keep_spans,
    split_spans,
)


@dataclass(frozen=True)
class ParsedContent:
    """A content, with its parsed markup if it has any."""

    content: str
    markup: MarkupDocument | None = None

    @property
    def text(self) -> str:
        """The text without markup, with line breaks between blocks, for language detection."""
        if self.markup is None:
            return self.content
        return "\n".join(block.text.replace(OBJECT, " ") for block in self.markup.blocks)


@dataclass(frozen=True)
class ContentPart:
    """A text that is segmented by itself: a plain content, or one block of a content with markup.

    `segments` are the segments of `document`, in order, each with its protected spans. `block` is None for a plain
    content.
    """

    document: Document
    segments: tuple[ProtectedText, ...]
    block: Block | None = None


def parse_content(content: str, text_format: TextFormat | None, ignore_tags: Sequence[str]) -> ParsedContent:
    """Returns a content with its markup parsed. `text_format` None means plain text, without markup."""
    return ParsedContent(content, None if text_format is None else parse_markup(content, text_format, ignore_tags))


def segment_content(
    parsed: ParsedContent, language: str, splitting: Splitting, rules: ProtectionRules, glossary: Glossary | None
) -> tuple[ContentPart, ...]:
    """Returns the parts of a content, in order, each divided into segments with protected spans.

    `language` is the language of the content (BCP-47). Raises `PatternError` if the patterns of `rules` take too long.
    """
    rules = rules.share_budget(len(parsed.content))
    if parsed.markup is None:
        guarded = protect_text(parsed.content, rules, glossary)
        document = segment_text(parsed.content, splitting, language, guarded.spans)
        join = splitting is Splitting.SENTENCES_ACROSS_LINES
        return (ContentPart(document, tuple(extract_parts(guarded, document.spans, join=join))),)
    return tuple(_divide_block(block, language, splitting, rules, glossary) for block in parsed.markup.blocks)


def _divide_block(
    block: Block, language: str, splitting: Splitting, rules: ProtectionRules, glossary: Glossary | None
) -> ContentPart:
    """Segments one block of markup: into one segment if `splitting` is NONE, else into sentences.

    A line break counts as a space. Unless `splitting` is NONE, a tag that breaks the line, such as `<br>`, ends a
    sentence and is part of no segment, and sentences also end where `block_boundaries` says so.
    """
    require_wanted()
    breaks: set[int] = set()
    if splitting is not Splitting.NONE:
        splitting = Splitting.SENTENCES_ACROSS_LINES
        breaks = {mark.offset for mark in block.atoms if mark.breaks_line}
    broken = list(block.text)
    for offset in breaks:
        broken[offset] = LINE_BREAK
    text = "".join(broken)
    objects = [TextSpan(position, position + 1) for position in _find_objects(text)]
    glued = list(find_glued(block))
    guarded = protect_text(text, rules, glossary, objects, glued)
    cuts: list[int] = []
    if splitting is not Splitting.NONE:
        cuts = sorted({*find_link_edges(block), *keep_spans(text, find_adjacent(block), guarded.spans)})
    if cuts:
        guarded = _protect_parts(guarded, cuts, glued, rules, glossary)
    spans = segment_text(text, splitting, language, guarded.spans).spans
    if cuts:
        spans = tuple(split_spans(text, spans, cuts))
    segments = extract_parts(replace(guarded, text=block.text), spans, join=True)
    return ContentPart(Document(block.text, spans), tuple(segments), block)


def _protect_parts(
    guarded: ProtectedText, cuts: Sequence[int], glued: Sequence[int], rules: ProtectionRules, glossary: Glossary | None
) -> ProtectedText:
    """Returns the text of `guarded` with the protected spans of each part between two cuts.

    `glued`: the offsets of tags, see `find_glued`. The part of an object or line break stays protected.
    """
    spans: list[TextSpan] = []
    replacements: list[str | None] = []
    for start, end in pairwise([0, *cuts, len(guarded.text)]):
        text = guarded.text[start:end]
        objects = [TextSpan(position, position + 1) for position in _find_objects(text)]
        inside = [at - start for at in glued[bisect_right(glued, start) : bisect_left(glued, end)]]
        part = protect_text(text, rules, glossary, objects, inside)
        spans += [TextSpan(start + span.start, start + span.end) for span in part.spans]
        replacements += part.replacements or [None] * len(part.spans)
    return ProtectedText(guarded.text, tuple(spans), tuple(replacements) if any(replacements) else ())


def _find_objects(text: str) -> Iterator[int]:
    position = text.find(OBJECT)
    while position >= 0:
        yield position
        position = text.find(OBJECT, position + 1)
