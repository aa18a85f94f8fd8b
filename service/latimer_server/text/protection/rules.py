"""What a request wants protected: its patterns and phrases compiled once, and found in any text.

Patterns of callers run on RE2 (google-re2), whose time is linear in the text whatever the pattern: Cox 2007,
"Regular Expression Matching Can Be Simple And Fast". Pure; knows no model.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import re2

from latimer_server.core.spans import TextSpan
from latimer_server.text.protection.builtin import find_builtin
from latimer_server.text.protection.spans import is_glue, merge_spans
from latimer_server.text.protection.syntaxes import Syntax, find_syntax

# Of one pattern's program; RE2 refuses what needs more.
_MAX_MEMORY = 1 << 20
_MAX_PHRASE_MEMORY = 64 << 20
# Each search is linear in the text, but there can be as many as it has characters.
_MAX_SECONDS = 2.0


class PatternError(ValueError):
    """A pattern that RE2 does not take, or that takes too long on a text; it says why."""


@dataclass(frozen=True)
class ProtectionRules:
    """What must come out unchanged. `builtin`: addresses and the like. `patterns` and `phrases` are made by
    `compile_pattern` and `compile_phrases`."""

    builtin: bool = True
    syntaxes: tuple[Syntax, ...] = ()
    patterns: tuple[Any, ...] = ()
    phrases: Any = None

    def find(self, text: str) -> tuple[TextSpan, ...]:
        """The protected spans of `text`, ascending, none overlapping: of overlapping ones the union.

        Raises `PatternError` where the callers' patterns take longer than two seconds.
        """
        return merge_spans(self._find_all(text))

    def _find_all(self, text: str) -> Iterator[TextSpan]:
        for syntax in self.syntaxes:
            yield from find_syntax(text, syntax)
        started = time.monotonic()
        for number, pattern in enumerate(self.patterns):
            for match in pattern.finditer(text):
                if time.monotonic() - started > _MAX_SECONDS:
                    raise PatternError(f"pattern {number} takes more than {_MAX_SECONDS:g} seconds on this text")
                yield TextSpan(*match.span())
        if self.phrases is not None:
            yield from find_words(self.phrases, text)
        if self.builtin:
            yield from find_builtin(text)


def compile_pattern(pattern: str) -> Any:  # noqa: ANN401 (the library has no types)
    """A caller's pattern. Raises `PatternError` for what is no RE2 pattern or needs too much memory."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise PatternError(_describe(error)) from error


def compile_phrases(phrases: Iterable[str], *, case_sensitive: bool = True) -> Any:  # noqa: ANN401
    """A pattern of all phrases, the longest first where several begin at one place; None without any."""
    wanted = sorted({phrase for phrase in phrases if phrase}, key=lambda phrase: (-len(phrase), phrase))
    if not wanted:
        return None
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_PHRASE_MEMORY
    options.longest_match = True
    options.case_sensitive = case_sensitive
    return re2.compile("|".join(map(_bound, wanted)), options)


def _bound(phrase: str) -> str:
    """A phrase as a pattern that matches no part of a longer word, as far as RE2 knows words (it knows ASCII's), and
    whose spaces are any white space."""
    before = r"\b" if _is_ascii_word(phrase[0]) else ""
    inner = r"[\s\pZ]+".join(str(re2.escape(word)) for word in phrase.split()) or str(re2.escape(phrase))
    return before + inner + (r"\b" if _is_ascii_word(phrase[-1]) else "")


def _is_ascii_word(character: str) -> bool:
    return character.isascii() and (character.isalnum() or character == "_")


def find_words(pattern: Any, text: str) -> Iterator[TextSpan]:  # noqa: ANN401
    """The matches that are no part of a longer word, ascending."""
    for match in pattern.finditer(text):
        start, end = match.span()
        if _is_whole(text, start, end):
            yield TextSpan(start, end)


def _is_whole(text: str, start: int, end: int) -> bool:
    before = start == 0 or not (is_glue(text[start - 1]) and is_glue(text[start]))
    return before and (end == len(text) or not (is_glue(text[end]) and is_glue(text[end - 1])))


def _describe(error: Exception) -> str:
    reason = error.args[0] if error.args else "is no pattern"
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
