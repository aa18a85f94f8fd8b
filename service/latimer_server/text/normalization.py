"""Replaces characters that a model's vocabulary lacks, which the model would read as unknown tokens.

A space of any width becomes a space, a hyphen or dash `-`, a quotation mark or apostrophe of any shape `"` or `'`, an
ellipsis three full stops. A dash between clauses gets spaces on both sides (see `dashes`). Any other character becomes
its compatibility form (NFKC, Unicode Annex 15) if the model knows that, and is protected otherwise. Invisible
characters are always dropped. Pure functions; callers pass the test for known characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from latimer_server.core.spans import TextSpan
from latimer_server.text.alignment import Move, map_span
from latimer_server.text.dashes import find_clause_dashes
from latimer_server.text.protection.masking import ProtectedText, list_unprotected
from latimer_server.text.protection.spans import merge_spans, widen_span

# A function that returns True if a character is in the model's vocabulary.
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

# Invisible characters, which are dropped from the model's input, since tokenizers read some of them as spaces.
# Zero-width joiners are not listed: some scripts need them, so they are dropped only if the vocabulary lacks them.
_UNSEEN = frozenset(
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180e\u200b\u200e\u200f\u202a\u202b\u202c"
    "\u202d\u202e\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\u206a\u206b\u206c\u206d\u206e\u206f\ufeff\ufe0e\ufe0f"
)
_WRITTEN |= dict.fromkeys("\u200c\u200d", "")
# A word in capitals or any other word of letters.
_WORD = re.compile(r"[^\W\d_]++")
# Capitals with fewer letters than this are seldom an ordinary word.
_LEAST_CAPITALS = 3
_QUOTE = '"'
# Quotation marks that become `"` and are put back into the output. Primes become `"` too, but mean inches or minutes.
_QUOTES = frozenset("\u201c\u201d\u201e\u201f\u00ab\u00bb\u301d\u301e")


@dataclass(frozen=True)
class Normalized:
    """The result of `normalize_text`: a text whose unprotected characters are all in the model's vocabulary.

    `guarded`: the new text with the protected spans of the source and the newly protected ones; those that touch are
    merged. `moves`: replaced parts as (span of the new text, span of the source). `spans`: the places in the new text
    of the source's protected spans alone, one for each.
    """

    guarded: ProtectedText
    moves: tuple[Move, ...]
    spans: tuple[TextSpan, ...]


def normalize_text(guarded: ProtectedText, is_known: IsKnown, *, respells_capitals: bool = False) -> Normalized:
    """Returns a text in which every unknown character outside the protected spans is replaced or protected.

    A character and its combining marks are replaced together. A character without a known replacement is protected
    together with its word. Two hyphens that stand for a dash between clauses are replaced too, though they are known.
    `respells_capitals`: the language has words that begin with accented capitals, so that these are written in another
    way (see `write_capital`) if they are unknown.
    """
    text = guarded.text
    protected = [False] * len(text)
    for span in guarded.spans:
        protected[span.start : span.end] = [True] * (span.end - span.start)
    dashes = {
        span.start: (span.end, new)
        for span, new in find_clause_dashes(text)
        if not any(protected[span.start : span.end]) and _replaces_dash(text[span.start], is_known)
    }
    written: list[str] = []
    moves: list[Move] = []
    unknown: list[TextSpan] = []
    position = index = 0
    begun = False
    while index < len(text):
        end, dash = dashes.get(index, (index + 1, None))
        while end < len(text) and unicodedata.combining(text[end]) and not protected[end]:
            end += 1
        cluster = text[index:end]
        new = dash or (cluster if protected[index] else write_cluster(cluster, is_known))
        if new is None and respells_capitals:
            begins_text = not begun and not text[end : end + 1].isupper()
            new = write_capital(cluster, is_known, begins_text=begins_text)
        begun = begun or cluster[0].isalnum()
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


def _replaces_dash(sign: str, is_known: IsKnown) -> bool:
    """Returns True if a dash that begins with `sign` becomes a hyphen, because the model knows that sign only."""
    return is_known("-") and is_known(" ") and (sign == "-" or not is_known(sign))


def write_cluster(cluster: str, is_known: IsKnown) -> str | None:
    """Returns a character and its combining marks, written in characters that the model knows.

    Returns "" for an invisible character, and None if neither the character nor a replacement of it is known.
    """
    if cluster in _UNSEEN:
        return ""
    composed = unicodedata.normalize("NFC", cluster)
    if all(map(is_known, composed)):
        return cluster
    for candidate in (_WRITTEN.get(cluster), unicodedata.normalize("NFKC", cluster), _WRITTEN.get(composed)):
        if candidate is not None and all(map(is_known, candidate)):
            return candidate
    return None


def write_capital(cluster: str, is_known: IsKnown, *, begins_text: bool) -> str | None:
    """Returns a capital letter in another known form: small at the beginning of a text, else without its accents.

    Vocabularies lack capitals such as `À` and `Ú`. Words that begin a text are seldom names; a name keeps its capital
    without the accent. Returns None if the character is no capital or has no such form.
    """
    composed = unicodedata.normalize("NFC", cluster)
    if len(composed) != 1 or not composed.isupper():
        return None
    forms = (composed.lower(), unicodedata.normalize("NFD", composed)[0])
    return next((form for form in (forms if begins_text else forms[::-1]) if all(map(is_known, form))), None)


def lower_capitals(guarded: ProtectedText, is_known: IsKnown) -> ProtectedText:
    """Returns a text in which words in capitals are in small letters, behind the first, if the model lacks a capital.

    `OPÇÕES` becomes `Opções` if `Õ` is unknown and `õ` is known: without its accents it is another word or none.
    Protected spans and the length of the text stay.
    """

    def lower(match: re.Match[str]) -> str:
        word = match.group()
        lowered = word[0] + word[1:].lower()
        if len(word) < _LEAST_CAPITALS or not word.isupper() or all(map(is_known, word[1:])):
            return word
        return lowered if len(lowered) == len(word) and all(map(is_known, lowered[1:])) else word

    text = list(guarded.text)
    for part in list_unprotected(guarded):
        text[part.start : part.end] = _WORD.sub(lower, guarded.text[part.start : part.end])
    return replace(guarded, text="".join(text))


def begins_with_small_capital(source: str, known: Normalized) -> bool:
    """Returns True if the first letter of the source is a capital that became small by `write_capital`."""
    for new, old in known.moves:
        written, letter = known.guarded.text[new.start : new.end], source[old.start : old.end]
        if letter.isupper() and written == unicodedata.normalize("NFC", letter).lower():
            return not any(character.isalnum() for character in source[: old.start])
    return False


def capitalize_first(guarded: ProtectedText) -> ProtectedText:
    """Returns a text whose first letter or digit is a capital, unless it is a digit or in a protected span."""
    text = guarded.text
    place = next((index for index, character in enumerate(text) if character.isalnum()), None)
    if place is None or any(span.start <= place < span.end for span in guarded.spans):
        return guarded
    capital = text[place].upper()
    return replace(guarded, text=text[:place] + capital + text[place + 1 :]) if len(capital) == 1 else guarded


def find_quotes(text: str, place: TextSpan, known: Normalized) -> str:
    """Returns the quotation marks of the source that became `"` in a part of the normalized text, as one string.

    `text`: the source. `place`: a span of the normalized text. The marks are in the order of the source, for
    `restore_quotes`. Returns "" unless they are pairs of one kind, such as `“…”`, and no other `"` is in the place:
    marks of several kinds may change places in a translation, and a prime means inches.
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
    """Returns a translation with each `"` outside its protected spans replaced by the next character of `quotes`.

    `quotes`: the result of `find_quotes`. The translation is unchanged if it has more or fewer `"` than that. Its
    length never changes, so all spans stay valid.
    """
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
    """Returns the number of `"` in the span `place` of a text, without those inside protected spans."""
    return sum(
        guarded.text.count(_QUOTE, max(part.start, place.start), max(part.start, place.start, min(part.end, place.end)))
        for part in list_unprotected(guarded)
    )


def protect_more(guarded: ProtectedText, spans: Sequence[TextSpan]) -> ProtectedText:
    """Returns the text with further spans protected. `spans`: ascending; they may overlap protected spans.

    A new span that begins with a letter or digit is widened to its word. Protected spans with a replacement stay as
    they are; others are merged with new spans that touch them.
    """
    if not spans:
        return guarded
    replacements = guarded.replacements or (None,) * len(guarded.spans)
    replaced = [(span, new) for span, new in zip(guarded.spans, replacements, strict=True) if new is not None]
    kept = [span for span, new in zip(guarded.spans, replacements, strict=True) if new is None]
    more = _subtract(list(_widen_all(guarded.text, spans)), [span for span, _ in replaced])
    merged = merge_spans([*kept, *more])
    if not replaced:
        return ProtectedText(guarded.text, merged)
    pairs: list[tuple[TextSpan, str | None]] = [*((span, None) for span in merged), *replaced]
    pairs.sort(key=lambda pair: pair[0].start)
    return ProtectedText(guarded.text, tuple(span for span, _ in pairs), tuple(new for _, new in pairs))


def _widen_all(text: str, spans: Sequence[TextSpan]) -> Iterator[TextSpan]:
    """Yields the spans, each widened to its word if it begins with a letter or digit.

    Skips a span inside a word that was already yielded.
    """
    end = 0
    for span in spans:
        if span.end > end:
            wide = widen_span(text, span) if span.start >= end and text[span.start].isalnum() else span
            yield wide
            end = max(wide.end, span.end)


def _subtract(spans: Sequence[TextSpan], others: Sequence[TextSpan]) -> list[TextSpan]:
    """Returns the parts of `spans` that no span of `others` covers. Both are ascending and disjoint."""
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
