"""What is written instead of characters that a model's vocabulary lacks, before it would read them as unknown.

The rule: spaces of any width become a space, hyphens and dashes `-`, quotation marks and apostrophes of any shape `"`
and `'`, an ellipsis three full stops; what nobody sees goes; anything else becomes its compatibility form (Unicode
Annex 15, NFKC) where the model knows that. What is left is protected. Pure; what a model knows is told to it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from latimer_server.core.spans import TextSpan
from latimer_server.text.alignment import Move, map_span
from latimer_server.text.protection.masking import ProtectedText, list_unprotected
from latimer_server.text.protection.spans import merge_spans, widen_span

IsKnown = Callable[[str], bool]

_WRITTEN: dict[str, str] = {
    **dict.fromkeys(
        "\t\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "
    ),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d", "-"),
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u02bc\u00b4\u2035\u2039\u203a\u0060", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb\u2036\u301d\u301e", '"'),
    "\u2026": "...",
}


# Nobody sees them, and tokenizers read some as spaces. Joiners say something in scripts that need them: those stay
# where the vocabulary has them.
_UNSEEN = frozenset(
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180e\u200b\u200e\u200f\u202a\u202b\u202c"
    "\u202d\u202e\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\u206a\u206b\u206c\u206d\u206e\u206f\ufeff\ufe0e\ufe0f"
)
_WRITTEN |= dict.fromkeys("\u200c\u200d", "")
_QUOTE = '"'
# Of what is written so, what is a quotation mark and no prime.
_QUOTES = frozenset("\u201c\u201d\u201e\u201f\u00ab\u00bb\u301d\u301e")


@dataclass(frozen=True)
class Normalized:
    """A text as a model can read it. `moves`: what is written otherwise than in the source, and where that stands
    there. `spans`: where the source's protected spans stand now, each by itself."""

    guarded: ProtectedText
    moves: tuple[Move, ...]
    spans: tuple[TextSpan, ...]


def normalize_text(guarded: ProtectedText, is_known: IsKnown) -> Normalized:
    """The text with no character outside the protected spans that the model does not know, what cannot be written
    otherwise being protected, with the word that it stands in."""
    text = guarded.text
    protected = [False] * len(text)
    for span in guarded.spans:
        protected[span.start : span.end] = [True] * (span.end - span.start)
    written: list[str] = []
    moves: list[Move] = []
    unknown: list[TextSpan] = []
    position = index = 0
    while index < len(text):
        end = index + 1
        while end < len(text) and unicodedata.combining(text[end]) and not protected[end]:
            end += 1
        cluster = text[index:end]
        new = cluster if protected[index] else write_cluster(cluster, is_known)
        if new is None:
            new = cluster
            unknown.append(TextSpan(position, position + len(new)))
        written.append(new)
        if new != cluster:
            moves.append((TextSpan(position, position + len(new)), TextSpan(index, end)))
        position += len(new)
        index = end
    back = [(old, new) for new, old in moves]
    moved = tuple(map_span(back, span) for span in guarded.spans)
    known = protect_more(ProtectedText("".join(written), moved, guarded.replacements), unknown)
    return Normalized(known, tuple(moves), moved)


def write_cluster(cluster: str, is_known: IsKnown) -> str | None:
    """How a character, with the marks on it, is written for a model; None where it knows none of the ways."""
    if cluster in _UNSEEN:
        return ""
    composed = unicodedata.normalize("NFC", cluster)
    if all(map(is_known, composed)):
        return cluster
    for candidate in (_WRITTEN.get(cluster), unicodedata.normalize("NFKC", cluster), _WRITTEN.get(composed)):
        if candidate is not None and all(map(is_known, candidate)):
            return candidate
    return None


def find_quotes(text: str, place: TextSpan, known: Normalized) -> str:
    """The quotation marks of `text` (what was normalised) that are written as `"` in `place` of what it became, in
    their order; "" where they are not pairs of one kind, such as `“…”`, or some of them were `"` from the beginning.

    Marks of several kinds may change places in a translation, and a prime is an inch: those stay as they come.
    """
    marks = [
        text[old.start : old.end]
        for new, old in known.moves
        if place.start <= new.start < place.end and text[old.start : old.end] in _QUOTES
    ]
    opening, closing = set(marks[::2]), set(marks[1::2])
    if len(opening) != 1 or len(closing) != 1 or len(marks) % 2:
        return ""
    return "".join(marks) if _count_quotes(known.guarded, place) == len(marks) else ""


def restore_quotes(guarded: ProtectedText, quotes: str) -> ProtectedText:
    """An output with `quotes` for its `"`, where it has as many outside its spans: the marks come out as they were
    written. As long as it was, so that every span stays where it is."""
    if not quotes or _count_quotes(guarded, TextSpan(0, len(guarded.text))) != len(quotes):
        return guarded
    characters = list(guarded.text)
    marks = iter(quotes)
    for part in list_unprotected(guarded):
        for index in range(part.start, part.end):
            if characters[index] == _QUOTE:
                characters[index] = next(marks)
    return ProtectedText("".join(characters), guarded.spans, guarded.replacements)


def _count_quotes(guarded: ProtectedText, place: TextSpan) -> int:
    """How many `"` stand in a place, protected spans left out."""
    return sum(
        guarded.text.count(_QUOTE, max(part.start, place.start), max(part.start, place.start, min(part.end, place.end)))
        for part in list_unprotected(guarded)
    )


def protect_more(guarded: ProtectedText, spans: Sequence[TextSpan]) -> ProtectedText:
    """The same with these spans (ascending) protected too, letters with the word that they stand in. A span that is to
    be replaced stays what it is."""
    if not spans:
        return guarded
    replaced = guarded.replacements or (None,) * len(guarded.spans)
    fixed = [(span, new) for span, new in zip(guarded.spans, replaced, strict=True) if new is not None]
    plain = [span for span, new in zip(guarded.spans, replaced, strict=True) if new is None]
    more = _subtract(list(_widen_all(guarded.text, spans)), [span for span, _ in fixed])
    merged = merge_spans([*plain, *more])
    if not fixed:
        return ProtectedText(guarded.text, merged)
    every: list[tuple[TextSpan, str | None]] = [*((span, None) for span in merged), *fixed]
    every.sort(key=lambda one: one[0].start)
    return ProtectedText(guarded.text, tuple(span for span, _ in every), tuple(new for _, new in every))


def _widen_all(text: str, spans: Sequence[TextSpan]) -> Iterator[TextSpan]:
    """Each span with its word, once for a word."""
    end = 0
    for span in spans:
        if span.end > end:
            wide = widen_span(text, span) if span.start >= end and text[span.start].isalnum() else span
            yield wide
            end = max(wide.end, span.end)


def _subtract(spans: Sequence[TextSpan], others: Sequence[TextSpan]) -> list[TextSpan]:
    """What of the spans is in none of the others; both ascending and disjoint."""
    left: list[TextSpan] = []
    index = 0
    for span in spans:
        start = span.start
        while index < len(others) and others[index].end <= start:
            index += 1
        place = index
        while place < len(others) and others[place].start < span.end:
            if start < others[place].start:
                left.append(TextSpan(start, others[place].start))
            start = max(start, others[place].end)
            place += 1
        if start < span.end:
            left.append(TextSpan(start, span.end))
    return left
