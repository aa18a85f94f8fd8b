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
from latimer_server.text.abbreviations import find_abbreviations
from latimer_server.text.clock_times import find_hours, find_zoned_hours, release_hours
from latimer_server.text.hyphenation import find_divided
from latimer_server.text.markup import (
    LINE_BREAK,
    OBJECT,
    Attribute,
    Block,
    MarkupDocument,
    TextFormat,
    find_attributes,
    parse_markup,
    read_inline_tags,
)
from latimer_server.text.price_rates import has_periods
from latimer_server.text.protection.glossary import Glossary, protect_text
from latimer_server.text.protection.masking import ProtectedText, extract_parts
from latimer_server.text.protection.messages import find_structure
from latimer_server.text.protection.rules import ProtectionRules
from latimer_server.text.protection.spans import is_glue, merge_spans
from latimer_server.text.protection.syntaxes import Syntax
from latimer_server.text.segmentation import Document, Splitting, segment_text
from latimer_server.text.sentence_pairs import join_short
from latimer_server.text.software_strings import find_breaks, find_fields
from latimer_server.text.weekdays import find_schedules
from latimer_server.translation.block_boundaries import (
    find_adjacent,
    find_glued,
    find_link_edges,
    keep_spans,
    split_spans,
)
from latimer_server.translation.segment_edges import remove_holes, trim_edges
from latimer_server.translation.segment_form import prepare_segment

# At every so many words in a row that a hyphen divides, the segment ends, so that no segment becomes too long.
_MOST_DIVIDED = 50


# The most code points of a number or formula with objects inside, and the most letters among them. Several small
# letters are a word, unless they are a unit.
_LONGEST_FORMULA, _MOST_LETTERS = 12, 3
_BY_SENTENCE = (Splitting.SENTENCES, Splitting.SENTENCES_ACROSS_LINES)
_UNITS = frozenset(("km", "hm", "dm", "cm", "mm", "nm", "ft", "yd", "mi", "ms"))


@dataclass(frozen=True)
class ParsedContent:
    """A content, with its parsed markup if it has any.

    `attributes`: those of its attributes that are translated, each different value once.
    """

    content: str
    markup: MarkupDocument | None = None
    attributes: tuple[Attribute, ...] = ()

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
    content without tags, and for the value of an attribute, which is `attribute`.
    """

    document: Document
    segments: tuple[ProtectedText, ...]
    block: Block | None = None
    attribute: Attribute | None = None

    @property
    def is_plain(self) -> bool:
        """True for a plain content, in which line breaks and runs of spaces have a meaning."""
        return self.block is None or self.block.format is TextFormat.PLAIN


def parse_content(
    content: str, text_format: TextFormat | None, ignore_tags: Sequence[str], *, reads_attributes: bool = False
) -> ParsedContent:
    """Returns a content with its markup parsed. `text_format` None means plain text, without markup.

    `reads_attributes`: also finds the attributes that people read, in HTML and XML.
    """
    if text_format is None:
        return ParsedContent(content)
    markup = parse_markup(content, text_format, ignore_tags)
    found = find_attributes(content, text_format, ignore_tags) if reads_attributes else ()
    return ParsedContent(content, markup, tuple({attribute.written: attribute for attribute in found}.values()))


def segment_content(
    parsed: ParsedContent, language: str, splitting: Splitting, rules: ProtectionRules, glossary: Glossary | None
) -> tuple[ContentPart, ...]:
    """Returns the parts of a content, in order, each divided into segments with protected spans; attributes last.

    `language` is the language of the content (BCP-47). Raises `PatternError` if the patterns of `rules` take too long.
    """
    rules = rules.share_budget(len(parsed.content))
    if parsed.markup is None:
        return (_divide_plain(parsed.content, None, language, splitting, rules, glossary),)
    parts = [
        _divide_plain(block.text, block, language, splitting, rules, glossary)
        if block.format is TextFormat.PLAIN
        else _divide_block(block, language, splitting, rules, glossary)
        for block in parsed.markup.blocks
    ]
    for attribute in parsed.attributes:
        part = _divide_plain(attribute.value, None, language, splitting, rules, glossary)
        parts.append(replace(part, attribute=attribute))
    return tuple(parts)


def read_tags(parsed: ParsedContent) -> ParsedContent:
    """Returns a plain content with the pairs of tags around its words as markup, if it has any."""
    return replace(parsed, markup=read_inline_tags(parsed.content)) if parsed.markup is None else parsed


def _divide_plain(
    content: str,
    block: Block | None,
    language: str,
    splitting: Splitting,
    rules: ProtectionRules,
    glossary: Glossary | None,
) -> ContentPart:
    """Segments a plain content, or the text of one with tags. No segment ends inside a word that a hyphen divides."""
    objects = list(_find_objects(content)) if block else []
    guarded = protect_text(content, rules, glossary, objects, list(find_glued(block)) if block else ())
    hours = _list_free_hours(content, language, rules)
    guarded = release_hours(guarded, hours)
    structure = _find_structure(content, rules)
    if structure:
        guarded = _cut_protected(guarded, structure)
    kept: Sequence[TextSpan] = guarded.spans
    if splitting is not Splitting.LINES:
        breaks = enumerate(find_divided(content), 1)
        divided = [TextSpan(span.start - 1, span.end + 1) for number, span in breaks if number % _MOST_DIVIDED]
        kept = merge_spans([*kept, *divided]) if divided else kept
    schedules = _find_short_forms(content, language)
    kept = merge_spans([*kept, *schedules]) if schedules else kept
    spans = segment_text(content, splitting, language, kept).spans
    if splitting is not Splitting.NONE:
        escaped = find_breaks(content, guarded.spans) if "\\" in content else ()
        fields = find_fields(content) if '",' in content or ',"' in content else ()
        holes = [*structure, *escaped, *fields]
        parts = remove_holes(content, spans, merge_spans(holes)) if holes else spans
        spans = tuple(trim_edges(content, parts, guarded.spans))
    if splitting in _BY_SENTENCE:
        spans = tuple(join_short(content, spans, kept))
    join = splitting is Splitting.SENTENCES_ACROSS_LINES
    spelled = language if schedules or hours or has_periods(content, language) else ""
    segments = (prepare_segment(segment, join=join, language=spelled) for segment in extract_parts(guarded, spans))
    return ContentPart(Document(content, spans), tuple(segments), block)


def _list_free_hours(text: str, language: str, rules: ProtectionRules) -> list[TextSpan]:
    """Returns the spans of the hours of a text that the caller does not protect; ascending."""
    hours = [TextSpan(edit.start, edit.end) for edit in find_hours(text, language)]
    explicit = rules.find_explicit(text) if hours else ()
    return [hour for hour in hours if not any(span.start < hour.end and hour.start < span.end for span in explicit)]


def _find_short_forms(text: str, language: str) -> list[TextSpan]:
    """Returns the spans of abbreviations that no segment ends inside: days of schedules, words, hours with a zone."""
    return [
        *find_schedules(text, language),
        *find_abbreviations(text, language),
        *find_zoned_hours(text, language),
    ]


def _find_structure(content: str, rules: ProtectionRules) -> list[TextSpan]:
    """Returns the spans that divide segments: the structure of plural and select arguments without the signs `#`.

    The messages in such an argument are segments of their own, because each is a text with another meaning.
    """
    if not rules.builtin and Syntax.ICU not in rules.syntaxes:
        return []
    return [span for span in find_structure(content) if content[span.start] != "#"]


def _cut_protected(guarded: ProtectedText, holes: Sequence[TextSpan]) -> ProtectedText:
    """Returns a text with its protected spans divided at the edges of `holes`, which are in protected spans."""
    edges = sorted({edge for hole in holes for edge in (hole.start, hole.end)})
    spans: list[TextSpan] = []
    replacements: list[str | None] = []
    for span, new in zip(guarded.spans, guarded.replacements or (None,) * len(guarded.spans), strict=True):
        inside = edges[bisect_right(edges, span.start) : bisect_left(edges, span.end)] if new is None else []
        parts = [TextSpan(*edge) for edge in pairwise([span.start, *inside, span.end])]
        spans += parts
        replacements += [new] * len(parts)
    return replace(guarded, spans=tuple(spans), replacements=tuple(replacements) if any(replacements) else ())


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
    objects = list(_find_objects(text))
    glued = list(find_glued(block))
    guarded = protect_text(text, rules, glossary, objects, glued)
    hours = _list_free_hours(text, language, rules)
    guarded = release_hours(guarded, hours)
    cuts: list[int] = []
    if splitting is not Splitting.NONE:
        cuts = sorted({*find_link_edges(block), *keep_spans(text, find_adjacent(block), guarded.spans)})
    if cuts:
        guarded = _protect_parts(guarded, cuts, glued, rules, glossary)
    schedules = _find_short_forms(text, language)
    kept = merge_spans([*guarded.spans, *schedules])
    spans = segment_text(text, splitting, language, kept).spans
    if cuts:
        spans = tuple(split_spans(text, spans, cuts))
    if splitting in _BY_SENTENCE:
        spans = tuple(join_short(text, spans, kept, cuts))
    parts = extract_parts(replace(guarded, text=block.text), spans)
    spelled = language if schedules or hours or has_periods(text, language) else ""
    segments = (prepare_segment(segment, join=True, language=spelled) for segment in parts)
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
        objects = list(_find_objects(text))
        inside = [at - start for at in glued[bisect_right(glued, start) : bisect_left(glued, end)]]
        part = protect_text(text, rules, glossary, objects, inside)
        spans += [TextSpan(start + span.start, start + span.end) for span in part.spans]
        replacements += part.replacements or [None] * len(part.spans)
    return ProtectedText(guarded.text, tuple(spans), tuple(replacements) if any(replacements) else ())


def _find_objects(text: str) -> Iterator[TextSpan]:
    """Yields the spans of the objects of a text. One inside or behind a formula, unit or number is a part of it.

    Examples are the raised and lowered signs of `CO2`, `100°C` and `10²`; behind a word a sign is that of a note.
    """
    position = text.find(OBJECT)
    while position >= 0:
        end = position + 1
        start = end
        while start > 0 and (is_glue(text[start - 1]) or text[start - 1] == OBJECT) and end - start <= _LONGEST_FORMULA:
            start -= 1
        while end < len(text) and (is_glue(text[end]) or text[end] == OBJECT) and end - start <= _LONGEST_FORMULA:
            end += 1
        letters = "".join(character for character in text[start:end] if character.isalpha())
        is_word = letters not in _UNITS if letters.islower() and len(letters) > 1 else len(letters) > _MOST_LETTERS
        if end - start <= _LONGEST_FORMULA and not is_word:
            yield TextSpan(start, end)
        else:
            end = position + 1
            yield TextSpan(position, end)
        position = text.find(OBJECT, end)
