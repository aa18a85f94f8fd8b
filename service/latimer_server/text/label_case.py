"""Lets a model read a label in capitals before a sentence, as in `MAN: Who's there?`, in small letters.

Models leave such a word in the source language or keep only its capitals. The label of the output gets capitals again.
Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.rewriting import Edit

_CAPITAL = "[A-ZÀ-ÖØ-Þ]"
# One to four words in capitals or figures, and a colon or a dash behind them. Short words may be acronyms, except
# these.
_LABEL = re.compile(
    rf"(?P<label>(?:{_CAPITAL}{{5,24}}|MAN|MEN|BOY|GIRL|MOM|DAD|BOTH|CLUE|STEP|RULE|TODO)"
    rf"(?: (?:{_CAPITAL}{{2,24}}|\d{{1,4}}[ªº]?)){{0,3}})(?P<sign>:| [-–—]) (?=\S)"
)
_SMALL = re.compile("[a-zß-öø-ÿ]{2}")
_WRITTEN = re.compile(r"(?P<label>[^:\n]{1,80}?)(?:\s?:| [-–—])(?=\s)")
_WORD = re.compile(rf"{_CAPITAL}+")
_WORD_TO_RAISE = re.compile(r"(?<!\w)[^\W\d_]{2,}(?!\w)")


def lower_label(guarded: ProtectedText) -> Iterator[Edit]:
    """Yields the replacement of each word of the label in capitals at the start of a text by a capitalised word."""
    match = _find_label(guarded)
    if match is None:
        return
    for word in _WORD.finditer(guarded.text, *match.span("label")):
        lowered = word.group()[0] + word.group()[1:].lower()
        if len(lowered) == len(word.group()):
            yield Edit(*word.span(), lowered)


def restore_label(source: ProtectedText, output: ProtectedText) -> Iterator[Edit]:
    """Yields the replacement of the label of an output by one in capitals. `source`: the segment as it was written."""
    match = _find_label(source)
    written = _WRITTEN.match(output.text) if match is not None else None
    if written is None or any(span.start < written.end("label") for span in output.spans):
        return
    for word in _WORD_TO_RAISE.finditer(output.text, *written.span("label")):
        yield Edit(*word.span(), word.group().upper())


def has_label(text: str) -> bool:
    """Returns True if a text may begin with a label in capitals."""
    return text[:3].isupper() and (":" in text or " - " in text or "–" in text or "—" in text)


def _find_label(guarded: ProtectedText) -> re.Match[str] | None:
    if not has_label(guarded.text):
        return None
    match = _LABEL.match(guarded.text)
    if match is None or any(span.start < match.end() for span in guarded.spans):
        return None
    return match if _SMALL.search(guarded.text, match.end()) else None
