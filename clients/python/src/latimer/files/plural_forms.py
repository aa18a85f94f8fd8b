"""Plural forms of languages, as the header `Plural-Forms` of a PO file gives them."""

from __future__ import annotations

import gettext
import re
from dataclasses import dataclass

from latimer.files.plural_table import PLURAL_FORMS

_HEADER = re.compile(r"nplurals\s*=\s*(\d{1,2})\s*;\s*plural\s*=\s*([^;]+)")
# Numbers that tell whether "few" and "many" differ; the forms for millions of Spanish and French do not.
_ORDINARY = range(2, 21)


@dataclass(frozen=True)
class PluralForms:
    """The number of forms, and the C expression that gives the form of `n`."""

    count: int
    expression: str

    @property
    def header(self) -> str:
        """The value of the header."""
        return f"nplurals={self.count}; plural={self.expression};"

    @property
    def singular(self) -> int | None:
        """The form of the number 1; None if there is one form for all numbers."""
        return None if self.count == 1 else int(gettext.c2py(self.expression)(1))

    @property
    def is_rich(self) -> bool:
        """True if the numbers from 2 to 20 have several forms, which a source with two forms does not tell apart."""
        return len({gettext.c2py(self.expression)(number) for number in _ORDINARY}) > 1


def find_forms(language: str) -> PluralForms | None:
    """Returns the forms of a language (BCP-47); None if CLDR does not know them."""
    parts = language.replace("-", "_").split("_")
    while parts:
        found = PLURAL_FORMS.get("_".join(parts))
        if found:
            return PluralForms(*found)
        parts.pop()
    return None


def parse_forms(header: str) -> PluralForms | None:
    """Returns the forms of a header; None if it has none, as that of a template."""
    match = _HEADER.search(header)
    if match is None:
        return None
    forms = PluralForms(int(match[1]), match[2].strip())
    try:
        numbers = {int(gettext.c2py(forms.expression)(number)) for number in range(200)}
    except (ValueError, RecursionError, ArithmeticError):
        return None
    return forms if forms.count and max(numbers) < forms.count else None
