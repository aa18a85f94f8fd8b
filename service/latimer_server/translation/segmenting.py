"""Divides contents into the segments that are translated each by itself, with what must come out of each unchanged.

Knows text only: a plain content is one part, one with markup has a part for each block. Nothing of models.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from latimer_server.core.spans import TextSpan
from latimer_server.text.markup import OBJECT, Block, MarkupDocument, TextFormat, parse_markup
from latimer_server.text.protection.glossary import Glossary, protect_text
from latimer_server.text.protection.masking import ProtectedText, extract_parts
from latimer_server.text.protection.rules import ProtectionRules
from latimer_server.text.segmentation import Document, Splitting, segment_text

# One character that no sentence goes across.
_PARAGRAPH = "\v"


@dataclass(frozen=True)
class ParsedContent:
    """A content, and its blocks where it has markup."""

    content: str
    markup: MarkupDocument | None = None

    @property
    def text(self) -> str:
        """What a reader reads, without the markup; to tell its language by."""
        if self.markup is None:
            return self.content
        return "\n".join(block.text.replace(OBJECT, " ") for block in self.markup.blocks)


@dataclass(frozen=True)
class ContentPart:
    """A text that is divided by itself: a plain content, or a block of one with markup. `segments`: those of
    `document`, in order, as a model will be given them."""

    document: Document
    segments: tuple[ProtectedText, ...]
    block: Block | None = None


def parse_content(content: str, text_format: TextFormat | None, ignore_tags: Sequence[str]) -> ParsedContent:
    """A content as what it is; `text_format` None is plain text."""
    return ParsedContent(content, None if text_format is None else parse_markup(content, text_format, ignore_tags))


def segment_content(
    parsed: ParsedContent, language: str, splitting: Splitting, rules: ProtectionRules, glossary: Glossary | None
) -> tuple[ContentPart, ...]:
    """The parts of a content, in order. `language`: what the content is in."""
    if parsed.markup is None:
        guarded = protect_text(parsed.content, rules, glossary)
        document = segment_text(parsed.content, splitting, language, guarded.spans)
        join = splitting is Splitting.SENTENCES_ACROSS_LINES
        return (ContentPart(document, tuple(extract_parts(guarded, document.spans, join=join))),)
    return tuple(_divide_block(block, language, splitting, rules, glossary) for block in parsed.markup.blocks)


def _divide_block(
    block: Block, language: str, splitting: Splitting, rules: ProtectionRules, glossary: Glossary | None
) -> ContentPart:
    """In a block a line break is a space, and only marks that break lines end a sentence."""
    breaks: set[int] = set()
    if splitting is not Splitting.NONE:
        splitting = Splitting.SENTENCES_ACROSS_LINES
        breaks = {mark.offset for mark in block.atoms if mark.breaks_line}
    broken = list(block.text)
    for offset in breaks:
        broken[offset] = _PARAGRAPH
    text = "".join(broken)
    objects = [TextSpan(position, position + 1) for position in _find_objects(text)]
    guarded = protect_text(text, rules, glossary, objects)
    document = segment_text(text, splitting, language, guarded.spans)
    segments = extract_parts(replace(guarded, text=block.text), document.spans, join=True)
    return ContentPart(Document(block.text, document.spans), tuple(segments), block)


def _find_objects(text: str) -> Iterator[int]:
    position = text.find(OBJECT)
    while position >= 0:
        yield position
        position = text.find(OBJECT, position + 1)
