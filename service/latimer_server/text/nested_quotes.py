"""Puts back quotation marks of two kinds, one inside the other, as in `‘I saw “danger”,’ he said`.

Models read and write straight marks, so that both kinds become one. If the output opens and closes as many marks in the
same order, its marks are those of the source. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from latimer_server.text.protection.masking import ProtectedText, list_unprotected
from latimer_server.text.rewriting import Edit

# Quotation marks; a single one between letters or behind a plural is an apostrophe.
_MARK = re.compile(r"[“”„«»\"‟‹›]|(?<!\w)[‘'](?=\w)|(?<=[\w.,!?…])[’'](?!\w)")
_OPENING, _CLOSING = "“„«‘‹", "”»’›"
_KINDS = ("“”„‟", "«»", "‘’", "‹›")
_MOST = 40


def restore_nested_quotes(source: ProtectedText, output: ProtectedText) -> Iterator[Edit]:
    """Yields the replacement of the marks of an output by those of its source, if that has two kinds, one inside."""
    if sum(any(sign in source.text for sign in kind) for kind in _KINDS) < 2:
        return
    marks, written = _list_marks(source), _list_marks(output)
    if not 2 < len(marks) <= _MOST or len(marks) != len(written):
        return
    if [_opens(source.text, mark) for mark in marks] != [_opens(output.text, mark) for mark in written]:
        return
    for mark, found in zip(marks, written, strict=True):
        if mark.group() != found.group():
            yield Edit(*found.span(), mark.group())


def _list_marks(guarded: ProtectedText) -> list[re.Match[str]]:
    return [mark for part in list_unprotected(guarded) for mark in _MARK.finditer(guarded.text, part.start, part.end)]


def _opens(text: str, mark: re.Match[str]) -> bool:
    if mark.group() in _OPENING:
        return True
    if mark.group() in _CLOSING:
        return False
    before = text[mark.start() - 1 : mark.start()]
    if before in ('"', "'"):
        return text[mark.end() : mark.end() + 1].isalnum()
    return not before or before.isspace() or before in "([{-–—“„«‘"
