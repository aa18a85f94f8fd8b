r"""Takes the escapes and the access keys of software strings out of a segment, and puts them back.

Android's resources, PHP and JavaScript write `Don\'t`; GTK marks the access key of a label as `_Open`, Qt and Windows
as `&Open`. A model translates such words badly or not at all. Pure functions.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence

from latimer_server.core.spans import TextSpan
from latimer_server.text.protection.masking import ProtectedText, list_unprotected
from latimer_server.text.rewriting import Edit

_ESCAPE = re.compile(r"(?<!\\)\\(['\"])")
# A line break or tab written as an escape. Before a small letter it may be part of a path or of a command of TeX,
# unless it follows punctuation.
_BREAK = re.compile(r"(?<![\\:])(?:\\[nrt])++(?![a-z])|(?<=[.!?;,)\"'])(?:\\[nrt])++")
# A line of values between commas without spaces, of which one has quotation marks.
_ROW = re.compile(
    r"^(?=[^\n]*(?:\",|,\"))(?:\"[^\"\n]++\"|[^\",\n]*+)(?:,(?:\"[^\"\n]++\"|(?! )[^\",\n]*+))++$", re.MULTILINE
)
_FIELD = re.compile(r"\"[^\"\n]++\"")
_QUOTE = re.compile(r"(?<!\\)['\"]")
_ENDING = 3
# A box to tick, of brackets with nothing in them.
_BLANK = re.compile(r"(?<!\w)\( ?\)")
# A label with an access key is short.
_LONGEST_LABEL = 60
_ACCESS_KEY = re.compile(
    r"(?<![\w&])[_&](?=[A-Z][a-z]*+\b)|(?<=\b[A-Z])[_&](?=[a-z]{1,6}+\b)|(?<=\b[A-Z][a-z])[_&](?=[a-z]{1,6}+\b)"
)


def find_breaks(text: str, kept: Sequence[TextSpan]) -> Iterator[TextSpan]:
    r"""Yields the spans of escaped line breaks and tabs, as in `One line\nAnother line`, outside the spans `kept`."""
    for match in _BREAK.finditer(text):
        number = bisect_right(kept, match.start(), key=lambda span: span.start) - 1
        if number < 0 or kept[number].end <= match.start():
            yield TextSpan(*match.span())


def find_fields(text: str) -> Iterator[TextSpan]:
    """Yields what is around the quoted fields of lines of comma-separated values (RFC 4180)."""
    for line in _ROW.finditer(text):
        position = line.start()
        for field in _FIELD.finditer(text, *line.span()):
            yield TextSpan(position, field.start() + 1)
            position = field.end() - 1
        yield TextSpan(position, line.end())


def find_escapes(guarded: ProtectedText) -> Iterator[Edit]:
    """Yields the removal of each backslash before a quotation mark, if no mark of that kind is without one."""
    for mark in _list_escaped(guarded):
        for part in list_unprotected(guarded):
            for match in _ESCAPE.finditer(guarded.text, part.start, part.end):
                if match[1] == mark:
                    yield Edit(match.start(), match.start() + 1, "")


def find_access_key(guarded: ProtectedText) -> Iterator[Edit]:
    """Yields the removal of the sign of a label's access key, if it has exactly one."""
    text = guarded.text
    if len(text) > _LONGEST_LABEL or text.count("_") + text.count("&") != 1:
        return
    for match in _ACCESS_KEY.finditer(text):
        if not any(span.start <= match.start() < span.end for span in guarded.spans):
            yield Edit(*match.span(), "")


def restore_escapes(source: ProtectedText, output: ProtectedText) -> Iterator[Edit]:
    """Yields the backslashes that the quotation marks of an output need. `source`: the segment as it was written."""
    marks = _list_escaped(source)
    for part in list_unprotected(output) if marks else ():
        for match in _QUOTE.finditer(output.text, part.start, part.end):
            if match.group() in marks:
                yield Edit(match.start(), match.start(), "\\")


def restore_access_key(source: ProtectedText, output: ProtectedText) -> Iterator[Edit]:
    """Yields the sign of the access key of an output, before the same letter if it has that, else before its first."""
    for start, end, _ in find_access_key(source):
        key = source.text[end].lower()
        free = [
            at for part in list_unprotected(output) for at in range(part.start, part.end) if output.text[at].isalpha()
        ]
        same = [at for at in free if output.text[at].lower() == key]
        initial = [at for at in same if at == 0 or not output.text[at - 1].isalnum()]
        for at in (initial or same or free)[:1]:
            yield Edit(at, at, source.text[start:end])


def restore_blanks(source: ProtectedText, output: ProtectedText) -> Iterator[Edit]:
    """Yields the spaces inside the empty brackets of a form, `( ) Yes  ( ) No`, if the output has as many pairs."""
    if "( " not in source.text:
        return
    blanks = [match for part in list_unprotected(source) for match in _BLANK.finditer(source.text, *_edges(part))]
    pairs = [match for part in list_unprotected(output) for match in _BLANK.finditer(output.text, *_edges(part))]
    if len(blanks) == len(pairs):
        for blank, pair in zip(blanks, pairs, strict=True):
            if pair.group() == "()" != blank.group():
                yield Edit(*pair.span(), blank.group())


def _edges(span: TextSpan) -> tuple[int, int]:
    return span.start, span.end


def restore_optional_plurals(output: ProtectedText) -> Iterator[Edit]:
    """Yields the removal of the plural's ending before an optional one: `dias(s)` becomes `dia(s)`."""
    for span in output.spans:
        if output.text[span.start : span.end] == "(s)" and _is_plural(output.text[max(0, span.start - 3) : span.start]):
            yield Edit(span.start - 1, span.start, "")


def _is_plural(ending: str) -> bool:
    """Returns True if the last letters of a word are those of a plural in -s after a vowel or consonant but s."""
    return len(ending) == _ENDING and ending.isalpha() and ending[-1] == "s" and ending[-2] not in "su"


def _list_escaped(guarded: ProtectedText) -> list[str]:
    """Returns the kinds of quotation marks that occur outside the protected spans, and only behind a backslash."""
    if "\\" not in guarded.text:
        return []
    parts = [guarded.text[part.start : part.end] for part in list_unprotected(guarded)]
    escaped = {match[1] for part in parts for match in _ESCAPE.finditer(part)}
    bare = {match.group() for part in parts for match in _QUOTE.finditer(part)}
    return sorted(escaped - bare)
