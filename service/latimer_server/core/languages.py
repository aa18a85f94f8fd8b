"""Language codes (BCP-47, RFC 5646), and which of those served answers one.

Knows no models and no texts. Codes follow CLDR's matching through langcodes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

import langcodes
from langcodes.language_distance import tuple_distance_cached

UNDETERMINED = "und"
# Language, script, region, variants (RFC 5646); no extensions and nothing private, which no model is named
# by, and which a library that remembers every code it has seen would remember too.
_CODE = re.compile(
    "[A-Za-z]{2,3}([-_][A-Za-z]{4})?([-_]([A-Za-z]{2}|[0-9]{3}))?([-_]([A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))*"
)
_MAX_CODE_CHARACTERS = 35
# CLDR distances: 0-5 are regions and near-synonyms (pt-PT to pt, no to nb), 9 another script and region that
# the same readers know (sr-ME to sr); from 10 on a reader may not understand (ca to es is 20).
_MAX_DISTANCE = 9
# CLDR is about which page a reader may be shown, and puts Croatian and Bosnian, or German for Luxembourgish,
# at 8. A translation in a wrong language is worse than a refusal: near codes are of one language, where `no` and
# `nb` are one (`nn` is not).
_REMEMBERED_CODES = 4_096


@lru_cache(_REMEMBERED_CODES)
def normalize_code(code: str) -> str:
    """The canonical form of a code: `EN_us` is `en-US`. Raises ValueError for what is none."""
    if len(code) > _MAX_CODE_CHARACTERS or not _CODE.fullmatch(code) or not langcodes.tag_is_valid(code):
        raise ValueError(f"{code[:40]!r} is no BCP-47 language code")
    return langcodes.standardize_tag(code)


def match_code(wanted: str, served: Iterable[str]) -> str | None:
    """The served code that answers `wanted`: itself, or a near one (`pt-BR` and `pt`); else None."""
    return next(iter(near_codes(wanted, served)), None)


@lru_cache(_REMEMBERED_CODES)
def is_near(wanted: str, served: str) -> bool:
    """Whether one served code answers `wanted`; a request asks it of each of its pairs, again and again."""
    return match_code(wanted, [served]) is not None


def near_codes(wanted: str, served: Iterable[str]) -> list[str]:
    """The served codes that answer `wanted`: itself first, then by CLDR's distance, the shorter among equals."""
    place = _locate(wanted)
    found = []
    for code in set(served):
        other = _locate(code)
        if _merge_norwegian(other[0]) == _merge_norwegian(place[0]):
            distance = tuple_distance_cached(place, other)
            if distance <= _MAX_DISTANCE:
                found.append((code != wanted, distance, len(code), code))
    return [code for *_, code in sorted(found)]


class CodeIndex:
    """Served codes by their language, so that the near ones of hundreds are found in a few microseconds."""

    def __init__(self, codes: Iterable[str]) -> None:
        self._by_language: dict[str, list[str]] = {}
        for code in codes:
            self._by_language.setdefault(_merge_norwegian(_locate(code)[0]), []).append(code)

    def near(self, wanted: str) -> list[str]:
        """What `near_codes` says."""
        return near_codes(wanted, self._by_language.get(_merge_norwegian(_locate(wanted)[0]), ()))


def simplify_code(code: str) -> str:
    """The canonical code under which a text's language is asked for: a language for the one that stands for
    all of a macrolanguage (`cmn` is zh, `arb` is ar, `zsm` is ms), and no script that goes without saying.

    Raises ValueError for what is no code.
    """
    language = langcodes.Language.get(normalize_code(code))
    wide = language.prefer_macrolanguage()
    # Only where the wider code is the better known: `bcl` stays what it is, and `tw` beside `ak`.
    if len(language.language or "") > len(wide.language or ""):
        language = wide
    return language.simplify_script().to_tag()


@lru_cache(_REMEMBERED_CODES)
def _locate(code: str) -> tuple[str, str, str]:
    """Language, script and region with what is likely filled in, which is what CLDR compares."""
    language = langcodes.Language.get(code)
    if language.language is None:  # `und` would be filled in with English
        return UNDETERMINED, "Zzzz", "ZZ"
    full = language.prefer_macrolanguage().maximize()
    return full.language or UNDETERMINED, full.script or "", full.territory or ""


def _merge_norwegian(language: str) -> str:
    return "no" if language == "nb" else language
