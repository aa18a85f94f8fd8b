"""Puts back signs between quotation marks that a model dropped: `expected '' before '}'` for `expected ';' before '}'`.

Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from latimer_server.text.protection.masking import ProtectedText, list_unprotected
from latimer_server.text.rewriting import Edit

# A pair of quotation marks with up to three signs inside, or none.
_QUOTED = re.compile(
    r"(?<!\w)(?:'(?P<single>[^\w\s']{0,3})'|\"(?P<double>[^\w\s\"]{0,3})\"|[“‘](?P<curved>[^\w\s”’]{0,3})[”’])(?!\w)"
)
# Up to three signs and a comma or full stop that American typography has moved before the closing mark.
_MOVED = re.compile(r"(?<!\w)\"(?P<signs>[^\w\s\"]{1,3})(?P<mark>[.,])\"")
# Quotation marks without anything inside, in any language's form.
_EMPTY = ("''", '""', "“”", "‘’", "«»")


def restore_quoted_signs(source: ProtectedText, output: ProtectedText) -> Iterator[Edit]:
    """Yields the insertion of the signs that an output lacks between its quotation marks, and the move of a comma or
    full stop back behind a closing mark.

    The pairs of quotation marks of source and output correspond in their order, if there are as many in both and the
    signs in all other pairs are equal.
    """
    yield from _move_marks(source, output)
    if not any(marks in output.text for marks in _EMPTY):
        return
    wanted, found = list(_QUOTED.finditer(source.text)), list(_QUOTED.finditer(output.text))
    if not found or len(wanted) != len(found):
        return
    pairs = [(_read(old), match, _read(match)) for old, match in zip(wanted, found, strict=True)]
    if any(new and new != old for old, _, new in pairs):
        return
    parts = list_unprotected(output)
    for old, match, new in pairs:
        place = match.start() + 1
        if old and not new and any(part.start < place < part.end for part in parts):
            yield Edit(place, place, old)


def _move_marks(source: ProtectedText, output: ProtectedText) -> Iterator[Edit]:
    for match in _MOVED.finditer(output.text):
        signs, mark = match["signs"], match["mark"]
        if f'"{signs}"{mark}' not in source.text or f'"{signs}{mark}"' in source.text:
            continue
        start, end = match.start("mark"), match.end()
        if any(part.start <= start and end <= part.end for part in list_unprotected(output)):
            yield Edit(start, end, f'"{mark}')


def _read(match: re.Match[str]) -> str:
    return match["single"] or match["double"] or match["curved"] or ""
