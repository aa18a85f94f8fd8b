"""Finds placeholders of the syntaxes that a request can name: printf, ICU, mustache, shell, XLIFF, i18next.

Sources: C99 7.19.6.1 and Python's `%` (printf), ICU MessageFormat's pattern syntax, mustache(5), POSIX 2.6 (shell
parameters), XLIFF 1.2 and 2.1 inline elements, i18next's interpolation and nesting. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum

from latimer_server.core.spans import TextSpan
from latimer_server.text.protection.messages import find_structure
from latimer_server.text.protection.spans import merge_spans

_BRACE = re.compile(r"[{}']")
# Levels of nested braces, more than in any real message. With more levels, the outermost braces count as text.
_MAX_DEPTH = 64


class Syntax(Enum):
    """A syntax of placeholders that a request can name; see PlaceholderSyntax in the contract."""

    PRINTF = "printf"
    ICU = "icu"
    MUSTACHE = "mustache"
    SHELL = "shell"
    XLIFF = "xliff"
    I18NEXT = "i18next"


_MUSTACHE = r"\{\{\{[^{}]*+\}\}\}|\{\{[^{}]*+\}\}"
_PATTERNS = {
    Syntax.PRINTF: re.compile(
        r"%(?:\(\w++\)|\d++\$)?[-+#0']*+(?:\d++|\*)?(?:\.(?:\d++|\*)?)?(?:hh|h|ll|l|L|q|j|z|t|I64|I32)?[diouxXeEfFgGaAcsCSpnr@](?![^\W\d_])|%%"
    ),
    Syntax.MUSTACHE: re.compile(_MUSTACHE),
    Syntax.SHELL: re.compile(r"\$\{[^{}\n]*+\}|\$\([^()\n]*+\)|\$(?:[A-Za-z_]\w*+|[0-9@*#?$!-](?!\w))"),
    Syntax.XLIFF: re.compile(
        r"<(bpt|ept|ph|it)(?:\s[^<>]*+)?(?<!/)>[^<>]*+</\1>|"
        r"</?(?:x|g|bx|ex|ph|it|mrk|bpt|ept|sub|pc|sc|ec|cp|sm|em)(?:\s[^<>]*+)?/?>",
        re.IGNORECASE,
    ),
    Syntax.I18NEXT: re.compile(_MUSTACHE + r"|\$t\([^()]*+(?:\([^()]*+\)[^()]*+)*+\)"),
}


def find_syntax(text: str, syntax: Syntax) -> Iterator[TextSpan]:
    """Yields the spans of the placeholders of one syntax in `text`, ascending and disjoint."""
    if syntax is Syntax.ICU:
        yield from _find_icu(text)
        return
    for match in _PATTERNS[syntax].finditer(text):
        yield TextSpan(*match.span())


def _find_icu(text: str) -> Iterator[TextSpan]:
    """Yields the spans of ICU arguments in balanced braces, and of quoted braces.

    Of a plural or select argument all but the messages in it is protected, see `messages`. An apostrophe before a brace
    quotes up to the next apostrophe. An opening brace without a closing one is text; arguments behind it are found.
    """
    structure = find_structure(text)
    heads = {span.start for span in structure if text[span.start] == "{"}
    messages = {span.end - 1 for span in structure if text[span.end - 1] == "{"}
    opened: list[int] = []
    found: list[TextSpan] = []
    position = 0
    while match := _BRACE.search(text, position):
        position = match.end()
        sign = match.group()
        if sign == "'":
            closing = text.find("'", position) if text[position : position + 1] in ("{", "}") else -1
            if closing >= 0:
                found.append(TextSpan(match.start(), closing + 1))
            position = closing + 1 if closing >= 0 else position
        elif sign == "{":
            opened.append(match.start())
            if len(opened) > _MAX_DEPTH:
                del opened[0]
        elif opened:
            span = TextSpan(opened.pop(), match.end())
            if span.start in heads or span.start in messages:
                continue
            while found and found[-1].start > span.start:
                found.pop()
            found.append(span)
    yield from merge_spans([*structure, *found])
