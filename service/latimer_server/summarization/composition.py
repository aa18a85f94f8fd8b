"""The parts of a summary, from sentences read to sentences put together, and how long it may be.

Pure; knows no models.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from latimer_server.core.errors import LatimerError
from latimer_server.core.flags import Flag
from latimer_server.core.languages import UNDETERMINED
from latimer_server.core.scripts import UNSPACED_LANGUAGES
from latimer_server.core.spans import TextSpan
from latimer_server.text.detection import Candidate
from latimer_server.text.segmentation import needs_translation

# A sentence is a fair candidate if it ends like one; titles, list items and captions do not.
_SENTENCE_ENDS = tuple(".!?…。！？।؟۔։")
_CLOSING = "\"'”’»)]」』"
# Tibetan and Dzongkha have no spaces between words, but one after each sentence.
_SENTENCES_UNSPACED = UNSPACED_LANGUAGES - {"bo", "dz"}


class SummaryMode(Enum):
    """How a summary is made."""

    EXTRACTIVE = "extractive"
    ABSTRACTIVE = "abstractive"
    HYBRID = "hybrid"


@dataclass(frozen=True)
class LengthLimit:
    """How long a summary may be: exactly one of these is set. `ratio`: share of the source's words."""

    sentence_count: int | None = None
    max_words: int | None = None
    ratio: float | None = None

    def count_words(self, total: int) -> int | None:
        """The most words, of a source of `total`; None where sentences are counted."""
        if self.sentence_count is not None:
            return None
        return self.max_words if self.max_words is not None else math.floor((self.ratio or 0) * total)


@dataclass(frozen=True)
class Sentence:
    """A sentence of a content: as it stands there, where, and as a model reads it, which may be a translation."""

    original: str
    span: TextSpan
    text: str


@dataclass(frozen=True)
class SummarySource:
    """A content as its sentences, in the language that a model reads. `words`: of each sentence."""

    sentences: tuple[Sentence, ...]
    language: str
    words: tuple[int, ...]
    models: tuple[str, ...] = ()
    flags: tuple[Flag, ...] = ()

    @property
    def texts(self) -> list[str]:
        """The sentences as the model reads them."""
        return [sentence.text for sentence in self.sentences]


@dataclass(frozen=True)
class SelectedSentence:
    """A sentence for a summary, in the language of the reading. `original`: what stands in the content where `text`
    stands for one sentence of it, else "". `generated`: it is no sentence of the content as it is."""

    text: str
    original: str
    spans: tuple[TextSpan, ...]
    score: float
    flags: tuple[Flag, ...] = ()
    generated: bool = False


@dataclass(frozen=True)
class SummarySentence:
    """A sentence of a summary, where it stands there, and what supports it in the content."""

    text: str
    summary_span: TextSpan
    rank_score: float
    source_spans: tuple[TextSpan, ...]


@dataclass(frozen=True)
class Summary:
    """The summary of one content, or the error that it met. `detected`: None when the language was given."""

    text: str
    language: str
    detected: Candidate | None = None
    mode: SummaryMode = SummaryMode.EXTRACTIVE
    sentences: tuple[SummarySentence, ...] = ()
    flags: tuple[Flag, ...] = ()
    models: tuple[str, ...] = ()
    input_coverage: float = 1.0
    error: LatimerError | None = None


def choose_candidates(texts: Sequence[str]) -> list[int]:
    """The indices of what may stand in a summary: whole sentences, or whatever has letters where there are none."""
    lettered = [index for index, text in enumerate(texts) if needs_translation(text)]
    whole = [index for index in lettered if is_whole(texts[index])]
    return whole or lettered


def is_whole(text: str) -> bool:
    """Whether a text ends as a sentence does."""
    return text.rstrip(_CLOSING).endswith(_SENTENCE_ENDS)


class Selection:
    """The sentences taken so far, as many as a limit allows of a text of `total` words."""

    def __init__(self, words: Sequence[int], total: int, limit: LengthLimit) -> None:
        self._words = words
        self._most = limit.sentence_count
        self._budget = limit.count_words(total)
        self.taken: set[int] = set()

    @property
    def is_full(self) -> bool:
        """Whether there is room for no sentence more."""
        return len(self.taken) == self._most or (self._budget is not None and self._budget <= 0)

    def offer(self, *indices: int) -> None:
        """Takes those of these sentences that were not taken yet, if there is room for all of them."""
        wanted = set(indices) - self.taken
        if self._most and len(self.taken) + len(wanted) > self._most:
            return
        if self._budget is not None:
            size = sum(self._words[index] for index in wanted)
            if size > self._budget:
                return
            self._budget -= size
        self.taken |= wanted


def take_within(order: Sequence[int], words: Sequence[int], total: int, limit: LengthLimit) -> list[int]:
    """As many indices as the limit allows, offered in this order, given ascending; of a ratio at least one."""
    selection = Selection(words, total, limit)
    for index in order:
        selection.offer(index)
    if not selection.taken and limit.ratio is not None:
        return list(order[:1])
    return sorted(selection.taken)


def count_words(text: str, language: str) -> int:
    """Words; in scripts written without spaces, characters that are letters or digits."""
    if language.split("-")[0] in UNSPACED_LANGUAGES:
        return sum(character.isalnum() for character in text)
    return len(text.split())


def compose_summary(chosen: Sequence[SelectedSentence], language: str) -> Summary:
    """The summary that consists of these sentences, in this order."""
    separator = "" if language.split("-")[0] in _SENTENCES_UNSPACED else " "
    parts: list[SummarySentence] = []
    position = 0
    for sentence in chosen:
        span = TextSpan(position, position + len(sentence.text))
        parts.append(SummarySentence(sentence.text, span, sentence.score, sentence.spans))
        position = span.end + len(separator)
    text = separator.join(sentence.text for sentence in chosen)
    return Summary(text, language or UNDETERMINED, sentences=tuple(parts))
