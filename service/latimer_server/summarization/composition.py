"""Composition: the value types of a summary, its length limit, and the assembly of chosen sentences.

Pure functions; imports no model library.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from latimer_server.core.errors import LatimerError
from latimer_server.core.flags import Flag
from latimer_server.core.languages import UNDETERMINED, primary_subtag
from latimer_server.core.scripts import UNSPACED_LANGUAGES
from latimer_server.core.spans import TextSpan
from latimer_server.text.detection import Candidate
from latimer_server.text.segmentation import needs_translation

# The characters that end a whole sentence. Titles, list items and captions end with none of them, and are thus no
# candidates for a summary.
_SENTENCE_ENDS = tuple(".!?…。！？।؟۔։")
# Closing quotation marks and brackets that may follow the end of a sentence.
_CLOSING = "\"'”’»)]」』"
# Languages whose sentences a summary joins without a space. Tibetan and Dzongkha are left out: they have no spaces
# between words, but one after each sentence.
_SENTENCES_UNSPACED = UNSPACED_LANGUAGES - {"bo", "dz"}


class SummaryMode(Enum):
    """The method of a summary: sentences of the source, text of a model, or source sentences shortened by a model."""

    EXTRACTIVE = "extractive"
    ABSTRACTIVE = "abstractive"
    HYBRID = "hybrid"


@dataclass(frozen=True)
class LengthLimit:
    """The maximum length of a summary. Exactly one field is set; `ratio` is a share of the source's words (0 to 1)."""

    sentence_count: int | None = None
    max_words: int | None = None
    ratio: float | None = None

    def count_words(self, total: int) -> int | None:
        """Returns the most words for a source of `total` words; None if the limit counts sentences."""
        if self.sentence_count is not None:
            return None
        return self.max_words if self.max_words is not None else math.floor((self.ratio or 0) * total)


@dataclass(frozen=True)
class Sentence:
    """A sentence of a content and its span there (code points).

    `original` is the sentence in the content, with line breaks joined. `text` is the sentence that the model reads,
    which may be a translation.
    """

    original: str
    span: TextSpan
    text: str


@dataclass(frozen=True)
class SummarySource:
    """The sentences of a content in a language that the model reads.

    `language` is that language (BCP-47) and `words` the word count of each sentence. `models` and `flags` come from
    the translation into that language, if one was needed.
    """

    sentences: tuple[Sentence, ...]
    language: str
    words: tuple[int, ...]
    models: tuple[str, ...] = ()
    flags: tuple[Flag, ...] = ()

    @property
    def texts(self) -> list[str]:
        """The sentences that the model reads."""
        return [sentence.text for sentence in self.sentences]


@dataclass(frozen=True)
class SelectedSentence:
    """A sentence that was chosen for a summary, in the language of the `SummarySource`.

    `original` is the matching sentence of the content; "" if there is no single one. `spans` are the supporting spans
    of the content. `generated` is True if a model wrote or shortened the text.
    """

    text: str
    original: str
    spans: tuple[TextSpan, ...]
    score: float
    flags: tuple[Flag, ...] = ()
    generated: bool = False


@dataclass(frozen=True)
class SummarySentence:
    """A sentence of a summary, with its span in the summary and the spans of the content that support it."""

    text: str
    summary_span: TextSpan
    rank_score: float
    source_spans: tuple[TextSpan, ...]


@dataclass(frozen=True)
class Summary:
    """The summary of one content, or the error of the item.

    `language` is the language of the summary. `detected` is the detected language; None if the request named it.
    `input_coverage` is the share of the content's words that was read (0 to 1).
    """

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
    """Returns the indices of candidates for a summary: whole sentences, or all texts with letters if none is whole."""
    with_letters = [index for index, text in enumerate(texts) if needs_translation(text)]
    whole = [index for index in with_letters if is_whole(texts[index])]
    return whole or with_letters


def is_whole(text: str) -> bool:
    """True if the text ends with the mark of a sentence end, apart from closing quotation marks and brackets."""
    return text.rstrip(_CLOSING).endswith(_SENTENCE_ENDS)


class Selection:
    """The sentences of a source that are taken so far, within a length limit.

    `words` is the word count of each sentence, and `total` the words of the source. `taken` are the indices of the
    taken sentences.
    """

    def __init__(self, words: Sequence[int], total: int, limit: LengthLimit) -> None:
        self._words = words
        self._max_sentences = limit.sentence_count
        self._words_left = limit.count_words(total)
        self.taken: set[int] = set()

    @property
    def is_full(self) -> bool:
        """True if the number of sentences or words is used up."""
        return len(self.taken) == self._max_sentences or (self._words_left is not None and self._words_left <= 0)

    def offer(self, *indices: int) -> None:
        """Takes the sentences at these indices if all that are not taken yet fit together; otherwise takes none."""
        new = set(indices) - self.taken
        if self._max_sentences and len(self.taken) + len(new) > self._max_sentences:
            return
        if self._words_left is not None:
            size = sum(self._words[index] for index in new)
            if size > self._words_left:
                return
            self._words_left -= size
        self.taken |= new


def take_within(order: Sequence[int], words: Sequence[int], total: int, limit: LengthLimit) -> list[int]:
    """Returns the sentences that fit into the limit, as ascending indices.

    `order` lists the indices in order of preference; a sentence that does not fit is skipped. `words` is the word count
    of each sentence, and `total` the words of the source. A `ratio` limit yields at least the first sentence of
    `order`.
    """
    selection = Selection(words, total, limit)
    for index in order:
        selection.offer(index)
    if not selection.taken and limit.ratio is not None:
        return list(order[:1])
    return sorted(selection.taken)


def count_words(text: str, language: str) -> int:
    """Returns the number of words; in languages written without spaces, the number of letters and digits."""
    if primary_subtag(language) in UNSPACED_LANGUAGES:
        return sum(character.isalnum() for character in text)
    return len(text.split())


def compose_summary(chosen: Sequence[SelectedSentence], language: str) -> Summary:
    """Joins the chosen sentences, in this order, into a summary in `language` (BCP-47).

    A space separates them, except in languages that write none between sentences.
    """
    separator = "" if primary_subtag(language) in _SENTENCES_UNSPACED else " "
    parts: list[SummarySentence] = []
    position = 0
    for sentence in chosen:
        span = TextSpan(position, position + len(sentence.text))
        parts.append(SummarySentence(sentence.text, span, sentence.score, sentence.spans))
        position = span.end + len(separator)
    text = separator.join(sentence.text for sentence in chosen)
    return Summary(text, language or UNDETERMINED, sentences=tuple(parts))
