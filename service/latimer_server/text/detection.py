"""Detects the language of texts.

A table of n-grams (`text/ngrams`) chooses among its sixty languages. py3langid knows eighty more and says whether a
text is in one of those. docs/decisions/0030 and 0063 have the measurements; `make bench-detection` prints them again.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from latimer_server.core.languages import UNDETERMINED, match_code
from latimer_server.core.scripts import UNSPACED_CHARACTERS

# Both import numpy, which a server should not wait for before it listens.
if TYPE_CHECKING:
    from latimer_server.text.langid_model import LangidIdentifier
    from latimer_server.text.ngrams.scorer import Scorer

_MAX_CANDIDATES = 5
# Without candidates, `detect` does not list a language with a lower confidence.
_LEAST_LISTED = 0.000_1
_KEPT_SCOPES = 64
# Turns evidence into confidences: they are a softmax over the evidence per n-gram, times the square root of the number
# of different words (sixteen at most), divided by this scale. The value maximized the likelihood of words, phrases and
# sentences of two and of six languages.
_EVIDENCE_SCALE = 2_000.0
_MAX_COUNTED_WORDS = 16
# The least confidence of a `reliable` detection, among given candidates and among all languages. From there on, 98 of
# 100 answers are right.
_RELIABLE_AMONG_CANDIDATES = 0.9
_RELIABLE_AMONG_ALL = 0.65
# A text is in several languages, and its detection not `reliable`, if two parts of it reach this confidence for
# different languages.
_SURE_OF_A_PART = 0.95
# A detection is not `reliable` if the best candidate has less than this share of the evidence of the best of all
# languages: the text is then probably in none of the candidates.
_LEAST_SHARE = 0.8
_LEAST_WORDS_WRITTEN = 5
# `is_written_in` returns False only if another language leads by at least this much evidence per n-gram.
_ASTRAY_EVIDENCE = 3_000.0
# The languages that a confidence is divided among, the likeliest ones: of the candidates, and of all languages.
_MAX_SCORES = 20
_SCORES_OF_ALL = 10
# A text is measured in up to four parts, so that one in two languages is noticed.
_MAX_PART_CHARACTERS = 320
_MIN_PART_CHARACTERS = 16
_MAX_PARTS = 4
_WINDOW_CHARACTERS = 600
# A character of an address, path, placeholder or number. An ASCII word that contains one says nothing about the
# language and is ignored. Other words are kept: a whole Chinese sentence is one "word", and may contain a digit.
_NO_WORD = re.compile(r"[/@_\\{}<>%$=|#*~^\[\]0-9\x00]")
# A character of a script without spaces. `is_written_in` counts two of them as a word.
_UNSPACED = re.compile(f"[{UNSPACED_CHARACTERS}]")
# Languages of the table that only py3langid detects: its `ms` is Indonesian too, py3langid tells the two apart.
_LEFT_TO_LANGID = frozenset({"ms"})
# py3langid's label for "no linguistic content".
_NO_LANGUAGE = "zxx"


@dataclass(frozen=True)
class Candidate:
    """A possible language of a text. `code`: BCP-47. `confidence`: from 0 to 1; see `LanguageDetector.detect`."""

    code: str
    confidence: float


@dataclass(frozen=True)
class Detection:
    """The likeliest languages of a text, best first, at most five; none if the text has no letter.

    `reliable`: True if the best language can be trusted; see `LanguageDetector.detect`.
    """

    candidates: tuple[Candidate, ...]
    reliable: bool

    @property
    def best(self) -> Candidate:
        """The likeliest language, or `und` with confidence 0 if there is none."""
        return self.candidates[0] if self.candidates else Candidate(UNDETERMINED, 0.0)


@dataclass(frozen=True)
class _Scope:
    """The languages among which a text is detected.

    `codes`: the BCP-47 code of each candidate by its label in the table or py3langid; empty if any language may be
    detected. `labels`: the labels of the scope that are in the table. `all_in_table`: True if every candidate is in the
    table. `among`: the labels as bits (see `Scorer.measure`). `scorer`: the one that measures, None without labels.
    """

    codes: Mapping[str, str]
    labels: frozenset[str]
    all_in_table: bool
    among: int
    scorer: Scorer | None


class LanguageDetector:
    """Detects the language of texts. Thread-safe.

    The first call loads the table of n-grams (7 MB, 20 ms). The first call without candidates, or with one that the
    table does not have, loads py3langid (50 MB, 0.4 s). A sentence takes 40 us among candidates of the table, 150 us
    among all languages.
    """

    def __init__(self, scorer: Scorer | None = None) -> None:
        """`scorer`: measures the evidence of n-grams; by default that of `load_scorer`, at the first call."""
        self._lock = threading.Lock()
        self._scorer = scorer
        self._identifier: LangidIdentifier | None = None
        self._scopes: dict[tuple[str, ...], _Scope] = {}

    def detect(self, text: str, candidates: Sequence[str] = (), *, only: bool = True) -> Detection:
        """Returns the likeliest languages of `text`, at most five; none without letters or without a known candidate.

        `candidates`: BCP-47 codes to choose from; all languages by default. Confidences sum to 1 over the candidates,
        or over all languages with `only=False`, which means that the text may be in another language. Addresses,
        placeholders and numbers are ignored. Of a long text, only samples are read. `reliable` is False if the best
        confidence is too low, if parts of the text are in different languages, or if the text looks like none of the
        candidates.
        """
        if not any(character.isalpha() for character in text):
            return Detection((), reliable=False)
        sample = _sample(text)
        words = _find_words(sample)
        parts = _divide(" ".join(words) or sample)
        narrow, everywhere = self._find_scope(tuple(candidates)), self._find_scope(())
        if candidates and not narrow.codes:
            return Detection((), reliable=False)
        scope = narrow if only else everywhere
        evidence = [_measure(part, scope) for part in parts]
        total = _average(evidence, parts)
        shares = self._share(total, parts, scope)
        labels = narrow.codes or {label: label for label, share in shares.items() if share >= _LEAST_LISTED}
        ranked = sorted((-shares.get(label, 0.0), code) for label, code in labels.items())
        best = [Candidate(code, -negated) for negated, code in ranked[:_MAX_CANDIDATES]]
        least = _RELIABLE_AMONG_CANDIDATES if scope.codes else _RELIABLE_AMONG_ALL
        reliable = bool(words and best) and best[0].confidence >= least and not _is_mixed(evidence, parts)
        if reliable and scope.codes and total:
            ceiling = max(_measure(" ".join(parts), everywhere).values(), default=0.0)
            reliable = max(total.values()) >= _LEAST_SHARE * ceiling
        return Detection(tuple(best), reliable)

    def loads_model(self, candidates: Sequence[str] = ()) -> bool:
        """Returns True if `detect` with these candidates loads py3langid first (0.4 s of one core)."""
        if self._identifier is not None:
            return False
        labels = frozenset(self._load_scorer().languages) - _LEFT_TO_LANGID
        return not candidates or not all(match_code(code, labels) for code in candidates)

    def is_written_in(self, text: str, code: str) -> bool | None:
        """Returns True if `code` is the likeliest language of `text`, False if another one is much likelier.

        Reads the first 600 characters. Returns None if they have fewer than five words, if the table does not have
        the language, or if another one is only a little likelier: the answer False is meant to be free of false alarms.
        Takes 10 us.
        """
        label = next(iter(self._find_scope((code,)).labels), "")
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
        """Returns the confidence of each language of the scope by its label; they sum to 1.

        `evidence`: of the table, by label. If the table has all candidates, it decides alone. Otherwise py3langid
        divides the total between the languages of the table and the others, and the table divides the part of its own.
        """
        shares = _weigh(evidence, _count_words(parts))
        if scope.codes and scope.all_in_table:
            return shares or dict.fromkeys(scope.codes, 1 / len(scope.codes))
        inside, outside = 0.0, {}
        for label, p in self._load_identifier().rank("\n".join(parts)):
            if (scope.codes and label not in scope.codes) or label == _NO_LANGUAGE:
                continue
            if p < _LEAST_LISTED and not scope.codes:
                break
            if shares and label in scope.labels:
                inside += p
            else:
                outside[label] = p
        total = inside + sum(outside.values()) or 1.0
        return {label: p / total for label, p in outside.items()} | {
            label: share * inside / total for label, share in shares.items()
        }

    def _find_scope(self, candidates: tuple[str, ...]) -> _Scope:
        """Returns the scope of these candidates (BCP-47 codes); of all languages without any.

        Scopes are kept in memory: building one takes 60 us per candidate, and a request passes the same candidates for
        each of its contents. If several candidates share a label (pt-BR, pt-PT), the first one stands for it.
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
        scorer = self._load_scorer()
        labels = frozenset(scorer.languages) - _LEFT_TO_LANGID
        codes: dict[str, str] = {}
        for code in candidates:
            label = match_code(code, labels) or match_code(code, self._load_identifier().labels)
            if label and label != _NO_LANGUAGE:
                codes.setdefault(label, code)
        chosen = labels & codes.keys() if candidates else labels
        among = sum(1 << number for number, label in enumerate(scorer.languages) if label in chosen)
        return _Scope(codes, chosen, codes.keys() <= labels, among, scorer if chosen else None)

    def _load_scorer(self) -> Scorer:
        with self._lock:
            if self._scorer is None:
                from latimer_server.text.ngrams.scorer import load_scorer

                self._scorer = load_scorer()
            return self._scorer

    def _load_identifier(self) -> LangidIdentifier:
        with self._lock:
            if self._identifier is None:
                from latimer_server.text.langid_model import load_identifier

                self._identifier = load_identifier()
            return self._identifier


def _sample(text: str) -> str:
    """Returns a text of up to 2,400 characters unchanged, of a longer one four windows of 600, spread evenly over it.

    The windows are joined by line breaks.
    """
    if len(text) > _MAX_PARTS * _WINDOW_CHARACTERS:
        step = (len(text) - _WINDOW_CHARACTERS) // (_MAX_PARTS - 1)
        text = "\n".join(text[i * step : i * step + _WINDOW_CHARACTERS] for i in range(_MAX_PARTS))
    return text


def _find_words(text: str) -> list[str]:
    """Returns the words of a text, split at white space, without ASCII words that are no prose.

    Those contain a character of an address, path, placeholder or number.
    """
    words = text.split()
    if not _NO_WORD.search(text):
        return words
    return [word for word in words if not word.isascii() or not _NO_WORD.search(word)]


def _divide(text: str) -> list[str]:
    """Divides a text into one to four parts of about equal length, and returns the first 320 characters of each.

    A part begins at a word if there is a space near its start, else anywhere.
    """
    count = max(1, min(_MAX_PARTS, len(text) // _MIN_PART_CHARACTERS))
    cuts = [0]
    for index in range(1, count):
        near = index * len(text) // count
        space = text.find(" ", near, near + _MIN_PART_CHARACTERS)
        cuts.append(max(near if space < 0 else space + 1, cuts[-1]))
    ends = [*cuts[1:], len(text)]
    return [text[start:end][:_MAX_PART_CHARACTERS] for start, end in zip(cuts, ends, strict=True) if start < end]


def _measure(part: str, scope: _Scope) -> dict[str, float]:
    """Returns the evidence for each language of the scope by its label, per n-gram of the part.

    Empty if no language of the scope is in the table.
    """
    if scope.scorer is None:
        return {}
    return scope.scorer.measure(part, scope.among, _MAX_SCORES if scope.codes else _SCORES_OF_ALL)


def _count_words(parts: Sequence[str]) -> int:
    """Returns the number of different words in all parts together, since an n-gram counts once."""
    return len({word for part in parts for word in part.split()})


def _average(evidence: Sequence[Mapping[str, float]], parts: Sequence[str]) -> dict[str, float]:
    """Returns the mean evidence for each language over all parts, weighted by their length in characters."""
    if len(parts) == 1:
        return dict(evidence[0])
    characters = sum(map(len, parts))
    total: dict[str, float] = {}
    for part, measured in zip(parts, evidence, strict=True):
        for label, value in measured.items():
            total[label] = total.get(label, 0.0) + value * len(part) / characters
    return total


def _weigh(evidence: Mapping[str, float], words: int) -> dict[str, float]:
    """Returns the confidence of each language by its label: a softmax of the evidence. Empty without evidence.

    `words`: the number of different words of the text; more words make the confidences more extreme.
    """
    if not evidence:
        return {}
    scale = math.sqrt(min(words, _MAX_COUNTED_WORDS)) / _EVIDENCE_SCALE
    most = max(evidence.values())
    powers = {label: math.exp((value - most) * scale) for label, value in evidence.items()}
    total = sum(powers.values())
    return {label: power / total for label, power in powers.items()}


def _is_mixed(evidence: Sequence[Mapping[str, float]], parts: Sequence[str]) -> bool:
    """Returns True if two parts of a text are surely in different languages (see `_SURE_OF_A_PART`)."""
    if len(parts) == 1:
        return False
    sure = set()
    for part, measured in zip(parts, evidence, strict=True):
        shares = _weigh(measured, _count_words([part]))
        sure |= {label for label, share in shares.items() if share >= _SURE_OF_A_PART}
    return len(sure) > 1
