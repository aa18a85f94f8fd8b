"""Finds times with their unit, references to law, and names in lines of logs.

Models read `30s` as a decade and lose brackets of `Section 4(b)(ii)`. Every pattern takes linear time in the text. Pure
functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from latimer_server.core.spans import TextSpan

# A time with its unit. The name of a decade is a multiple of ten, so `15s` and `10s` are seconds. A multiple of ten is
# a time if a word of time is beside it.
_FRACTION_OF_SECOND = re.compile(r"(?<![\w.,])\d{1,6}(?:[.,]\d{1,3})?(?:ms|ns|us|µs)(?!\w)")
_SECONDS = re.compile(
    r"(?<![\w.,'’])(?:\d{0,5}[1-9]|\d{1,4}[.,]\d{1,3}|\d00|10|1[0-4]0)s(?!\w)"
    r"|(?:(?<=\bafter )|(?<=\bevery )|(?<=\bfor )|(?<=\bin )|(?<=\bwithin )|(?<=\btook )|(?<=\btakes )"
    r"|(?<=\bwait )|(?<=\bWait )|(?<=\bthan )|(?<=\btimeout )|(?<=: )|(?<==))"
    r"[2-9]0s(?=\s*(?:[.,;:)!?(]|before\b|between\b|if\b|and\b|\Z))"
    r"|(?<![\w.,'’])[2-9]0s(?= (?:delay|timeout|interval|window|pause|limit|countdown)\b)"
)
# Each of these times ends like this.
_TIME_SIGN = re.compile(r"\d[mnuµ]?s")
# A paragraph or section with its letters and numbers in brackets, as in `4(b)(ii)`. `3(s)` is an optional plural.
_LEGAL = re.compile(
    r"(?<![\w.,(+-])\d{1,4}(?:\.\d{1,3}){0,3}"
    r"(?:\((?!s\))(?:[a-z]{1,2}|[A-Z]|[ivx]{1,5}|\d{1,2})\)){1,5}(?![\w(]| ?\d{4})"
)
# Words of small letters and digits that hyphens join: the name of a thread in brackets, and names in a line of a log,
# which has a level of severity in capitals.
_JOINED = r"[a-z][a-z0-9]{0,31}(?:-[a-z0-9]{1,32}){1,6}"
_BRACKETED = re.compile(rf"(?<=\[){_JOINED}(?=\])")
_LEVEL = re.compile(r"(?<!\w)(?:TRACE|DEBUG|INFO|WARN|WARNING|ERROR|FATAL|CRITICAL|ERRO|AVISO)(?![\w-])")
_LOGGED = re.compile(rf"(?<![\w-]){_JOINED}(?=[\]:,)]|\s|$)(?!\w)")


def find_references(text: str) -> Iterator[TextSpan]:
    """Yields the spans of times with their unit, references to law, and names in logs; possibly overlapping."""
    if _TIME_SIGN.search(text):
        for pattern in (_FRACTION_OF_SECOND, _SECONDS):
            yield from (TextSpan(*match.span()) for match in pattern.finditer(text))
    if "(" in text:
        yield from (TextSpan(*match.span()) for match in _LEGAL.finditer(text))
    if "-" in text:
        yield from (TextSpan(*match.span()) for match in _BRACKETED.finditer(text))
        yield from _find_logged(text)


def _find_logged(text: str) -> Iterator[TextSpan]:
    """Yields the names in the lines of a log, behind the level of severity."""
    end = -1
    for level in _LEVEL.finditer(text):
        if level.start() < end:
            continue
        end = text.find("\n", level.end())
        end = len(text) if end < 0 else end
        yield from (TextSpan(*match.span()) for match in _LOGGED.finditer(text, level.end(), end))
