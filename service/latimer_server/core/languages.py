"""Language codes: normalizes BCP-47 codes (RFC 5646) and matches a requested code with served codes.

Matching uses CLDR's language distances from the library langcodes, within one language.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

import langcodes
from langcodes.language_distance import tuple_distance_cached

UNDETERMINED = "und"
# Language, script, region and variants (RFC 5646). Extensions and private subtags are excluded: no model uses them, and
# langcodes caches every code that it sees, so they would let callers fill the memory.
_CODE = re.compile(
    "[A-Za-z]{2,3}([-_][A-Za-z]{4})?([-_]([A-Za-z]{2}|[0-9]{3}))?([-_]([A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))*"
)
_MAX_CODE_CHARACTERS = 35
# Distances of CLDR: 0 to 5 are regions and near-synonyms (pt-PT to pt, no to nb), 9 is another script and region that
# the same readers know (sr-ME to sr). From 10 on a reader may not understand the other (ca to es is 20).
# CLDR also puts Croatian and Bosnian, or Luxembourgish and German, at 8. That is meant for choosing a web page; a
# translation into the wrong language is worse than an error. Near codes must therefore have the same language, where
# `no` and `nb` count as the same, but not `nn`.
_MAX_DISTANCE = 9
_REMEMBERED_CODES = 4_096


@lru_cache(_REMEMBERED_CODES)
def normalize_code(code: str) -> str:
    """Returns the canonical form of a code: `en-US` for `EN_us`. Raises ValueError if the code is invalid."""
    if len(code) > _MAX_CODE_CHARACTERS or not _CODE.fullmatch(code) or not langcodes.tag_is_valid(code):
        raise ValueError(f"{code[:40]!r} is not a BCP-47 language code")
    return langcodes.standardize_tag(code)


def primary_subtag(code: str) -> str:
    """Returns the primary language subtag (RFC 5646) of a BCP-47 code, in small letters: `pt` for `pt-BR`."""
    return code.split("-", 1)[0].lower()


def match_code(wanted: str, served: Iterable[str]) -> str | None:
    """Returns the served code that is the same as `wanted` or nearest to it (`pt` for `pt-BR`); None if none is near.

    Near codes have the same language, see `near_codes`.
    """
    return next(iter(near_codes(wanted, served)), None)


@lru_cache(_REMEMBERED_CODES)
def is_near(wanted: str, served: str) -> bool:
    """Returns True if a served code matches `wanted`. Cached, because each request checks each of its pairs."""
    return match_code(wanted, [served]) is not None


def near_codes(wanted: str, served: Iterable[str]) -> list[str]:
    """Returns the served codes of the same language that readers of `wanted` understand, the nearest first.

    The same code comes first; the others are sorted by CLDR's distance, at most `_MAX_DISTANCE`, then by length.
    """
    wanted_parts = _maximize(wanted)
    matches = []
    for code in set(served):
        parts = _maximize(code)
        if _merge_norwegian(parts[0]) == _merge_norwegian(wanted_parts[0]):
            distance = tuple_distance_cached(wanted_parts, parts)
            if distance <= _MAX_DISTANCE:
                matches.append((code != wanted, distance, len(code), code))
    return [code for *_, code in sorted(matches)]


class CodeIndex:
    """An index of served codes by language. It finds the near codes among hundreds in a few microseconds."""

    def __init__(self, codes: Iterable[str]) -> None:
        self._by_language: dict[str, list[str]] = {}
        for code in codes:
            self._by_language.setdefault(_merge_norwegian(_maximize(code)[0]), []).append(code)

    def near(self, wanted: str) -> list[str]:
        """Returns the indexed codes that match `wanted`, in the order of `near_codes`."""
        return near_codes(wanted, self._by_language.get(_merge_norwegian(_maximize(wanted)[0]), ()))


def simplify_code(code: str) -> str:
    """Returns the simplest code that callers would use for a language.

    The dominant language of a macrolanguage becomes the macrolanguage if that has the shorter code (`cmn` becomes `zh`,
    `arb` `ar`, `zsm` `ms`), and the usual script of a language is dropped. Raises ValueError if the code is invalid.
    """
    language = langcodes.Language.get(normalize_code(code))
    macrolanguage = language.prefer_macrolanguage()
    # Only if the macrolanguage has the shorter code, which is better known. `bcl` and `tw` thus keep their own codes.
    if len(language.language or "") > len(macrolanguage.language or ""):
        language = macrolanguage
    return language.simplify_script().to_tag()


@lru_cache(_REMEMBERED_CODES)
def _maximize(code: str) -> tuple[str, str, str]:
    """Returns language, script and region of a code, with missing parts set to the likely ones, for CLDR's distances.

    The language of a macrolanguage's member is the macrolanguage.
    """
    language = langcodes.Language.get(code)
    if language.language is None:  # langcodes would take `und` for English
        return UNDETERMINED, "Zzzz", "ZZ"
    full = language.prefer_macrolanguage().maximize()
    return full.language or UNDETERMINED, full.script or "", full.territory or ""


def _merge_norwegian(language: str) -> str:
    return "no" if language == "nb" else language
