"""Names of languages for people: "Brazilian Portuguese" for `pt-BR`, "português (Brasil)" in Portuguese.

The names are those of CLDR (https://cldr.unicode.org). `clients/python/tools/language_names.py` writes the table. Only
the part of one language of display is read, at its first use.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from latimer.errors import InvalidArgumentError

_TABLE = "data/language_names.zip"
# Languages of display whose tables stay in memory.
_KEPT = 8


def language_name(code: str, *, in_: str = "en") -> str:
    """Returns the name of a language; the code itself if CLDR has no name for it.

    `code`: BCP-47, such as "pt", "pt-BR" or "zh-Hant", or ISO 639-2, such as "por"; case and underscores do not matter.
    `in_`: the language of the name. If CLDR has few names in it, the name is English.
    """
    tag = _normalize(code, "code")
    parts = tag.split("-")
    names = _read_names(_normalize(in_, "in_"))
    for known, rest in _split(parts):
        if (name := names["languages"].get("-".join(known))) is None:
            continue
        details = [names["scripts"].get(part) or names["regions"].get(part) or part for part in rest]
        return f"{name} ({', '.join(details)})" if details else str(name)
    return tag


def _split(parts: list[str]) -> Iterator[tuple[list[str], list[str]]]:
    """Yields the ways to read a tag as a language with a name of its own and the other subtags, longest first."""
    language, *rest = parts
    for length in range(len(rest), 0, -1):
        yield parts[: length + 1], parts[length + 1 :]
    for index, subtag in enumerate(rest):  # en-Latn-GB is British English (Latin)
        yield [language, subtag], rest[:index] + rest[index + 1 :]
    yield [language], rest


def _normalize(code: object, name: str) -> str:
    """Returns a tag in the case of BCP-47, with the code that CLDR prefers for its language."""
    if not isinstance(code, str) or not re.fullmatch(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*", code):
        given = repr(code) if isinstance(code, str) else type(code).__name__
        raise InvalidArgumentError(f"{name} is {given}; it must be a language code, such as 'pt' or 'pt-BR'")
    language, *rest = re.split("[-_]", code)
    language = language.lower()
    subtags = [part.title() if len(part) == 4 else part.upper() if len(part) < 4 else part.lower() for part in rest]
    aliases = _read_table("aliases") or {}
    return "-".join([str(aliases.get(language, language)), *subtags])


def _read_names(tag: str) -> Mapping[str, Any]:
    parts = tag.split("-")
    for length in range(len(parts), 0, -1):
        if (names := _read_table("-".join(parts[:length]))) is not None:
            return names
    english: Mapping[str, Any] = _read_table("en") or {}
    return english


@lru_cache(maxsize=_KEPT)
def _read_table(name: str) -> Mapping[str, Any] | None:
    # Imported late: few programs ask for names, and these modules are a tenth of the time of the client's import.
    import json
    import zipfile
    from importlib.resources import files

    with (files("latimer") / _TABLE).open("rb") as file, zipfile.ZipFile(file) as archive:
        try:
            table: Mapping[str, Any] = json.loads(archive.read(f"{name}.json"))
        except KeyError:
            return None
    return table
