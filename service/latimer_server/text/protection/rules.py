"""Protection rules of a request: compiles its patterns and phrases, and finds the spans of a text to protect.

Callers' patterns run on RE2 (google-re2), which takes linear time in the text for any pattern: Cox 2007, "Regular
Expression Matching Can Be Simple And Fast". Pure functions.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import re2

from latimer_server.core.spans import TextSpan
from latimer_server.text.protection.builtin import find_builtin, find_placeholders
from latimer_server.text.protection.spans import SEPARATOR, is_glue, join_spans, merge_spans, separate_text
from latimer_server.text.protection.syntaxes import Syntax, find_syntax

# The most bytes of one compiled pattern, and of the pattern of all phrases; RE2 rejects larger ones. Such a pattern is
# compiled in 4 ms, during which it holds the interpreter lock; with 1 MiB it took 10 ms.
_MAX_MEMORY = 256 << 10
_MAX_PHRASE_MEMORY = 64 << 20
# The most time that all patterns of a request may take on one text. Each search is linear in the text, but a pattern
# may match once per character.
_MAX_SECONDS = 2.0
# OBJECT REPLACEMENT CHARACTER, which stands for an object in the text of a block of markup.
_OBJECT = "\ufffc"


class PatternError(ValueError):
    """Raised if a pattern is not valid for RE2, or takes too long on a text. The message gives the reason."""


class PatternMatch(Protocol):
    """A match of a compiled pattern. Spans are half-open, in code points."""

    def span(self) -> tuple[int, int]:
        """Returns the start and the end of the match."""


class CompiledPattern(Protocol):
    """A pattern compiled by RE2, which has no type stubs."""

    def finditer(self, text: str, /) -> Iterable[PatternMatch]:
        """Yields the matches in `text`, ascending and disjoint."""


@dataclass(frozen=True)
class ProtectionRules:
    """Rules that decide which spans of a text come out unchanged.

    `builtin`: also protects addresses, identifiers, code and emoji. `syntaxes`: the syntaxes whose placeholders are
    protected. `patterns`: results of `compile_pattern`. `phrases`: the result of `compile_phrases`, None without any.
    """

    builtin: bool = True
    syntaxes: tuple[Syntax, ...] = ()
    patterns: tuple[CompiledPattern, ...] = ()
    phrases: CompiledPattern | None = None

    def find(self, text: str, boundaries: Sequence[int] = ()) -> tuple[TextSpan, ...]:
        """Returns the protected spans of `text`, ascending and disjoint; overlapping ones are merged.

        `boundaries`: the offsets, ascending, at which markup divides the text. A placeholder is found whatever stands
        on the other side of a boundary, and also if boundaries are inside it. U+FFFC, which stands for an object of the
        markup, is never part of a placeholder or word. Raises `PatternError` if the callers' patterns take longer than
        two seconds.
        """
        plain = text.replace(_OBJECT, SEPARATOR)
        found = [*self._find_matches(text), *self._find_forms(plain)]
        if boundaries:
            found += join_spans(self._find_placeholders(separate_text(plain, boundaries)), boundaries)
        return merge_spans(found)

    def _find_matches(self, text: str) -> Iterator[TextSpan]:
        started = time.monotonic()
        for number, pattern in enumerate(self.patterns):
            for match in pattern.finditer(text):
                if time.monotonic() - started > _MAX_SECONDS:
                    raise PatternError(f"pattern {number} takes more than {_MAX_SECONDS:g} seconds on this text")
                yield TextSpan(*match.span())
        if self.phrases is not None:
            yield from find_words(self.phrases, text)

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


def compile_phrases(phrases: Iterable[str], *, case_sensitive: bool = True) -> CompiledPattern | None:
    """Returns one pattern that matches any of the phrases, the longest one at a place; None without phrases."""
    wanted = sorted({phrase for phrase in phrases if phrase}, key=lambda phrase: (-len(phrase), phrase))
    if not wanted:
        return None
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_PHRASE_MEMORY
    options.longest_match = True
    options.case_sensitive = case_sensitive
    compiled: CompiledPattern = re2.compile("|".join(map(_bound, wanted)), options)
    return compiled


def _bound(phrase: str) -> str:
    """Returns a regular expression for a phrase, whose spaces match any white space.

    It matches no part of an ASCII word. RE2 knows word boundaries in ASCII only; `find_words` checks the others.
    """
    before = r"\b" if _is_ascii_word(phrase[0]) else ""
    inner = r"[\s\pZ]+".join(str(re2.escape(word)) for word in phrase.split()) or str(re2.escape(phrase))
    return before + inner + (r"\b" if _is_ascii_word(phrase[-1]) else "")


def _is_ascii_word(character: str) -> bool:
    return character.isascii() and (character.isalnum() or character == "_")


def find_words(pattern: CompiledPattern, text: str) -> Iterator[TextSpan]:
    """Yields the spans of the pattern's matches in `text` that are not part of a longer word, ascending."""
    for match in pattern.finditer(text):
        start, end = match.span()
        if _is_whole(text, start, end):
            yield TextSpan(start, end)


def _is_whole(text: str, start: int, end: int) -> bool:
    before = start == 0 or not (is_glue(text[start - 1]) and is_glue(text[start]))
    return before and (end == len(text) or not (is_glue(text[end]) and is_glue(text[end - 1])))


def _describe(error: Exception) -> str:
    """Returns the reason in an error of RE2, which may be bytes, as a string."""
    reason = error.args[0] if error.args else "RE2 gives no reason"
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
