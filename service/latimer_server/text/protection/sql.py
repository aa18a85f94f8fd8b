"""Finds statements of SQL (ISO/IEC 9075) with their keywords in capitals. Pure functions.

Only forms that prose does not have count: `SELECT columns FROM table` with its clauses, `UPDATE ... SET`, `INSERT INTO
... VALUES`, `DELETE FROM` and the statements on tables. All repetitions are bounded, so the search takes linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from latimer_server.core.spans import TextSpan

_NAME = r"[\w.]{1,64}"
_LIST = r"\([^()\n]{1,200}\)"
_VALUE = rf"(?:'[^'\n]{{0,64}}'|\"[^\"\n]{{0,64}}\"|[\w.%?:@$]{{1,64}}(?:{_LIST})?)"
_TEST = rf"{_NAME} ?(?:<=|>=|<>|!=|=|<|>|\bLIKE\b|\bIN\b|\bIS\b(?: NOT)?) ?(?:{_LIST}|{_VALUE})"
_COLUMN = rf"[\w.*]{{1,64}}(?:{_LIST})?(?: AS \w{{1,64}})?"
_CLAUSE = (
    rf"(?: (?:(?:LEFT |RIGHT |INNER |OUTER )?JOIN {_NAME}(?: \w{{1,32}})? ON {_TEST}"
    rf"|WHERE {_TEST}(?: (?:AND|OR) {_TEST}){{0,8}}"
    rf"|(?:GROUP|ORDER) BY {_NAME}(?: ASC| DESC)?|LIMIT \d{{1,9}})){{0,8}}"
)
# These are patterns, no queries.
_FORMS = (
    rf"SELECT (?:DISTINCT )?{_COLUMN}(?:, ?{_COLUMN}){{0,16}} FROM {_NAME}{_CLAUSE}",  # noqa: S608
    rf"DELETE FROM {_NAME}{_CLAUSE}",  # noqa: S608
    rf"UPDATE {_NAME} SET {_TEST}(?:, ?{_TEST}){{0,16}}{_CLAUSE}",  # noqa: S608
    rf"INSERT INTO {_NAME} ?(?:{_LIST} )?VALUES ?{_LIST}",
    rf"(?:DROP|CREATE|ALTER|TRUNCATE) TABLE {_NAME}(?: ?{_LIST})?",
)
_STATEMENT = re.compile(rf"\b(?:{'|'.join(_FORMS)});?")
_SIGN = re.compile(r"(?:FROM|SET|INTO|TABLE) \w")


def find_statements(text: str) -> Iterator[TextSpan]:
    """Yields the spans of statements of SQL, ascending and disjoint."""
    if _SIGN.search(text):
        yield from (TextSpan(*match.span()) for match in _STATEMENT.finditer(text))
