"""Writes the table of plural forms of the client's PO files from CLDR, as Babel converts its rules.

Run: .venv/bin/python -m benchmarks.clients.plural_table
"""

from __future__ import annotations

import gettext
import textwrap
from pathlib import Path

from babel import __version__
from babel.messages.plurals import PLURALS

TABLE = Path(__file__).parents[2] / "clients/python/src/latimer/files/plural_table.py"
_START = f'''"""Plural forms of languages by CLDR. benchmarks/clients/plural_table.py writes this file.

Source: the plural rules of CLDR (Unicode License v3), made gettext's expressions by Babel {__version__} (BSD-3-Clause).
"""

from __future__ import annotations

# The number of forms, the C expression that gives the form of `n`, and the languages.
_ROWS: tuple[tuple[int, str, str], ...] = (
'''
_END = """)

PLURAL_FORMS = {
    language: (count, expression) for count, expression, languages in _ROWS for language in languages.split()
}
"""


def main() -> None:
    """Writes the table."""
    languages: dict[tuple[int, str], list[str]] = {}
    for language, (count, expression) in sorted(PLURALS.items()):
        plural = gettext.c2py(expression)
        if not all(0 <= plural(number) < count for number in range(1000)):
            raise SystemExit(f"the expression of {language} has a form beyond its count")
        languages.setdefault((count, expression), []).append(language)
    rows = (
        f"    (\n        {count},\n{_literal(expression)}{_literal(' '.join(names))}    ),\n"
        for (count, expression), names in sorted(languages.items())
    )
    TABLE.write_text(_START + "".join(rows) + _END)


def _literal(text: str) -> str:
    lines = textwrap.wrap(text, 104, drop_whitespace=False)
    return "\n".join(f'        "{line}"' for line in lines) + ",\n"


if __name__ == "__main__":
    main()
