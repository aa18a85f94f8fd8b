"""Patterns of java.text.MessageFormat and ICU's MessageFormat: apostrophes, quoted literals and arguments.

Two apostrophes are one. Between single ones a text stands for itself, as in `'{'`. A unit has plain apostrophes, since
models know no others; arguments and quoted literals stay as they are written, also `{0,choice,0#none|1#one}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_PIECE = re.compile(r"''|'[^']*'|[{}]|[^'{}]+|'")
_ARGUMENT_START = re.compile(r"\{\s*\d")
_PLURAL = re.compile(r"\{[^{}]*,\s*(?:plural|select|selectordinal)\s*,")
_QUOTED = re.compile(r"'[{}][^']*'")
_QUOTED_OR_DOUBLE = re.compile(rf"{_QUOTED.pattern}|''")


@dataclass(frozen=True)
class Message:
    """A pattern of java.text.MessageFormat.

    `text`: the pattern with plain apostrophes. `kept`: its arguments and quoted literals, as written. `has_words`:
    False if all its letters are in these.
    """

    written: str
    text: str
    kept: tuple[str, ...]
    has_words: bool

    def write(self, translation: str) -> str:
        """Returns the pattern of a translation, with two apostrophes for each that is none of a quoted literal."""
        if translation == self.text:
            return self.written
        kept = re.compile("|".join(re.escape(each) for each in sorted(set(self.kept), key=len, reverse=True)))
        parts: list[str] = []
        position = 0
        for match in kept.finditer(translation):
            parts += [translation[position : match.start()].replace("'", "''"), match.group()]
            position = match.end()
        return "".join([*parts, translation[position:].replace("'", "''")])


def read_message(pattern: str) -> Message | None:
    """Returns a pattern of java.text.MessageFormat.

    Returns None for a text that is none: one without a numbered argument and without a quoted brace, with a brace that
    is not closed, or with apostrophes that are not written as MessageFormat reads them.
    """
    if "{" not in pattern and "}" not in pattern:
        return None
    pieces = list(_divide(pattern))
    if not all(is_whole for _, _, is_whole in pieces):
        return None
    kept = tuple(piece for piece, kind, _ in pieces if kind)
    is_message = any(_ARGUMENT_START.match(each) or each.startswith("'") for each in kept)
    if not is_message:
        return None
    text = "".join(piece if kind else piece.replace("''", "'") for piece, kind, _ in pieces)
    words = "".join(piece for piece, kind, _ in pieces if not kind)
    has_texts = any(_PLURAL.match(each) for each in kept)
    return Message(pattern, text, kept, has_texts or any(map(str.isalpha, words)))


def read_icu_text(pattern: str) -> str:
    """Returns a pattern of ICU's MessageFormat with plain apostrophes. Only one before a brace quotes there."""
    return _QUOTED_OR_DOUBLE.sub(lambda match: "'" if match.group() == "''" else match.group(), pattern)


def write_icu_text(translation: str, pattern: str) -> str:
    """Returns the pattern of a translation of `pattern`.

    Apostrophes are written twice if the source has such. Else one before a brace, which would quote it, is a
    typographic one, because some readers of ARB show two as two.
    """
    if translation == read_icu_text(pattern):
        return pattern
    literals = {re.escape(each) for each in _QUOTED.findall(pattern)}
    signs = "|".join([*sorted(literals, key=len, reverse=True), "'" if "''" in pattern else "'(?=[{}])"])
    other = "''" if "''" in pattern else "’"
    return re.sub(signs, lambda match: other if match.group() == "'" else match.group(), translation)


def _divide(pattern: str) -> Iterator[tuple[str, str, bool]]:
    """Yields the parts of a pattern: text and "", an argument and "{", or a quoted literal and "'".

    The last value is False for a part that MessageFormat refuses, or that may be plain text with quotation marks.
    """
    held: list[str] = []  # pieces of an argument
    depth = 0
    for match in _PIECE.finditer(pattern):
        piece = match.group()
        if piece == "{":
            depth += 1
            held.append(piece)
        elif depth:
            held.append(piece)
            depth -= piece == "}"
            if not depth:
                yield "".join(held), "{", True
                held = []
        elif piece == "}":
            yield piece, "", False
        elif piece == "''" or not piece.startswith("'"):
            yield piece, "", True
        else:
            yield piece, "'", piece[1:2] in ("{", "}")
    if depth:
        yield "".join(held), "{", False
