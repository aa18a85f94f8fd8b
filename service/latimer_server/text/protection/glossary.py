"""Finds the terms of a caller's glossary in a text, and protects each with its translation. Pure functions."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from latimer_server.core.spans import TextSpan
from latimer_server.text.markup import LINE_BREAK, OBJECT
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.protection.phrase_matching import PhraseMatcher
from latimer_server.text.protection.rules import ProtectionRules, compile_phrases
from latimer_server.text.protection.spans import merge_spans

# A term in capitals with at most this many letters may be an acronym, so its translation is not put in capitals.
_ACRONYM_LETTERS = 3
# No term reaches across one of these.
_BARRIERS = OBJECT + LINE_BREAK
# Marks beside a term that are protected with it: trade marks, raised numbers of notes, objects of markup.
_MARKS = re.compile(f"[²³¹⁰-₟™℠®©{OBJECT}]*")


@dataclass(frozen=True)
class GlossaryTerm:
    """A term to find in source texts, and its translation."""

    source: str
    target: str
    case_sensitive: bool = False


@dataclass(frozen=True)
class Glossary:
    """The compiled terms of a request; built by `compile_glossary`.

    `exact`: the matcher of all case-sensitive terms. `folded`: that of all others. Each is None without such terms.
    `exact_targets`: the translations by term. `folded_targets`: the translations by term in folded case.
    """

    exact: PhraseMatcher | None = None
    folded: PhraseMatcher | None = None
    exact_targets: Mapping[str, str] = field(default_factory=dict)
    folded_targets: Mapping[str, str] = field(default_factory=dict)

    def find(self, text: str) -> list[tuple[TextSpan, str]]:
        """Returns the spans of the terms in `text`, ascending and disjoint, each with its translation.

        Of two terms that overlap the earlier one counts, or the longer one if both begin at the same place.
        """
        found: list[tuple[TextSpan, str]] = []
        if self.exact is not None:
            spans = self.exact.find(text)
            found += [(span, self.exact_targets[_fold(text[span.start : span.end])]) for span in spans]
        if self.folded is not None:
            for span in self.folded.find(text):
                source = text[span.start : span.end]
                target = self.folded_targets.get(_fold(source).casefold())
                if target is not None:
                    found.append((span, _follow_case(source, target)))
        found.sort(key=lambda term: (term[0].start, -term[0].end))
        disjoint: list[tuple[TextSpan, str]] = []
        for span, target in found:
            if not disjoint or span.start >= disjoint[-1][0].end:
                disjoint.append((span, target))
        return disjoint


def compile_glossary(terms: Sequence[GlossaryTerm]) -> Glossary | None:
    """Returns the glossary of these terms, or None without any.

    Of two terms with equal sources the case-sensitive one counts, else the last one.
    """
    if not terms:
        return None
    exact = {_fold(term.source): term.target for term in terms if term.case_sensitive}
    folded = {_fold(term.source).casefold(): term.target for term in terms if not term.case_sensitive}
    sources = [term.source for term in terms if not term.case_sensitive]
    return Glossary(compile_phrases(exact), compile_phrases(sources, case_sensitive=False), exact, folded)


def protect_text(
    text: str,
    rules: ProtectionRules,
    glossary: Glossary | None = None,
    more: Sequence[TextSpan] = (),
    boundaries: Sequence[int] = (),
) -> ProtectedText:
    """Returns a text in which the spans of the rules, the glossary terms and the spans `more` are protected.

    The replacement of a term's span is its translation; other spans stay. A term that overlaps a protected span is
    ignored, unless it covers a span that is protected by its form only. `boundaries`: see `ProtectionRules.find`.
    """
    spans = rules.find(text, boundaries)
    if more:
        spans = merge_spans([*spans, *more])
    terms = _select_terms(text, glossary, rules, spans) if glossary else []
    if not terms:
        return ProtectedText(text, spans)
    taken = merge_spans([term for term, _ in terms])
    pairs: list[tuple[TextSpan, str | None]] = [(rest, None) for span in spans for rest in _list_rest(taken, span)]
    pairs += terms
    pairs.sort(key=lambda pair: pair[0].start)
    return ProtectedText(text, tuple(span for span, _ in pairs), tuple(target for _, target in pairs))


def _select_terms(
    text: str, glossary: Glossary, rules: ProtectionRules, spans: Sequence[TextSpan]
) -> list[tuple[TextSpan, str]]:
    """Returns the terms of a text that are replaced: those that overlap none of the protected `spans`.

    A term also counts if it is as long as the spans that it overlaps, unless the caller asked for one of these: a word
    such as `iPhone` is protected by its form only. Marks beside it, as in `House®`, stay protected. A term never
    reaches across an object or a line break of markup.
    """
    explicit: tuple[TextSpan, ...] | None = None
    ends = [span.end for span in spans]
    selected = []
    for term, target in glossary.find(text):
        if any(sign in _BARRIERS for sign in text[term.start : term.end]):
            continue
        first = bisect_right(ends, term.start)
        last = first
        while last < len(spans) and spans[last].start < term.end:
            last += 1
        if first < last:
            before, after = text[spans[first].start : term.start], text[term.end : spans[last - 1].end]
            if not _MARKS.fullmatch(before + after):
                continue
            explicit = rules.find_explicit(text) if explicit is None else explicit
            if _overlaps(explicit, term):
                continue
        selected.append((term, target))
    return selected


def _list_rest(terms: Sequence[TextSpan], span: TextSpan) -> Iterator[TextSpan]:
    """Yields the parts of a span before and behind the terms in it. `terms`: ascending, disjoint."""
    first = bisect_right(terms, span.start, key=lambda term: term.end)
    last = bisect_left(terms, span.end, key=lambda term: term.start)
    if first >= last:
        yield span
        return
    if span.start < terms[first].start:
        yield TextSpan(span.start, terms[first].start)
    if terms[last - 1].end < span.end:
        yield TextSpan(terms[last - 1].end, span.end)


def _overlaps(spans: Sequence[TextSpan], span: TextSpan) -> bool:
    """Returns True if a span overlaps one of these ascending, disjoint spans."""
    number = bisect_right(spans, span.start, key=lambda other: other.end)
    return number < len(spans) and spans[number].start < span.end


def _fold(text: str) -> str:
    """Returns a term in composed characters (NFC), with one space for each run of white space and none at its edges."""
    return unicodedata.normalize("NFC", " ".join(text.split()) or text)


def _follow_case(source: str, target: str) -> str:
    """Returns a term's translation in the case that the term has in the text.

    `source`: the term as found. The translation is put in capitals, or gets a large first letter, or stays.
    """
    if source.isupper() and sum(map(str.isalpha, source)) > _ACRONYM_LETTERS:
        return target.upper()
    if source[:1].isupper() and source[1:].islower() and target[:1].islower():
        return target[:1].upper() + target[1:]
    return target
