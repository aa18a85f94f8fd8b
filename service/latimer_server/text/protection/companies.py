"""Finds names of companies by the form of company behind them, as in `Example Inc.`, and the cue lines of WebVTT.

Models translate such names word by word. Every pattern takes linear time in the text. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from latimer_server.core.spans import TextSpan

_FORMS = (" Inc", " Ltd", " LLC", " Corp", "GmbH", "PLC", "Ltda", "Lda", "S.A.", "S/A")
_COMPANY = re.compile(
    r"(?<![\w&'’.-])(?!(?:The|A|An|O|As|Os|Um|Uma|And|E|At|In|By|For|From|To|With|De|Da|Do|Dear|Our|We) )"
    r"(?:[A-ZÀ-ÖØ-Þ][\w&'’-]{0,31},? (?:(?:&|and|e|of|de|do|da) )?){1,4}"
    r"(?:(?:Inc|Ltd|Corp|Ltda|Lda)\b\.?|(?:LLC|GmbH|PLC)\b|S\.A\.|S/A\b)"
)
# The times of a cue, with its settings: `00:01:02.500 --> 00:01:05.000 line:90%`.
_TIME = r"(?:\d{2,}:)?\d{2}:\d{2}[.,]\d{3}"
_CUE = re.compile(rf"^{_TIME} --> {_TIME}(?: [a-z]{{1,12}}:[\w.,%-]{{1,24}})*", re.MULTILINE)


def find_companies(text: str) -> Iterator[TextSpan]:
    """Yields the spans of names of companies with the form of the company, and of cue lines of WebVTT."""
    if any(form in text for form in _FORMS):
        yield from (TextSpan(*match.span()) for match in _COMPANY.finditer(text))
    if " --> " in text:
        yield from (TextSpan(*match.span()) for match in _CUE.finditer(text))
