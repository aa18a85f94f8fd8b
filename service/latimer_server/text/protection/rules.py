"""Protection rules of a request: compiles its patterns and phrases, and finds the spans of a text to protect.

Callers' patterns run on RE2 (google-re2), which takes linear time in the text for any pattern: Cox 2007, "Regular
Expression Matching Can Be Simple And Fast". Pure functions.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Protocol

import re2

from latimer_server.core.spans import TextSpan
from latimer_server.text.markup import OBJECT
from latimer_server.text.protection.builtin import find_builtin
from latimer_server.text.protection.phrase_matching import PhraseMatcher
from latimer_server.text.protection.placeholders import find_placeholders
from latimer_server.text.protection.spans import SEPARATOR, bridge_spans, join_spans, merge_spans, separate_text
from latimer_server.text.protection.syntaxes import Syntax, find_syntax

# The most bytes of one compiled pattern; RE2 rejects larger ones. Such a pattern is compiled in 4 ms, during which it
# holds the interpreter lock; with 1 MiB it took 10 ms.
_MAX_MEMORY = 256 << 10
# The most CPU time that all patterns of a request may take on one text: so many seconds, and so many for a code point.
# Each search is linear in the text, but a large pattern may take thousands of steps for a code point.
_MAX_SECONDS, _MAX_CHARACTER_SECONDS = 0.02, 2e-6
# A search cannot be interrupted. So a text is searched in parts of so many code points, divided by the size of the
# pattern: a part takes at most about 0.3 seconds. Small patterns search a text of a million code points at once.
_PART_STEPS = 40_000_000
_LEAST_PART = 1_000


class PatternError(ValueError):
    """Raised if a pattern is not valid for RE2, or takes too long on a text. The message gives the reason."""


class PatternMatch(Protocol):
    """A match of a compiled pattern. Spans are half-open, in code points."""

    def span(self) -> tuple[int, int]:
        """Returns the start and the end of the match."""


class CompiledPattern(Protocol):
    """A pattern compiled by RE2, which has no type stubs. `programsize`: the number of its instructions."""

    programsize: int

    def finditer(self, text: str, /) -> Iterable[PatternMatch]:
        """Yields the matches in `text`, ascending and disjoint."""


class PatternBudget:
    """The CPU time that patterns may take on a text of `characters` code points, in all searches of its parts."""

    def __init__(self, characters: int) -> None:
        self.limit = _MAX_SECONDS + _MAX_CHARACTER_SECONDS * characters
        self.spent = 0.0


@dataclass(frozen=True)
class ProtectionRules:
    """Rules that decide which spans of a text come out unchanged.

    `builtin`: also protects addresses, identifiers, code and emoji. `syntaxes`: the syntaxes whose placeholders are
    protected. `patterns`: results of `compile_pattern`. `phrases`: the result of `compile_phrases`, None without any.
    `budget`: None gives each text that is searched its own.
    """

    builtin: bool = True
    syntaxes: tuple[Syntax, ...] = ()
    patterns: tuple[CompiledPattern, ...] = ()
    phrases: PhraseMatcher | None = None
    budget: PatternBudget | None = field(default=None, compare=False)

    def share_budget(self, characters: int) -> ProtectionRules:
        """Returns these rules for the parts of one text of `characters` code points, which share its time."""
        if not self.patterns:
            return self
        return replace(self, budget=PatternBudget(characters))

    def find(self, text: str, boundaries: Sequence[int] = ()) -> tuple[TextSpan, ...]:
        """Returns the protected spans of `text`, ascending and disjoint; overlapping and joined ones are merged.

        `boundaries`: the offsets, ascending, at which markup divides the text. A placeholder is found whatever stands
        on the other side of a boundary, and also if boundaries are inside it. U+FFFC, which stands for an object of the
        markup, is never part of a placeholder or word. Raises `PatternError` if the callers' patterns take more CPU
        time than 0.02 seconds and two microseconds for each code point of the text, see `share_budget`.
        """
        plain = text.replace(OBJECT, SEPARATOR)
        found = [*self._find_matches(text), *self._find_forms(plain)]
        if not found and not boundaries:
            return ()
        if boundaries:
            found += join_spans(self._find_placeholders(separate_text(plain, boundaries)), boundaries)
        return bridge_spans(text, merge_spans(found))

    def find_explicit(self, text: str) -> tuple[TextSpan, ...]:
        """Returns the spans that the caller asked for by syntaxes, patterns and phrases. Raises as `find` does."""
        plain = text.replace(OBJECT, SEPARATOR)
        by_syntax = (span for syntax in self.syntaxes for span in find_syntax(plain, syntax))
        return merge_spans([*self._find_matches(text), *by_syntax])

    def _find_matches(self, text: str) -> Iterator[TextSpan]:
        budget = self.budget or PatternBudget(len(text))
        for number, pattern in enumerate(self.patterns):
            for part in _divide_text(text, pattern):
                yield from _search(pattern, number, text, part, budget)
        if self.phrases is not None:
            yield from self.phrases.find(text)

    def _find_forms(self, text: str) -> Iterator[TextSpan]:
        for syntax in self.syntaxes:
            yield from find_syntax(text, syntax)
        if self.builtin:
            yield from find_builtin(text)

    def _find_placeholders(self, text: str) -> Iterator[TextSpan]:
        for syntax in self.syntaxes:
            yield from find_syntax(text, syntax)
        if self.builtin:
            yield from find_placeholders(text)


def _divide_text(text: str, pattern: CompiledPattern) -> Iterator[TextSpan]:
    """Yields the parts of a text to search one after the other. Each ends at a line break or space if it has one."""
    size = max(_LEAST_PART, _PART_STEPS // max(1, pattern.programsize))
    start = 0
    while len(text) - start > size:
        end = max(text.rfind("\n", start, start + size), text.rfind(" ", start, start + size)) + 1 or start + size
        yield TextSpan(start, end)
        start = end
    yield TextSpan(start, len(text))


def _search(
    pattern: CompiledPattern, number: int, text: str, part: TextSpan, budget: PatternBudget
) -> Iterator[TextSpan]:
    """Yields the spans of a pattern in a part of a text. Raises `PatternError` if the budget is spent."""
    started = time.thread_time()
    for match in chain(pattern.finditer(text[part.start : part.end]), (None,)):
        now = time.thread_time()
        budget.spent += now - started
        started = now
        if budget.spent > budget.limit:
            raise PatternError(
                f"pattern {number} and those before it take more than {budget.limit:.2g} seconds on this text"
            )
        if match is not None:
            start, end = match.span()
            yield TextSpan(part.start + start, part.start + end)


def compile_pattern(pattern: str) -> CompiledPattern:
    """Compiles a caller's pattern. Raises `PatternError` if it is not valid for RE2 or needs more than 256 KiB."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    try:
        compiled: CompiledPattern = re2.compile(pattern, options)
    except re2.error as error:
        raise PatternError(_describe(error)) from error
    return compiled


def compile_phrases(phrases: Iterable[str], *, case_sensitive: bool = True) -> PhraseMatcher | None:
    """Returns the matcher of these phrases; None without any. Blank ones are left out."""
    wanted = {phrase for phrase in phrases if phrase.strip()}
    return PhraseMatcher(sorted(wanted), case_sensitive=case_sensitive) if wanted else None


def _describe(error: Exception) -> str:
    """Returns the reason in an error of RE2, which may be bytes, as a string."""
    reason = error.args[0] if error.args else "RE2 gives no reason"
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
