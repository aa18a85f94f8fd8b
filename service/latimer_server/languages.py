"""Language codes (BCP-47, RFC 5646), which of those served answers one, and which language a text is in.

Knows no models. Codes follow CLDR's matching through langcodes; detection is py3langid's (docs/decisions.md
has the measurements behind both).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

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
# Above this share of the probability the first candidate was right in all of 1,200 phrases of three words.
_RELIABLE_CONFIDENCE = 0.6
_MAX_CANDIDATES = 5
_KEPT_MATCHES = 64
_SAMPLE_WINDOWS = 3
_SAMPLE_CHARACTERS = 1_000


@dataclass(frozen=True)
class Candidate:
    """A language that a text may be in, and how likely (all languages sum to 1)."""

    code: str
    confidence: float


@dataclass(frozen=True)
class Detection:
    """The likeliest languages, best first; none where the text has no letters."""

    candidates: tuple[Candidate, ...]
    reliable: bool

    @property
    def best(self) -> Candidate:
        """The likeliest; `und` at 0 where there is nothing to tell by."""
        return self.candidates[0] if self.candidates else Candidate(UNDETERMINED, 0.0)


def normalize_code(code: str) -> str:
    """The canonical form of a code: `EN_us` is `en-US`. Raises ValueError for what is none."""
    if len(code) > _MAX_CODE_CHARACTERS or not _CODE.fullmatch(code) or not langcodes.tag_is_valid(code):
        raise ValueError(f"{code[:40]!r} is no BCP-47 language code")
    return langcodes.standardize_tag(code)


def match_code(wanted: str, served: Iterable[str]) -> str | None:
    """The served code that answers `wanted`: itself, or a near one (`pt-BR` and `pt`); else None."""
    return next(iter(near_codes(wanted, served)), None)


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


class LanguageDetector:
    """Detects the language of texts; loads its model (0.5 s, 30 MB) at the first call. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._identifier: Any = None
        self._matched: dict[tuple[str, ...], dict[str, str]] = {}

    def detect(self, text: str, candidates: Sequence[str] = (), *, only: bool = True) -> Detection:
        """The languages `text` may be in, among `candidates` where there are any.

        Confidences sum to 1 over the candidates; unless they are not the `only` languages it can be in.
        """
        if not any(character.isalpha() for character in text):
            return Detection((), reliable=False)
        ranked: list[tuple[str, float]] = self._load().rank(_sample(text))
        scores = dict(ranked)
        scores.pop("zxx", None)  # "no linguistic content" is not a language anybody can ask for
        if candidates:
            scores = {code: scores[label] for label, code in self._match_labels(tuple(candidates), scores).items()}
        total = (sum(scores.values()) or 1.0) if only else 1.0
        best = sorted(((score / total, code) for code, score in scores.items()), key=lambda pair: (-pair[0], pair[1]))
        found = tuple(Candidate(code, confidence) for confidence, code in best[:_MAX_CANDIDATES])
        return Detection(found, reliable=bool(found) and found[0].confidence >= _RELIABLE_CONFIDENCE)

    def _match_labels(self, candidates: tuple[str, ...], labels: Iterable[str]) -> dict[str, str]:
        """The label of each candidate that the model has one for. Matching takes 60 us a candidate, and a
        request asks with the same ones for each of its texts, so the last answers are kept.

        Several candidates may share a label (pt-BR, pt-PT): the first one named answers for it.
        """
        found = self._matched.get(candidates)
        if found is None:
            if len(self._matched) >= _KEPT_MATCHES:
                self._matched.clear()
            matched = {match_code(code, labels): code for code in reversed(candidates)}
            found = self._matched[candidates] = {label: code for label, code in matched.items() if label}
        return found

    def _load(self) -> Any:  # noqa: ANN401 (the library has no types)
        with self._lock:
            if self._identifier is None:
                from py3langid.langid import MODEL_FILE, LanguageIdentifier

                self._identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
            return self._identifier


def _sample(text: str) -> str:
    """Enough of a long text to tell its language by: windows from its start, middle and end."""
    if len(text) <= _SAMPLE_WINDOWS * _SAMPLE_CHARACTERS:
        return text
    step = (len(text) - _SAMPLE_CHARACTERS) // (_SAMPLE_WINDOWS - 1)
    return "\n".join(text[i * step : i * step + _SAMPLE_CHARACTERS] for i in range(_SAMPLE_WINDOWS))
