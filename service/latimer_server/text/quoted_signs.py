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
# Quotation marks without anything inside, in any language's form.
_EMPTY = ("''", '""', "“”", "‘’", "«»")


def restore_quoted_signs(source: ProtectedText, output: ProtectedText) -> Iterator[Edit]:
    """Yields the insertion of the signs that an output lacks between its quotation marks.

    The pairs of source and output answer each other in their order, if both have as many and the other signs agree.
    """
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


def _read(match: re.Match[str]) -> str:
    return match["single"] or match["double"] or match["curved"] or ""
