"""Puts back quotation marks of two kinds, one inside the other, as in `‘I saw “danger”,’ he said`.

Models read and write straight marks, so that both kinds become one, and two beside each other, such as `'"`, too. If
the output opens and closes as many marks in the same order, its marks are those of the source. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from latimer_server.text.protection.masking import ProtectedText, list_unprotected
from latimer_server.text.rewriting import Edit

# Quotation marks; a single one between letters or behind a plural is an apostrophe.
_MARK = re.compile(r"[“”„«»\"‟‹›]|(?<!\w)[‘'](?=\w)|(?<=[\w.,!?…])[’'](?!\w)")
_OPENING, _CLOSING = "“„«‘‹", "”»’›"
_KINDS = ("“”„‟", "«»", "‘’", "‹›", '"', "'")
_MOST = 40
# What stands between two closing marks that a model writes as one.
_BETWEEN = re.compile(r"[.,?!…]*")


def restore_nested_quotes(source: ProtectedText, output: ProtectedText) -> Iterator[Edit]:
    """Yields the replacement of the marks of an output by those of its source, if that has two kinds, one inside."""
    if sum(any(sign in source.text for sign in kind) for kind in _KINDS) < 2:
        return
    marks, written = _list_marks(source), _list_marks(output)
    if not 2 < len(marks) <= _MOST or not 1 < len(written) <= len(marks):
        return
    wanted = [(mark.group(), _opens(source.text, mark)) for mark in marks]
    if len(written) < len(marks):
        wanted = _merge(source.text, marks)
    if [opens for _, opens in wanted] != [_opens(output.text, mark) for mark in written]:
        return
    for (text, _), found in zip(wanted, written, strict=True):
        if text != found.group():
            yield Edit(*found.span(), text)


def has_nested_quotes(text: str) -> bool:
    """Returns True if a text may have straight marks of two kinds."""
    return '"' in text and "'" in text


def _merge(text: str, marks: Sequence[re.Match[str]]) -> list[tuple[str, bool]]:
    """Returns the marks of a source, and whether they open; those beside each other, such as `'"`, as one."""
    merged: list[tuple[str, bool]] = []
    end = 0
    for mark in marks:
        opens = _opens(text, mark)
        if merged and merged[-1][1] == opens and _BETWEEN.fullmatch(text, end, mark.start()):
            merged[-1] = (merged[-1][0] + mark.group(), opens)
        else:
            merged.append((mark.group(), opens))
        end = mark.end()
    return merged


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
