"""Which language a text is in.

Knows no models. Of the sixty languages that eldc knows it tells which one a text is in; py3langid knows eighty more and
says whether it is in one of those (docs/decisions.md has the measurements, `make bench-detection` prints them again).
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from latimer_server.core.languages import UNDETERMINED, match_code
from latimer_server.core.scripts import UNSPACED_CHARACTERS

_MAX_CANDIDATES = 5
# Among all languages what is less likely is not listed.
_LEAST_LISTED = 0.000_1
_KEPT_SCOPES = 64
# Confidences are a softmax over eldc's evidence per n-gram, times the root of the number of different words (sixteen
# at most), over this: what made words, phrases and sentences of two and of six languages likeliest.
_EVIDENCE_SCALE = 2_000.0
_MAX_COUNTED_WORDS = 16
# Of what is at least this likely 98 of 100 are right: among candidates, and among all languages.
_RELIABLE_AMONG_CANDIDATES = 0.9
_RELIABLE_AMONG_ALL = 0.65
# A text is mixed where two parts of it are this sure of different languages.
_SURE_OF_A_PART = 0.95
# A candidate that has less than this share of the evidence for the best of all languages is not what the text is in.
_LEAST_SHARE = 0.8
_LEAST_WORDS_WRITTEN = 5
# By how much (evidence per n-gram) another language must lead for an output to be in a wrong one.
_ASTRAY_EVIDENCE = 3_000.0
# eldc returns twenty scores at most, and reads 1,000 bytes at most.
_MAX_SCORES = 20
_SCORES_OF_ALL = 10
_MAX_PART_CHARACTERS = 320
_MIN_PART_CHARACTERS = 16
_MAX_PARTS = 4
_MOST = 1.0 - 1e-9
_WINDOW_CHARACTERS = 600
# What is no word: addresses, paths, placeholders, numbers. Looked for in ASCII only, or Chinese that has a digit in
# it would be none either.
_NO_WORD = re.compile(r"[/@_\\{}<>%$=|#*~^\[\]0-9\x00]")
# Two characters of a script without spaces count as a word.
_UNSPACED = re.compile(f"[{UNSPACED_CHARACTERS}]")
# eldc's `ms` answers for Indonesian too; py3langid tells the two apart.
_LEFT_TO_LANGID = frozenset({"ms"})


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


@dataclass(frozen=True)
class _Scope:
    """What a text may be in. `codes` are the candidates by the label that a library has for them (none: any
    language); `known` says whether eldc has all of them, `scores` is eldc's detector of those it has.
    """

    codes: Mapping[str, str]
    inside: frozenset[str]
    known: bool
    scores: Any


class LanguageDetector:
    """Detects the language of texts. Thread-safe.

    The first call loads eldc (7 to 27 MB, 5 ms); the first without candidates, or with one that eldc does not know,
    py3langid (50 MB, 0.4 s). A sentence takes 40 us among candidates that eldc knows, 150 us among all languages.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._identifier: Any = None
        self._scopes: dict[tuple[str, ...], _Scope] = {}

    def detect(self, text: str, candidates: Sequence[str] = (), *, only: bool = True) -> Detection:
        """The languages `text` may be in, among `candidates` where there are any.

        Confidences sum to 1 over the candidates; unless they are not the `only` languages it can be in, then over
        all languages. Addresses, placeholders and numbers tell nothing. `reliable` is False where the likeliest is
        not likely enough, where parts of the text are in different languages, and where it looks like none of the
        candidates.
        """
        if not any(character.isalpha() for character in text):
            return Detection((), reliable=False)
        sample = _sample(text)
        words = _find_words(sample)
        parts = _divide(" ".join(words) or sample)
        asked, everywhere = self._find_scope(tuple(candidates)), self._find_scope(())
        if candidates and not asked.codes:
            return Detection((), reliable=False)
        scope = asked if only else everywhere
        evidence = [_measure(part, scope) for part in parts]
        total = _average(evidence, parts)
        shares = self._share(total, parts, scope)
        labels = asked.codes or {label: label for label, share in shares.items() if share >= _LEAST_LISTED}
        found = [(-shares.get(label, 0.0), code) for label, code in labels.items()]
        best = [Candidate(code, -share) for share, code in sorted(found)[:_MAX_CANDIDATES]]
        least = _RELIABLE_AMONG_CANDIDATES if scope.codes else _RELIABLE_AMONG_ALL
        reliable = bool(words and best) and best[0].confidence >= least and not _is_mixed(evidence, parts)
        if reliable and scope.codes and total:
            ceiling = max(_measure(" ".join(parts), everywhere).values(), default=0.0)
            reliable = max(total.values()) >= _LEAST_SHARE * ceiling
        return Detection(tuple(best), reliable)

    def is_written_in(self, text: str, code: str) -> bool | None:
        """Whether an output is in the language that it should be in; takes 10 us, and raises no false alarms.

        None where that can't be told: fewer than five words, a language that eldc does not know, another that is
        only a little likelier.
        """
        label = next(iter(self._find_scope((code,)).inside), "")
        words = _find_words(text[:_WINDOW_CHARACTERS]) if label else []
        if len(words) < _LEAST_WORDS_WRITTEN and len(_UNSPACED.findall(" ".join(words))) < 2 * _LEAST_WORDS_WRITTEN:
            return None
        evidence = _measure(" ".join(words), self._find_scope(()))
        own = evidence.get(label, 0.0)
        lead = max(evidence.values(), default=0.0) - own
        if own and not lead:
            return True
        return False if lead >= _ASTRAY_EVIDENCE else None

    def _share(self, evidence: Mapping[str, float], parts: Sequence[str], scope: _Scope) -> dict[str, float]:
        """The likelihood of each language of the scope: eldc's, for as much as py3langid leaves to its languages."""
        shares = _weigh(evidence, _count_words(parts))
        if scope.codes and scope.known:
            return shares or dict.fromkeys(scope.codes, 1 / len(scope.codes))
        inside, outside = 0.0, {}
        for label, p in self._load_identifier().rank("\n".join(parts)):
            if (scope.codes and label not in scope.codes) or label == "zxx":  # "no linguistic content" is no answer
                continue
            if p < _LEAST_LISTED and not scope.codes:
                break
            if shares and label in scope.inside:
                inside += p
            else:
                outside[label] = p
        total = inside + sum(outside.values()) or 1.0
        return {label: p / total for label, p in outside.items()} | {
            label: share * inside / total for label, share in shares.items()
        }

    def _find_scope(self, candidates: tuple[str, ...]) -> _Scope:
        """The scope of these candidates. Finding one takes 60 us a candidate, and a request asks with the same
        ones for each of its texts, so the last ones are kept.

        Several candidates may share a label (pt-BR, pt-PT): the first one named answers for it.
        """
        scope = self._scopes.get(candidates)
        if scope is None:
            scope = self._make_scope(candidates)
            with self._lock:
                if len(self._scopes) >= _KEPT_SCOPES:
                    self._scopes.clear()
                self._scopes[candidates] = scope
        return scope

    def _make_scope(self, candidates: tuple[str, ...]) -> _Scope:
        import eldc

        with self._lock:
            eldc.init()
        labels = frozenset(eldc.LANGUAGES) - _LEFT_TO_LANGID
        codes: dict[str, str] = {}
        for code in candidates:
            label = match_code(code, labels) or match_code(code, self._load_identifier().labels)
            if label and label != "zxx":
                codes.setdefault(label, code)
        inside = labels & codes.keys() if candidates else labels
        scores = None
        if inside:
            scores = eldc.instance()
            scores.set_scores(_MAX_SCORES if candidates else _SCORES_OF_ALL)
            scores.set_languages(sorted(inside))
        return _Scope(codes, inside, codes.keys() <= labels, scores)

    def _load_identifier(self) -> Any:  # noqa: ANN401 (the library has no types)
        with self._lock:
            if self._identifier is None:
                from py3langid.langid import MODEL_FILE, LanguageIdentifier

                self._identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
            return self._identifier


def _sample(text: str) -> str:
    """Enough of a long text to tell its language by: windows from all of it."""
    if len(text) > _MAX_PARTS * _WINDOW_CHARACTERS:
        step = (len(text) - _WINDOW_CHARACTERS) // (_MAX_PARTS - 1)
        text = "\n".join(text[i * step : i * step + _WINDOW_CHARACTERS] for i in range(_MAX_PARTS))
    return text


def _find_words(text: str) -> list[str]:
    words = text.split()
    if not _NO_WORD.search(text):
        return words
    return [word for word in words if not word.isascii() or not _NO_WORD.search(word)]


def _divide(text: str) -> list[str]:
    """Up to four parts of whole words, none longer than what eldc reads."""
    count = max(1, min(_MAX_PARTS, len(text) // _MIN_PART_CHARACTERS))
    cuts = [0]
    for index in range(1, count):
        near = index * len(text) // count
        space = text.find(" ", near, near + _MIN_PART_CHARACTERS)
        cuts.append(max(near if space < 0 else space + 1, cuts[-1]))
    ends = [*cuts[1:], len(text)]
    return [text[start:end][:_MAX_PART_CHARACTERS] for start, end in zip(cuts, ends, strict=True) if start < end]


def _measure(part: str, scope: _Scope) -> dict[str, float]:
    """The evidence that eldc has for each language, per n-gram of the part: its scores are 1 - exp(-evidence)."""
    if scope.scores is None:
        return {}
    if not part.isascii():  # lone surrogates can't be encoded, and a NUL would be the end
        part = part.replace("\0", " ").encode("utf-8", "replace").decode()
    scores: dict[str, float] = scope.scores.detect_details(part).scores
    return {label: -10_000.0 * math.log1p(-min(score, _MOST)) for label, score in scores.items()}


def _count_words(parts: Sequence[str]) -> int:
    """Different ones: eldc counts each once."""
    return len({word for part in parts for word in part.split()})


def _average(evidence: Sequence[Mapping[str, float]], parts: Sequence[str]) -> dict[str, float]:
    """The evidence of all parts, each for as much as it has characters."""
    if len(parts) == 1:
        return dict(evidence[0])
    characters = sum(map(len, parts))
    total: dict[str, float] = {}
    for part, measured in zip(parts, evidence, strict=True):
        for label, value in measured.items():
            total[label] = total.get(label, 0.0) + value * len(part) / characters
    return total


def _weigh(evidence: Mapping[str, float], words: int) -> dict[str, float]:
    """Evidence as likelihoods that sum to 1."""
    if not evidence:
        return {}
    scale = math.sqrt(min(words, _MAX_COUNTED_WORDS)) / _EVIDENCE_SCALE
    most = max(evidence.values())
    powers = {label: math.exp((value - most) * scale) for label, value in evidence.items()}
    total = sum(powers.values())
    return {label: power / total for label, power in powers.items()}


def _is_mixed(evidence: Sequence[Mapping[str, float]], parts: Sequence[str]) -> bool:
    """Whether two parts are sure of different languages."""
    if len(parts) == 1:
        return False
    sure = set()
    for part, measured in zip(parts, evidence, strict=True):
        shares = _weigh(measured, _count_words([part]))
        sure |= {label for label, share in shares.items() if share >= _SURE_OF_A_PART}
    return len(sure) > 1
