"""Replaces protected spans by masks (symbols that a model copies), and puts the spans back into its output.

`make bench-symbols` measures which symbols a model copies. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from latimer_server.core.spans import TextSpan
from latimer_server.text.alignment import Move
from latimer_server.text.protection.mask_forms import PLURAL_SIGN, MaskForm, choose_symbols
from latimer_server.text.protection.spans import is_glue
from latimer_server.text.segmentation import needs_translation

# Names that the model reads as they are: absolute paths and words with underscores.
_COPIED = re.compile(r"~?/(?!/)[\w./-]{1,63}|(?=\w{3,64}(?:\(\))?\Z)[^\W_]\w*_\w*(?:\(\))?")
# Signs that join the parts of an address or name, so that a word beside one is only a part.
_JOINTS = frozenset("-_/\\.~@#$%:=&+*^|")


@dataclass(frozen=True)
class ProtectedText:
    """A text and its protected spans, which a model must not change: ascending, disjoint, none empty.

    `replacements`: for each span the text that it becomes in the output, None for a span that comes out unchanged; ()
    if all do. `moves`: parts that differ from the text that this one was extracted from, as (span here, span there).
    """

    text: str
    spans: tuple[TextSpan, ...] = ()
    replacements: tuple[str | None, ...] = ()
    moves: tuple[Move, ...] = ()

    @property
    def wanted(self) -> list[str]:
        """For each span the text that must stand for it in the output: its replacement, else its own text."""
        texts = [self.text[span.start : span.end] for span in self.spans]
        if not self.replacements:
            return texts
        return [text if new is None else new for text, new in zip(texts, self.replacements, strict=True)]

    def list_kept(self) -> list[str]:
        """Returns the texts of the protected spans without a replacement, which the output must contain."""
        replacements = self.replacements or (None,) * len(self.spans)
        return [text for text, new in zip(self.wanted, replacements, strict=True) if new is None]

    def needs_model(self) -> bool:
        """Returns True if there is a letter outside the spans, and thus something to translate."""
        return any(needs_translation(self.text[part.start : part.end]) for part in list_unprotected(self))


@dataclass(frozen=True)
class MaskedText:
    """The result of `mask_spans`: the model's input `text`, with a mask for each protected span of `source`.

    `symbols`: the masks, in the order of the source's spans. `spans`: their places in `text`. `glued`: for each span,
    whether it touches a letter or digit before it, and one behind it. A space divides the mask from such a letter.
    `shown`: the masks are the spans themselves, see `show_spans`.
    """

    source: ProtectedText
    text: str
    symbols: tuple[str, ...]
    spans: tuple[TextSpan, ...]
    glued: tuple[tuple[bool, bool], ...]
    shown: bool = False

    @property
    def moves(self) -> list[Move]:
        """For each mask (span of it and its added spaces in `text`, span of the source that it stands for)."""
        return [
            (TextSpan(mask.start - glued[0], mask.end + glued[1]), span)
            for mask, glued, span in zip(self.spans, self.glued, self.source.spans, strict=True)
        ]


@dataclass(frozen=True)
class UnmaskedText:
    """The result of `unmask_spans`: an output of a model with its protected spans put back.

    `guarded`: the new text; its spans are in the order of the source's, so not always ascending. `moves`: for each mask
    (span of it in the model's output, span of the new text that replaces it), ascending.
    """

    guarded: ProtectedText
    moves: tuple[Move, ...] = ()


def mask_spans(guarded: ProtectedText, form: MaskForm) -> MaskedText:
    """Returns the text with each protected span replaced by a mask. `form`: one of `MASK_FORMS`.

    No mask is in the text already. The masks of a template are numbered from 1, or from a higher number.
    """
    parts: list[str] = []
    spans: list[TextSpan] = []
    glued: list[tuple[bool, bool]] = []
    position = length = 0
    symbols = choose_symbols(guarded.text, guarded.spans, guarded.replacements, form)
    for symbol, span in zip(symbols, guarded.spans, strict=True):
        is_glued = _is_glued(guarded.text, span)
        before = guarded.text[position : span.start] + " " * is_glued[0]
        parts += (before, symbol, " " * is_glued[1])
        start = length + len(before)
        length = start + len(symbol) + is_glued[1]
        spans.append(TextSpan(start, start + len(symbol)))
        glued.append(is_glued)
        position = span.end
    parts.append(guarded.text[position:])
    return MaskedText(guarded, "".join(parts), symbols, tuple(spans), tuple(glued))


def show_spans(guarded: ProtectedText) -> MaskedText | None:
    """Returns the text with its protected spans as they are, which a model may copy; None unless all are such names.

    These are paths and words with underscores. Around other names the sentences are better with masks (decision 0098).
    """
    texts = guarded.wanted
    if guarded.replacements or not texts or len(set(texts)) < len(texts):
        return None
    glued = tuple(_is_glued(guarded.text, span) for span in guarded.spans)
    if any(map(any, glued)) or not all(map(_COPIED.fullmatch, texts)):
        return None
    return MaskedText(guarded, guarded.text, tuple(texts), guarded.spans, glued, shown=True)


def unmask_spans(output: str, masked: MaskedText) -> UnmaskedText | None:
    """Returns a model's output with each mask replaced by the text of its span or by the span's replacement.

    Returns None unless the output has each mask exactly once. The spans of the result are in the order of the source's,
    also if the output has another order.
    """
    if not masked.symbols:
        return UnmaskedText(ProtectedText(output))
    found = _find_shown(output, masked) if masked.shown else _find_masks(output, masked.symbols)
    if found is None:
        return None
    texts = dict(zip(masked.symbols, masked.source.wanted, strict=True))
    glued = dict(zip(masked.symbols, masked.glued, strict=True))
    parts: list[str] = []
    placed: dict[str, TextSpan] = {}
    moves: list[Move] = []
    position = length = 0
    for symbol, place in sorted(found.items(), key=lambda pair: pair[1].start):
        is_glued = glued[symbol]
        before = output[position : place.start]
        before = before[:-1] if is_glued[0] and before.endswith(" ") else before
        parts += (before, texts[symbol])
        start = length + len(before)
        length = start + len(texts[symbol])
        placed[symbol] = TextSpan(start, length)
        mask_start = position + len(before)
        position = place.end + (is_glued[1] and output.startswith(" ", place.end))
        moves.append((TextSpan(mask_start, position), placed[symbol]))
    parts.append(output[position:])
    guarded = ProtectedText("".join(parts), tuple(placed[symbol] for symbol in masked.symbols))
    return UnmaskedText(guarded, tuple(moves))


def extract_parts(guarded: ProtectedText, places: Sequence[TextSpan]) -> Iterator[ProtectedText]:
    """Yields the part of a text at each of `places`, with the protected spans in it.

    `places`: ascending; they cut no protected span.
    """
    first = 0
    for place in places:
        while first < len(guarded.spans) and guarded.spans[first].start < place.start:
            first += 1
        last = first
        while last < len(guarded.spans) and guarded.spans[last].start < place.end:
            last += 1
        spans = [TextSpan(span.start - place.start, span.end - place.start) for span in guarded.spans[first:last]]
        yield ProtectedText(guarded.text[place.start : place.end], tuple(spans), guarded.replacements[first:last])
        first = last


def strip_edge_signs(guarded: ProtectedText) -> tuple[TextSpan, ProtectedText]:
    """Returns the text without protected signs at its edges, such as an emoji or a bullet, after its span in `guarded`.

    A model gains nothing from such signs. The white space between them and the rest is left out too. A protected span
    with letters, digits or a replacement is no sign and stays.
    """
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
    """Returns whether a span touches a letter or digit before it, and one behind it."""
    before = span.start > 0 and is_glue(text[span.start - 1])
    return before, span.end < len(text) and is_glue(text[span.end])


def _is_sign(guarded: ProtectedText, number: int) -> bool:
    """Returns True if the protected span at index `number` has no letters, digits or replacement.

    The sign `#` of ICU's plurals stands for a number.
    """
    span = guarded.spans[number]
    if guarded.text[span.start : span.end] == PLURAL_SIGN:
        return False
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
    """Returns the spans of the text before, between and after the protected spans, without empty ones."""
    if not guarded.spans:
        return [TextSpan(0, len(guarded.text))] if guarded.text else []
    edges = [0, *(edge for span in guarded.spans for edge in (span.start, span.end)), len(guarded.text)]
    return [TextSpan(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True) if start < end]


def _find_masks(output: str, symbols: tuple[str, ...]) -> dict[str, TextSpan] | None:
    """Returns the places of the masks in an output; None unless it has each exactly once."""
    found: dict[str, TextSpan] = {}
    for match in _compile_symbols(symbols).finditer(output):
        if match.group() in found:
            return None
        found[match.group()] = TextSpan(*match.span())
    return found if len(found) == len(symbols) else None


def _find_shown(output: str, masked: MaskedText) -> dict[str, TextSpan] | None:
    """Returns the places in an output of the spans that the model read as they are; None unless it has each once."""
    found: dict[str, TextSpan] = {}
    for symbol, span in zip(masked.symbols, masked.spans, strict=True):
        start = output.find(symbol)
        while start >= 0:
            place = TextSpan(start, start + len(symbol))
            if _is_whole(output, place, masked.text, span):
                if symbol in found:
                    return None
                found[symbol] = place
            start = output.find(symbol, start + 1)
    places = sorted(found.values(), key=lambda place: place.start)
    overlap = any(first.end > second.start for first, second in pairwise(places))
    return found if len(found) == len(masked.symbols) and not overlap else None


def _is_whole(output: str, place: TextSpan, source: str, span: TextSpan) -> bool:
    """Returns True if what stands at a place of an output is no part of a longer word, unless it is one in the source.

    `span`: the place in the source.
    """
    before, behind = output[max(0, place.start - 1) : place.start], output[place.end : place.end + 2]
    if before and (is_glue(before) or before in _JOINTS) and before != source[max(0, span.start - 1) : span.start]:
        return False
    joins = bool(behind) and (is_glue(behind[0]) or (behind[0] in _JOINTS and behind[1:].strip() != ""))
    return not joins or behind[0] == source[span.end : span.end + 1]


@lru_cache(maxsize=256)
def _compile_symbols(symbols: tuple[str, ...]) -> re.Pattern[str]:
    """Returns the pattern that matches each of the masks as a separate word or number."""
    return re.compile("|".join(map(_write_pattern, symbols)))


def _write_pattern(symbol: str) -> str:
    if symbol[0].isdigit():
        return rf"(?<![\w.,-]){re.escape(symbol)}(?![\w-]*\w)(?![.,]\d)"
    before = r"(?<![\w-])" if symbol[0].isalnum() or symbol[0] == "_" else ""
    after = r"(?![\w-]*\w)" if symbol[-1].isalnum() else r"(?!\w)" if symbol[-1] == "_" else ""
    return before + re.escape(symbol) + after
