"""The interfaces of backends, and the immutable values that they take and return.

A `GeneratorBackend` turns token ids into hypotheses, a `RankerBackend` ranks sentences. Neither sees requests. This
module imports no model library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from latimer_server.core.decoding import BatchLimits, Cancelled, DecodingOptions, Hypothesis, LanguagePair, TokenIds


def _never_cancelled() -> bool:
    return False


@dataclass(frozen=True)
class LoadRequest:
    """The parameters of loading one model. Most are fields of its catalogue entry.

    `task` is `translation` or `summarization`. `folder` holds the files of the model. `files` maps the names that the
    catalogue gives (`model`, `vocabulary`, ...) to paths, which may lie elsewhere. `cache` is a folder for files that
    a backend makes of these. `languages` maps BCP-47 codes to the model's own language names. `prompt` is the
    instruction of a summarization model. An empty `prompt` or `compute_type`, or 0 `max_input_tokens`, selects the
    model's default. `vocabulary` "full" leaves out a student's shortlist. `threads` is the number of cores that the
    model may use. `cancelled` returns True once no caller needs the model; long steps poll it.
    """

    name: str
    backend: str
    task: str
    folder: Path
    files: Mapping[str, Path] = field(default_factory=dict)
    cache: Path | None = None
    languages: Mapping[str, str] = field(default_factory=dict)
    prompt: str = ""
    compute_type: str = ""
    vocabulary: str = ""
    max_input_tokens: int = 0
    allow_pickle: bool = False
    threads: int = 1
    device: str = "cpu"
    cancelled: Cancelled = field(default=_never_cancelled, compare=False)


@dataclass(frozen=True)
class Encoding:
    """The model input of one text: its token ids with all special tokens, and how many of these ids are <unk>."""

    ids: TokenIds
    unknown_tokens: int


class GeneratorBackend(Protocol):
    """A loaded model that writes text: translations or summaries.

    At most `limits.concurrent_batches` threads call `run` at the same time. Any number of threads may call the
    other methods.
    """

    @property
    def limits(self) -> BatchLimits:
        """The bounds on a piece and on a batch, which the caller of `run` must respect."""
        ...

    @property
    def name(self) -> str:
        """The name of the backend as in the contract's `Model.backend`, such as `marian_student`."""
        ...

    @property
    def memory_bytes(self) -> int:
        """The bytes of weights in memory."""
        ...

    @property
    def compute_type(self) -> str:
        """The number type of the computation, such as `float32`."""
        ...

    def encode(self, texts: Sequence[str], languages: LanguagePair) -> list[Encoding]:
        """Returns one `Encoding` for each text: its token ids with the special tokens that the model needs.

        Never truncates: the caller compares the lengths with `limits`.
        """
        ...

    def word_score(self, word: str) -> float | None:
        """Returns how frequent a word is in the text that the vocabulary was made from: a natural log-probability.

        It is that of the word's tokens in SentencePiece's unigram model (Kudo 2018, 1804.10959). None if the vocabulary
        has no such model.
        """
        ...

    def token_starts(self, text: str) -> list[int]:
        """Returns the start of each token of `text` in code points, ascending, without special tokens."""
        ...

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Returns the span of each token of `text` in code points, half-open and ascending.

        Has one span for each item of `token_starts`: special tokens have none. White space belongs to no span. A
        token without any character of the text has an empty span. If several tokens write one character, each of
        them has the span of that character.
        """
        ...

    def decode(self, ids: Sequence[TokenIds]) -> list[str]:
        """Returns the text of each hypothesis, given as its token ids without the end token."""
        ...

    def decode_spans(self, ids: TokenIds) -> tuple[str, list[tuple[int, int]]]:
        """Returns the text of one hypothesis, equal to that of `decode`, and the span of each of its ids in that text.

        The spans follow the rules of `token_spans`.
        """
        ...

    def run(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
        """Returns one hypothesis for each row, in order.

        Polls `cancelled` every few steps, and a `Cancellation` at its poll time if the library can read that. If the
        library cannot stop inside a batch, or not for a few seconds, polls between parts of the batch. After a
        cancellation, rows that are not finished return the tokens that they have so far, or none, and are marked as
        truncated.
        """
        ...


@dataclass(frozen=True)
class Ranking:
    """The result of ranking the sentences of one document.

    `scores`: the importance of each sentence, in document order (0 to 1, the highest is 1).
    `order`: the indices of all sentences in the order in which to select them. The best is first; a sentence that
    repeats an earlier one of the order comes later than its score alone would place it.
    """

    scores: tuple[float, ...]
    order: tuple[int, ...]


class RankerBackend(Protocol):
    """A loaded extractive summarizer: it ranks the sentences of a document and writes no text."""

    @property
    def name(self) -> str:
        """The name of the backend as in the contract's `Model.backend`, such as `extractive`."""
        ...

    @property
    def memory_bytes(self) -> int:
        """The bytes of weights in memory."""
        ...

    @property
    def compute_type(self) -> str:
        """The number type of the computation, such as `float64`."""
        ...

    def rank(self, sentences: Sequence[str], cancelled: Cancelled) -> Ranking:
        """Returns the ranking of the sentences of one document, given in document order. Polls `cancelled`."""
        ...


Backend = GeneratorBackend | RankerBackend
