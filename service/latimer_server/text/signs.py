"""Keeps repeated exclamation and question marks, and the minus sign.

Models drop such repetitions or invent text around them (`Oi!!!`), so they read one mark. They write a hyphen for the
minus sign (U+2212). Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from latimer_server.text.protection.masking import ProtectedText, list_unprotected
from latimer_server.text.rewriting import Edit

_MARKS = re.compile("[!?]++")
_MINUS = "\u2212"
_NEGATIVE = re.compile(r"(?<![\w\u2212-])-(?=\d)")


def find_repeated_signs(guarded: ProtectedText) -> Iterator[Edit]:
    """Yields the replacement of each run of marks by one: the question mark if it has one."""
    for match in _find_runs(guarded):
        if len(match.group()) > 1:
            yield Edit(*match.span(), "?" if "?" in match.group() else "!")


def restore_signs(source: ProtectedText, output: ProtectedText) -> Iterator[Edit]:
    """Yields the replacement of marks and hyphens of an output by the runs of marks and the minus signs of its source.

    Marks are replaced in their order if the output has as many runs as the source. Hyphens before figures are replaced
    if the output has as many as the source has minus signs, and the source has no such hyphen. `source`: the segment as
    it was written.
    """
    runs = list(_find_runs(source))
    written = list(_find_runs(output)) if any(len(run.group()) > 1 for run in runs) else []
    if len(runs) == len(written):
        for run, found in zip(runs, written, strict=True):
            if run.group() != found.group():
                yield Edit(*found.span(), run.group())
    if _MINUS not in source.text or _NEGATIVE.search(source.text):
        return
    minus = sum(source.text.count(_MINUS, part.start, part.end) for part in list_unprotected(source))
    parts = list_unprotected(output)
    hyphens = [match for part in parts for match in _NEGATIVE.finditer(output.text, part.start, part.end)]
    if len(hyphens) == minus:
        for match in hyphens:
            yield Edit(*match.span(), _MINUS)


def _find_runs(guarded: ProtectedText) -> Iterator[re.Match[str]]:
    for part in list_unprotected(guarded):
        yield from _MARKS.finditer(guarded.text, part.start, part.end)
