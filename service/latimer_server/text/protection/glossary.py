"""A caller's terms and their translations, found in any text. Pure; knows no model."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from latimer_server.core.spans import TextSpan
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.protection.rules import ProtectionRules, compile_phrases, find_words
from latimer_server.text.protection.spans import merge_spans

# What has no more letters and is in capitals may be so because it always is.
_ACRONYM_LETTERS = 3


@dataclass(frozen=True)
class GlossaryTerm:
    """What stands in the source, and what shall stand in the translation."""

    source: str
    target: str
    case_sensitive: bool = False


@dataclass(frozen=True)
class Glossary:
    """Terms, ready to be found. Make it with `compile_glossary`; where two begin at one place the longer one counts."""

    exact: Any = None
    folded: Any = None
    exact_targets: Mapping[str, str] = field(default_factory=dict)
    folded_targets: Mapping[str, str] = field(default_factory=dict)

    def find(self, text: str) -> list[tuple[TextSpan, str]]:
        """The terms in `text`, ascending, disjoint, each with what shall stand in its place."""
        found: list[tuple[TextSpan, str]] = []
        if self.exact is not None:
            spans = find_words(self.exact, text)
            found += [(span, self.exact_targets[_fold(text[span.start : span.end])]) for span in spans]
        if self.folded is not None:
            for span in find_words(self.folded, text):
                source = text[span.start : span.end]
                target = self.folded_targets.get(_fold(source).casefold())
                if target is not None:
                    found.append((span, _follow_case(source, target)))
        found.sort(key=lambda one: (one[0].start, -one[0].end))
        disjoint: list[tuple[TextSpan, str]] = []
        for span, target in found:
            if not disjoint or span.start >= disjoint[-1][0].end:
                disjoint.append((span, target))
        return disjoint


def compile_glossary(terms: Sequence[GlossaryTerm]) -> Glossary | None:
    """The glossary of these terms; of two for one source text the last counts. None without any."""
    if not terms:
        return None
    exact = {_fold(term.source): term.target for term in terms if term.case_sensitive}
    folded = {_fold(term.source).casefold(): term.target for term in terms if not term.case_sensitive}
    sources = [term.source for term in terms if not term.case_sensitive]
    return Glossary(compile_phrases(exact), compile_phrases(sources, case_sensitive=False), exact, folded)


def protect_text(
    text: str, rules: ProtectionRules, glossary: Glossary | None = None, more: Sequence[TextSpan] = ()
) -> ProtectedText:
    """A text with what must come out of it unchanged (`more` too), or as a term's translation; what is protected is no
    term."""
    spans = rules.find(text)
    if more:
        spans = merge_spans([*spans, *more])
    ends = [span.end for span in spans]
    every: list[tuple[TextSpan, str | None]] = [(span, None) for span in spans]
    for term, target in glossary.find(text) if glossary else ():
        after = bisect_right(ends, term.start)
        if after == len(spans) or term.end <= spans[after].start:
            every.append((term, target))
    if len(every) == len(spans):
        return ProtectedText(text, spans)
    every.sort(key=lambda one: one[0].start)
    return ProtectedText(text, tuple(span for span, _ in every), tuple(target for _, target in every))


def _fold(text: str) -> str:
    return " ".join(text.split()) or text


def _follow_case(source: str, target: str) -> str:
    """A term at the start of a sentence, or in capitals, as its translation is written there."""
    if source.isupper() and sum(map(str.isalpha, source)) > _ACRONYM_LETTERS:
        return target.upper()
    if source[:1].isupper() and source[1:].islower() and target[:1].islower():
        return target[:1].upper() + target[1:]
    return target
