"""Tells values of data that are identifiers from texts: keys, paths, addresses, colours, dates, languages."""

from __future__ import annotations

import re

# One word of ASCII with a sign that words of a text do not have. A hyphen, dot or slash after a capital letter may be
# a label, such as `Sign-in` or `Yes/No`.
_IDENTIFIER = re.compile(
    r"""
    [a-z][a-z0-9+.-]*://\S+ | (?:mailto|tel|data|urn):\S+ | www\.\S+ | [\w.+-]+@[\w-]+(?:\.[\w-]+)+  # addresses
    | \#[0-9a-fA-F]{3,8} | (?:rgb|hsl)a?\([^()]*\)                                                  # colours
    | \d{4}-\d\d(?:-\d\d(?:[T\s][\d:.,]+(?:Z|[+-][\d:]+)?)?)?                                        # dates
    | true | false | null
    | [./~@$]?[A-Za-z0-9]*(?:[0-9_]|[a-z][A-Z])[A-Za-z0-9_./:@$-]*                                   # keys with digits
    | [./~@$]?[a-z0-9_]+(?:[./:-][A-Za-z0-9_]+)+                                                     # and paths
    | [./~@$]+[A-Za-z0-9_./:-]+
    | [a-z]{2,3}(?:[-_][A-Z][a-z]{3})?[-_](?:[A-Z]{2}|\d{3})                                         # languages
    """,
    re.VERBOSE | re.ASCII,
)
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}", re.ASCII)
_LANGUAGE_KEYS = frozenset({"lang", "language", "locale", "hreflang", "language_code", "languagecode", "lang_code"})


def is_identifier(value: str, key: str = "") -> bool:
    """Returns True if a value is an identifier of a program. `key`: that of the value, which may name a language."""
    value = value.strip()
    if _IDENTIFIER.fullmatch(value):
        return True
    return key.lower() in _LANGUAGE_KEYS and _LANGUAGE.fullmatch(value) is not None


def has_letter(text: str) -> bool:
    """Returns True if a text has a letter; without one there is nothing to translate."""
    return text.isalpha() or any(map(str.isalpha, text))
