"""Hides protected spans from a model behind symbols that it copies, and puts them back where the symbols came out.

Which symbols a model copies is measured (`make bench-symbols`). Pure; knows no model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from latimer_server.core.spans import TextSpan
from latimer_server.text.alignment import Move, map_span
from latimer_server.text.protection.spans import is_glue
from latimer_server.text.segmentation import join_lines, needs_translation

_WHITE_SPACE = re.compile(r"\s+")
# Forms of symbols, `#` for a number, the most reliable first.
MASK_FORMS = ("T-#", "_#_", "XYZ#", "[#]")


@dataclass(frozen=True)
class ProtectedText:
    """A text and the spans of it that a model must not touch: ascending, disjoint, none empty.

    `replacements`: what comes out in their place, None for a span that comes out as it is; () where all do. `moves`:
    what of the text stood otherwise where it was taken from.
    """

    text: str
    spans: tuple[TextSpan, ...] = ()
    replacements: tuple[str | None, ...] = ()
    moves: tuple[Move, ...] = ()

    @property
    def wanted(self) -> list[str]:
        """What must come out for each span."""
        texts = [self.text[span.start : span.end] for span in self.spans]
        if not self.replacements:
            return texts
        return [text if new is None else new for text, new in zip(texts, self.replacements, strict=True)]

    def needs_model(self) -> bool:
        """Whether anything outside the spans can be translated."""
        return any(needs_translation(self.text[part.start : part.end]) for part in list_unprotected(self))


@dataclass(frozen=True)
class MaskedText:
    """A guarded text with a symbol for each span. `symbols`: one for each, in order. `spans`: where they stand.
    `glued`: whether a span stood close to a letter before it, and behind it, where its symbol has a space."""

    source: ProtectedText
    text: str
    symbols: tuple[str, ...]
    spans: tuple[TextSpan, ...]
    glued: tuple[tuple[bool, bool], ...]

    @property
    def moves(self) -> list[Move]:
        """The symbols, with the spaces that were put at them, and the spans that they stand for."""
        return [
            (TextSpan(symbol.start - close[0], symbol.end + close[1]), span)
            for symbol, close, span in zip(self.spans, self.glued, self.source.spans, strict=True)
        ]


@dataclass(frozen=True)
class UnmaskedText:
    """An output with its spans back, in the order of the source's; `moves`: where their symbols stood."""

    guarded: ProtectedText
    moves: tuple[Move, ...] = ()


def mask_spans(guarded: ProtectedText, form: str) -> MaskedText:
    """Puts a symbol in the place of every span, numbered from 1, or from where the text has no such symbol."""
    first = 1
    while any(_make_symbol(form, first + offset) in guarded.text for offset in range(len(guarded.spans))):
        first += len(guarded.spans) + 7
    parts: list[str] = []
    symbols: list[str] = []
    spans: list[TextSpan] = []
    glued: list[tuple[bool, bool]] = []
    position = length = 0
    for offset, span in enumerate(guarded.spans):
        symbol = _make_symbol(form, first + offset)
        close = _is_glued(guarded.text, span)
        before = guarded.text[position : span.start] + " " * close[0]
        parts += (before, symbol, " " * close[1])
        start = length + len(before)
        length = start + len(symbol) + close[1]
        symbols.append(symbol)
        spans.append(TextSpan(start, start + len(symbol)))
        glued.append(close)
        position = span.end
    parts.append(guarded.text[position:])
    return MaskedText(guarded, "".join(parts), tuple(symbols), tuple(spans), tuple(glued))


def unmask_spans(output: str, shielded: MaskedText) -> UnmaskedText | None:
    """The output with the spans in the place of their symbols; None unless each came out exactly once.

    The spans of the result are in the order of the source's, wherever they stand.
    """
    if not shielded.symbols:
        return UnmaskedText(ProtectedText(output))
    found: dict[str, re.Match[str]] = {}
    wanted = frozenset(shielded.symbols)
    for match in _find_any(shielded.symbols[0]).finditer(output):
        if match.group() not in wanted:
            continue
        if match.group() in found:
            return None
        found[match.group()] = match
    if len(found) < len(wanted):
        return None
    texts = dict(zip(shielded.symbols, shielded.source.wanted, strict=True))
    glued = dict(zip(shielded.symbols, shielded.glued, strict=True))
    parts: list[str] = []
    placed: dict[str, TextSpan] = {}
    moves: list[Move] = []
    position = length = 0
    for symbol, match in sorted(found.items(), key=lambda pair: pair[1].start()):
        close = glued[symbol]
        before = output[position : match.start()]
        before = before[:-1] if close[0] and before.endswith(" ") else before
        parts += (before, texts[symbol])
        start = length + len(before)
        length = start + len(texts[symbol])
        placed[symbol] = TextSpan(start, length)
        moved = position + len(before)
        position = match.end() + (close[1] and output.startswith(" ", match.end()))
        moves.append((TextSpan(moved, position), placed[symbol]))
    parts.append(output[position:])
    guarded = ProtectedText("".join(parts), tuple(placed[symbol] for symbol in shielded.symbols))
    return UnmaskedText(guarded, tuple(moves))


def extract_parts(guarded: ProtectedText, places: Sequence[TextSpan], *, join: bool = False) -> Iterator[ProtectedText]:
    """Parts of a guarded text, ascending, none of which cuts a span. With `join`, line breaks outside the spans become
    spaces."""
    first = 0
    for place in places:
        while first < len(guarded.spans) and guarded.spans[first].start < place.start:
            first += 1
        last = first
        while last < len(guarded.spans) and guarded.spans[last].start < place.end:
            last += 1
        spans = [TextSpan(span.start - place.start, span.end - place.start) for span in guarded.spans[first:last]]
        part = ProtectedText(guarded.text[place.start : place.end], tuple(spans), guarded.replacements[first:last])
        yield _join_lines(part) if join else part
        first = last


def _join_lines(guarded: ProtectedText) -> ProtectedText:
    """The text with each line break outside the spans, and the white space around it, as one space."""
    parts: list[str] = []
    moves: list[Move] = []
    position = length = 0
    for part in list_unprotected(guarded):
        for run in _WHITE_SPACE.finditer(guarded.text, part.start, part.end):
            if (joined := join_lines(run.group())) != run.group():
                parts += (guarded.text[position : run.start()], joined)
                length += run.start() - position
                moves.append((TextSpan(length, length + len(joined)), TextSpan(*run.span())))
                length, position = length + len(joined), run.end()
    parts.append(guarded.text[position:])
    back = [(old, new) for new, old in moves]
    moved = tuple(map_span(back, span) for span in guarded.spans)
    return ProtectedText("".join(parts), moved, guarded.replacements, tuple(moves))


def strip_edge_signs(guarded: ProtectedText) -> tuple[TextSpan, ProtectedText]:
    """The text without the spans at its edges that are signs only (an emoji, a bullet), and where it stood: to a model
    they say nothing. What is to be replaced stays."""
    text, spans = guarded.text, guarded.spans
    start, end, first, last = 0, len(text), 0, len(spans)
    while first < last and _is_blank(text, start, spans[first].start) and _is_sign(guarded, first):
        start, first = _skip_spaces(text, spans[first].end), first + 1
    while first < last and _is_blank(text, spans[last - 1].end, end) and _is_sign(guarded, last - 1):
        last -= 1
        end = _skip_spaces_back(text, start, spans[last].start)
    moved = tuple(TextSpan(span.start - start, span.end - start) for span in spans[first:last])
    return TextSpan(start, end), ProtectedText(text[start:end], moved, guarded.replacements[first:last])


def _is_glued(text: str, span: TextSpan) -> tuple[bool, bool]:
    before = span.start > 0 and is_glue(text[span.start - 1])
    return before, span.end < len(text) and is_glue(text[span.end])


def _is_sign(guarded: ProtectedText, number: int) -> bool:
    span = guarded.spans[number]
    replaced = bool(guarded.replacements) and guarded.replacements[number] is not None
    return not replaced and not any(character.isalnum() for character in guarded.text[span.start : span.end])


def _is_blank(text: str, start: int, end: int) -> bool:
    return _skip_spaces(text, start) >= end


def _skip_spaces(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _skip_spaces_back(text: str, start: int, position: int) -> int:
    while position > start and text[position - 1].isspace():
        position -= 1
    return position


def list_unprotected(guarded: ProtectedText) -> list[TextSpan]:
    """What lies between the spans, empty ones left out."""
    if not guarded.spans:
        return [TextSpan(0, len(guarded.text))] if guarded.text else []
    edges = [0, *(edge for span in guarded.spans for edge in (span.start, span.end)), len(guarded.text)]
    return [TextSpan(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True) if start < end]


def _make_symbol(form: str, number: int) -> str:
    return form.replace("#", str(number))


@lru_cache(maxsize=32)
def _compile_form(form: str) -> re.Pattern[str]:
    before = r"(?<![\w-])" if form[0].isalnum() or form[0] == "_" else ""
    after = r"(?![\w-]*\w)" if form[-1] == "#" else (r"(?!\w)" if form[-1] == "_" else "")
    return re.compile(before + re.escape(form).replace(r"\#", r"\d+") + after)


def _find_any(symbol: str) -> re.Pattern[str]:
    """The pattern of all symbols of this one's form."""
    return _compile_form(re.sub(r"\d+", "#", symbol))
