"""Divides a text into segments, and puts other segments in their place.

The parts of the text before, between and after the segments are separators, which are copied unchanged. Imports no
tokenizer: callers pass a function that returns the token offsets of a text.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

import sentencex

from latimer_server.core.spans import TextSpan
from latimer_server.text.columns import find_columns

# A line break (as in str.splitlines; CR LF is one), and a line break or tab.
_LINE_BREAK = re.compile("\r\n|[\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029]")
_COLUMN_BREAK = re.compile("[\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029\t](?:(?<=\r)\n)?")
_BLANK_LINES = re.compile("(?:(?>\r\n|[\n\r])[^\\S\n\r]*+){2,}|[\v\f\x1c\x1d\x1e\x85\u2029]")
_WHITE_SPACE = re.compile("\\s+")
# Replaces any white space by U+0020 in the text that sentencex gets: a line break inside a block ends no sentence, and
# sentencex panics on a full stop after any other white space.
_AS_SPACES = dict.fromkeys((c for c in range(0x3001) if chr(c).isspace()), " ")
_ODD_SPACE = re.compile("[^\\S ]")
_ORDINAL_SIGNS = ("º", "ª", "°")
# At the edges of a segment, white space, zero-width and direction marks and the byte order mark belong to the
# separator, since a model gains nothing from them. Inside a sentence they stay.
_INVISIBLE = "\u00ad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
_EDGES = re.compile(f"[\\s{_INVISIBLE}]*")
# A text of one line without white space or invisible characters at its edges: `find_lines` returns it whole.
_LINE = re.compile("[!-~\\w](?:[^\t\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029]*[!-~\\w])?")
# The code points that sentencex gets at a time, and the most of a segment. Sentencex holds the interpreter's lock and
# takes quadratic time on some texts, so longer ones would keep the event loop waiting.
_WINDOW = 8_192
# Places where `divide_segment` cuts a segment that is too long, best first: after clause punctuation or a dash, after a
# comma or an opening bracket, after white space.
_CLAUSE_ENDS = (
    re.compile("[.!?…;:。！？；：।؛][\"'”’»)\\]]*+\\s++|[。！？；：]|(?<!\\s)\\s++[–—]\\s++"),
    re.compile("[,،]\\s++|[，、]|(?<!\\s)\\s++[(\\[]"),
    _WHITE_SPACE,
)


class Splitting(Enum):
    """Ways to divide a text into segments; see SentenceSplitting in the contract.

    SENTENCES: into sentences, which also end at each line break, tab and column (see `columns`). NONE: the text is one
    segment. SENTENCES_ACROSS_LINES: into sentences, which go on over single line breaks and tabs and end at blank
    lines. LINES: at each line break, tab and column. All ways divide segments of more than 8,192 code points.
    """

    SENTENCES = "sentences"
    NONE = "none"
    SENTENCES_ACROSS_LINES = "sentences across lines"
    LINES = "lines"


@dataclass(frozen=True)
class Document:
    """A text and the spans of its segments, ascending and disjoint. The text outside the spans is copied unchanged."""

    text: str
    spans: tuple[TextSpan, ...]

    @property
    def segments(self) -> list[str]:
        """The texts of the segments."""
        return [self.text[span.start : span.end] for span in self.spans]


@dataclass(frozen=True)
class Rebuilt:
    """The result of `rebuild_text`: a text with its segments replaced, and the span of each new segment in it."""

    text: str
    spans: tuple[TextSpan, ...]


def segment_text(text: str, splitting: Splitting, language: str, kept: Sequence[TextSpan] = ()) -> Document:
    """Returns `text` with the spans of its segments, which have no white space or invisible characters at their edges.

    `language`: BCP-47 code whose sentence rules apply; unknown ones follow the rules of English. `kept`: spans of the
    text that must not be divided between segments; ascending, disjoint.
    """
    spans: list[TextSpan] = []
    divides = splitting is Splitting.SENTENCES or splitting is Splitting.SENTENCES_ACROSS_LINES
    # Line breaks and tabs are such white space too, so most texts are one block.
    has_spaces_only = text.isprintable() or _ODD_SPACE.search(text) is None
    spaced = text if has_spaces_only or not divides else text.translate(_AS_SPACES)
    is_block = has_spaces_only and "  " not in text
    for block in (TextSpan(0, len(text)),) if is_block else _blocks(text, splitting):
        if divides:
            for span in _sentences(spaced, block, language):
                _append_trimmed(spans, text, span)
        else:
            for span in _cut(text, block):
                _append_trimmed(spans, text, span)
    return Document(text, tuple(_join_across(spans, kept) if kept else spans))


def find_lines(text: str) -> Document:
    """Returns a text with the spans of its lines, as `segment_text` with `Splitting.LINES`, but faster for one line."""
    if "   " not in text and _LINE.fullmatch(text):
        return Document(text, (TextSpan(0, len(text)),))
    return segment_text(text, Splitting.LINES, "")


def _join_across(spans: Sequence[TextSpan], kept: Sequence[TextSpan]) -> Iterator[TextSpan]:
    """Yields the spans of segments such that none ends inside a kept span.

    A segment that cuts a kept span is widened to contain all of it, and joined with the other segments in it.
    """
    ends = [span.end for span in kept]
    joined: TextSpan | None = None
    for span in spans:
        index = bisect_right(ends, span.start)
        start = min(span.start, kept[index].start) if index < len(kept) else span.start
        index = bisect_left(ends, span.end)
        cut = index < len(kept) and kept[index].start < span.end
        end = max(span.end, kept[index].end) if cut else span.end
        if joined and start < joined.end:
            joined = TextSpan(joined.start, max(joined.end, end))
            continue
        if joined:
            yield joined
        joined = TextSpan(start, end)
    if joined:
        yield joined


def rebuild_text(document: Document, segments: Sequence[str], *, join: bool = False) -> Rebuilt:
    """Returns the text of a document with its segments replaced by `segments`, and their spans in the new text.

    The text before, between and after segments stays, but with `join` a line break between two segments becomes a space
    unless a blank line separates them. Raises `ValueError` if the number of segments differs.
    """
    if len(segments) == 1 and document.spans == (TextSpan(0, len(document.text)),):
        return Rebuilt(segments[0], (TextSpan(0, len(segments[0])),))
    parts: list[str] = []
    spans: list[TextSpan] = []
    position = length = 0
    for span, segment in zip(document.spans, segments, strict=True):
        separator = document.text[position : span.start]
        if join and position and not _BLANK_LINES.search(separator):
            separator = join_lines(separator)
        parts += (separator, segment)
        start = length + len(separator)
        length = start + len(segment)
        spans.append(TextSpan(start, length))
        position = span.end
    parts.append(document.text[position:])
    return Rebuilt("".join(parts), tuple(spans))


def join_lines(segment: str) -> str:
    """Returns a segment with each run of white space that contains a line break replaced by one space."""
    return _WHITE_SPACE.sub(lambda run: " " if _LINE_BREAK.search(run[0]) else run[0], segment)


def needs_translation(segment: str) -> bool:
    """Returns True if a segment has at least one letter of any script."""
    return any(character.isalpha() for character in segment)


def divide_segment(
    segment: str, limit: int, token_starts: Callable[[str], Sequence[int]], max_characters: int = 2_000
) -> list[TextSpan]:
    """Returns the spans of the pieces of a segment: at most `limit` tokens and `max_characters` code points each.

    `token_starts`: returns the offset in code points of each token of a text. A piece ends after a clause, else after a
    comma or bracket, else after white space, if one is in the second half of the longest possible piece; else anywhere.
    White space and invisible characters at the edges of pieces are in no piece; all other code points are in one.
    """
    pending = [_trim(segment, TextSpan(0, len(segment)))]
    pieces: list[TextSpan] = []
    while pending:
        span = pending.pop()
        if span.start >= span.end:
            continue
        most = _fitting_end(segment, span, limit, token_starts, max_characters)
        if most >= span.end:
            pieces.append(span)
            continue
        cut = _best_cut(segment, span.start, most)
        pending.append(_trim(segment, TextSpan(cut, span.end)))
        pending.append(_trim(segment, TextSpan(span.start, cut)))
    return pieces


def _blocks(text: str, splitting: Splitting) -> Iterator[TextSpan]:
    if splitting is Splitting.NONE:
        yield TextSpan(0, len(text))
        return
    # A tab or several spaces separate the columns of a table, but indent lines that are wrapped by hand.
    across = splitting is Splitting.SENTENCES_ACROSS_LINES
    pattern = _BLANK_LINES if across else _COLUMN_BREAK
    breaks: Iterable[TextSpan] = (TextSpan(*match.span()) for match in pattern.finditer(text))
    if not across and "  " in text:
        breaks = sorted([*breaks, *find_columns(text)], key=lambda found: found.start)
    position = 0
    for found in breaks:
        yield TextSpan(position, found.start)
        position = found.end
    yield TextSpan(position, len(text))


def _sentences(text: str, block: TextSpan, language: str) -> Iterator[TextSpan]:
    """Yields the spans of the sentences of a block, found in one window of the text after the other.

    The end of a window may cut its last sentence, so the next window begins with that sentence.
    """
    start = block.start
    while start < block.end:
        end = min(start + _WINDOW, block.end)
        bounds = _find_bounds(text, TextSpan(start, end), language)
        if end < block.end:
            # A sentence longer than a window is divided, since no model input has room for it.
            bounds = bounds[:-1] or [TextSpan(start, _best_cut(text, start, end))]
        yield from bounds
        start = max(bounds[-1].end, start + 1) if bounds else end


def _cut(text: str, block: TextSpan) -> Iterator[TextSpan]:
    """Yields the parts of a block that is longer than a window."""
    start = block.start
    while block.end - start > _WINDOW:
        cut = _best_cut(text, start, start + _WINDOW)
        yield TextSpan(start, cut)
        start = cut
    yield TextSpan(start, block.end)


def _find_bounds(text: str, window: TextSpan, language: str) -> list[TextSpan]:
    """Returns the spans of the sentences in a window of the text; the whole window if sentencex panics."""
    try:
        found = sentencex.get_sentence_boundaries(language, text[window.start : window.end])
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001 (pyo3's PanicException derives from BaseException)
        return [window]
    bounds: list[TextSpan] = []
    for item in found:
        start, end = window.start + item["start_index"], window.start + item["end_index"]
        # Sentencex ends a sentence at the full stop of an ordinal number such as `5.º`.
        if bounds and text.startswith(_ORDINAL_SIGNS, start) and text.endswith(".", 0, start):
            start = bounds.pop().start
        bounds.append(TextSpan(start, end))
    return bounds


def _append_trimmed(spans: list[TextSpan], text: str, span: TextSpan) -> None:
    trimmed = _trim(text, span)
    if trimmed.start < trimmed.end:
        spans.append(trimmed)


def _trim(text: str, span: TextSpan) -> TextSpan:
    """Returns the span without the white space and invisible characters at its edges."""
    if span.start < span.end and text[span.start].isalnum():
        last = text[span.end - 1]
        if last in ".!?" or last.isalnum():
            return span
    leading = _EDGES.match(text, span.start, span.end)
    start = leading.end() if leading else span.start
    end = span.end
    while end > start and _EDGES.fullmatch(text, end - 1, end):
        end -= 1
    return TextSpan(start, end)


def _fitting_end(
    segment: str, span: TextSpan, limit: int, token_starts: Callable[[str], Sequence[int]], max_characters: int
) -> int:
    """Returns the offset of the end of the longest piece that begins at `span.start`; `span.end` if everything fits."""
    end = min(span.end, span.start + max_characters)
    starts = token_starts(segment[span.start : end])
    if len(starts) > limit:
        # One code point may yield more tokens than the limit; a piece has at least one code point.
        end = span.start + max(starts[limit], 1)
    return end


def _best_cut(segment: str, start: int, most: int) -> int:
    """Returns the best offset to end a piece that begins at `start` and may reach up to `most` (see `_CLAUSE_ENDS`)."""
    middle = start + (most - start) // 2
    for pattern in _CLAUSE_ENDS:
        ends = [match.end() for match in pattern.finditer(segment, start, most)]
        index = bisect_right(ends, most)
        if index and ends[index - 1] > middle:
            return ends[index - 1]
    return most
