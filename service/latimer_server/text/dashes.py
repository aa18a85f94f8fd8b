"""Writes dashes between clauses as models read them, and puts the dashes of the source into the translation.

The vocabularies of students lack dashes. A dash without spaces would become a hyphen, which makes one word of two. So
such a dash becomes a hyphen with spaces, which the models copy. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from latimer_server.core.spans import TextSpan
from latimer_server.text.alignment import Move, map_span
from latimer_server.text.protection.masking import ProtectedText, list_unprotected

# A dash that divides clauses: em dashes or horizontal bars, or two hyphens of a typewriter. Two hyphens count between
# two words or between spaces only, so that `--option` and `a -> b` are none. An en dash without spaces is not one: it
# joins words (`London–Paris`) and figures.
_CLAUSE_DASH = re.compile(
    "(?P<dash>[\u2014\u2015]++)"
    "|(?<=[^\\W\\d_][^\\W\\d_])--(?=[^\\W\\d_]{2})|(?<=[^\\W_][\"'”’»)])--(?=[^\\W_])|(?<=\\s)--(?=\\s)"
)
_HYPHEN = "-"
# A hyphen or two between spaces, which stands for a dash in the text that a model reads and in its output.
_SPACED_HYPHEN = re.compile("(?<!\\S)--?(?!\\S)")
# Two words or figures, also with a currency sign, with a hyphen between them; the second one is not consumed.
_JOINED = re.compile("(?<!\\w)(\\w++)-(?=(?:R?[$€£¥])?(\\w++))")
# Dashes that join words or figures: the figure dash and the en dash.
_JOINING = frozenset("\u2012\u2013")


@dataclass(frozen=True)
class SourceDash:
    """A dash of a source: as it was written, and as the model reads it (`-`, with the spaces that were added)."""

    text: str
    written: str


@dataclass(frozen=True)
class SourceDashes:
    """The dashes of a source whose model input has hyphens instead, for `restore_dashes`.

    `clause`: for each hyphen between spaces in the model input, in order, its dash, or None if the source has a hyphen.
    `joined`: the pairs of words with a dash between them, by their two words. `figures`: the dash of all ranges of
    figures; "" if the source has none or also has such ranges with a hyphen.
    """

    clause: tuple[SourceDash | None, ...] = ()
    joined: tuple[tuple[tuple[str, str], str], ...] = ()
    figures: str = ""


def find_clause_dashes(text: str) -> Iterator[tuple[TextSpan, str]]:
    """Yields the span of each dash between clauses, and the hyphen with the spaces that it needs beside it.

    Takes linear time.
    """
    for match in _CLAUSE_DASH.finditer(text):
        start, end = match.span()
        before = " " if start and not text[start - 1].isspace() else ""
        after = " " if end < len(text) and not text[end].isspace() else ""
        yield TextSpan(start, end), before + _HYPHEN + after


def has_double_hyphen(text: str) -> bool:
    """Returns True if two hyphens stand for a dash in a text. Most texts need one search for this."""
    return "--" in text and any(match["dash"] is None for match in _CLAUSE_DASH.finditer(text))


def collect_dashes(source: str, known: ProtectedText, moves: Sequence[Move], place: TextSpan) -> SourceDashes:
    """Returns the dashes of `source` that became hyphens in the part `place` of `known`, the model's input.

    `moves`: the replaced parts as (span of `known`, span of `source`), ascending.
    """
    by_hyphen = {
        new.start + known.text[new.start : new.end].find(_HYPHEN): (new, old)
        for new, old in moves
        if _HYPHEN in known.text[new.start : new.end]
    }
    if not by_hyphen:
        return SourceDashes()
    clause: list[SourceDash | None] = []
    joined: list[tuple[tuple[str, str], str]] = []
    ranges: set[str] = set()
    for part in list_unprotected(known):
        start, end = max(part.start, place.start), min(part.end, place.end)
        for match in _SPACED_HYPHEN.finditer(known.text, start, max(start, end)):
            new, old = by_hyphen.get(match.start(), (None, None))
            dash = new and old and SourceDash(source[old.start : old.end], known.text[new.start : new.end])
            clause.append(dash or None)
        for match in _JOINED.finditer(known.text, start, max(start, end)):
            _, old = by_hyphen.get(match.end(1), (None, None))
            sign = source[old.start : old.end] if old else _HYPHEN
            if sign in _JOINING:
                joined.append(((match[1], match[2]), sign))
            if _is_range(match):
                ranges.add(sign)
    figures = ranges.pop() if len(ranges) == 1 else ""
    return SourceDashes(tuple(clause), tuple(joined), figures if figures in _JOINING else "")


def restore_dashes(guarded: ProtectedText, dashes: SourceDashes) -> tuple[ProtectedText, tuple[Move, ...]]:
    """Returns a translation with the dashes of its source, and the moves (span of `guarded`, span of the result).

    Hyphens between spaces become the dashes of the source in their order, with the spaces of the source, if there are
    as many; or if there are fewer and all dashes are alike. Otherwise they stay. A hyphen between the same two words as
    in the source becomes their dash, and one between two figures the dash of all ranges of the source. Protected spans
    stay.
    """
    text = guarded.text
    edits: list[tuple[TextSpan, str]] = []
    parts = list_unprotected(ProtectedText(text, tuple(sorted(guarded.spans, key=lambda span: span.start))))
    hyphens = [match.span() for part in parts for match in _SPACED_HYPHEN.finditer(text, part.start, part.end)]
    clause = dashes.clause
    if len(hyphens) < len(clause) and len(set(clause)) == 1:
        clause = clause[: len(hyphens)]
    if len(hyphens) == len(clause):
        edits += [
            (_widen(text, TextSpan(*span), dash), dash.text) for span, dash in zip(hyphens, clause, strict=True) if dash
        ]
    joined = dict(dashes.joined)
    if joined or dashes.figures:
        for part in parts:
            for match in _JOINED.finditer(text, part.start, part.end):
                sign = joined.get((match[1], match[2])) or (dashes.figures if _is_range(match) else "")
                if sign:
                    edits.append((TextSpan(match.end(1), match.end(1) + 1), sign))
    if not edits:
        return guarded, ()
    return _edit(guarded, sorted(edits, key=lambda edit: edit[0].start))


def _is_range(match: re.Match[str]) -> bool:
    return match[1][-1].isdigit() and match[2][0].isdigit()


def _widen(text: str, span: TextSpan, dash: SourceDash) -> TextSpan:
    """Returns the span of a hyphen with the spaces beside it that its dash in the source does not have."""
    before = dash.written.startswith(" ") and text[max(span.start - 1, 0) : span.start] == " "
    after = dash.written.endswith(" ") and text[span.end : span.end + 1] == " "
    return TextSpan(span.start - before, span.end + after)


def _edit(guarded: ProtectedText, edits: Sequence[tuple[TextSpan, str]]) -> tuple[ProtectedText, tuple[Move, ...]]:
    """Returns a text with parts replaced, and the moves. `edits`: ascending, disjoint, outside the protected spans."""
    parts: list[str] = []
    moves: list[Move] = []
    position = length = 0
    for span, new in edits:
        parts += (guarded.text[position : span.start], new)
        length += span.start - position + len(new)
        moves.append((span, TextSpan(length - len(new), length)))
        position = span.end
    parts.append(guarded.text[position:])
    moved = tuple(map_span(moves, span) for span in guarded.spans)
    return ProtectedText("".join(parts), moved, guarded.replacements), tuple(moves)
