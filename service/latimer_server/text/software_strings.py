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
from latimer_server.text.rewriting import Edit, apply_edits

_ESCAPE = re.compile(r"(?<!\\)\\(['\"])")
# A line break or tab written as an escape. Before a small letter it may be part of a path or of a command of TeX,
# unless it follows punctuation. Between two words it is none if `n` begins the name of a folder or command.
_BREAK = re.compile(
    r"(?<![\\:])(?:\\[nrt])++(?![a-z])|(?<=[.!?;,)\"'])(?:\\[nrt])++"
    r"|(?<=[.!?…,\"-])\\N(?=[^\W\d_]|[-\"])"
    r"|(?<=[a-zA-Z]{2})\\n(?!(?:ews?|ext|et|ode|ull|ames?|otes?|ormal|eq|eg|abla|ewline|oindent)\b)(?=[a-z]{2,40}[ :])"
)
# A line of values between commas without spaces, of which one has quotation marks.
_ROW = re.compile(
    r"^(?=[^\n]*(?:\",|,\"))(?:\"[^\"\n]++\"|[^\",\n]*+)(?:,(?:\"[^\"\n]++\"|(?! )[^\",\n]*+))++$", re.MULTILINE
)
_FIELD = re.compile(r"\"[^\"\n]++\"")
_QUOTE = re.compile(r"(?<!\\)['\"]")
_ENDING = 3
# A box to tick, of brackets with nothing in them.
_BLANK = re.compile(r"(?<!\w)\( ?\)")
# A label or hint with access keys is short.
_LONGEST_LABEL = 100
_WORD = re.compile(r"[^\W\d_]++")
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
    """Yields the removal of the signs of access keys, if a short text has one kind of sign and each is a key's."""
    text = guarded.text
    count = text.count("_") + text.count("&")
    if len(text) > _LONGEST_LABEL or not count or ("_" in text and "&" in text):
        return
    matches = list(_ACCESS_KEY.finditer(text))
    if len(matches) == count:
        for match in matches:
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
    """Yields the signs of the access keys of an output, each before the same letter if there is one, else a first one.

    A key in a sentence belongs to the name of a button, which has a capital: the words with a capital behind the first
    word take the signs in order. A label is searched as a whole.
    """
    signs = list(find_access_key(source))
    if signs and output.text == apply_edits(source.text, signs)[0]:
        # A label that stays as it is keeps its keys, also where their letters come twice.
        removed = 0
        for start, end, _ in signs:
            yield Edit(start - removed, start - removed, source.text[start:end])
            removed += end - start
        return
    words = [match for part in list_unprotected(output) for match in _WORD.finditer(output.text, part.start, part.end)]
    names = [match for match in words[1:] if match.group()[0].isupper()]
    first = _WORD.search(source.text)
    for number, (start, end, _) in enumerate(signs):
        in_sentence = first is not None and first.end() < start
        if in_sentence and number < len(names):
            found = names[number : number + 1]
        else:
            found = words if len(signs) == 1 else words[number : number + 1]
        at = _find_key(found, source.text[end].lower())
        if at is not None:
            yield Edit(at, at, source.text[start:end])


def _find_key(words: Sequence[re.Match[str]], key: str) -> int | None:
    """Returns the offset of a letter: that of a word that begins with `key`, else the same letter, else the first."""
    initial = next((word.start() for word in words if word.group()[0].lower() == key), None)
    if initial is not None or not words:
        return initial
    inner = (word.start() + word.group().lower().find(key) for word in words if key in word.group().lower())
    return next(inner, words[0].start())


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
