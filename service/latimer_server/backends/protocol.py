"""The interface of a backend, and the frozen values that cross it.

A backend takes token ids and returns hypotheses. It sees no requests. This module imports no model library.
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
    """The parameters of loading one model.

    `folder` holds the files of the model. `files` maps the names that the catalogue gives (`model`, `vocabulary`,
    ...) to paths, which may lie elsewhere. `cache` is a folder for files that a backend makes of these.
    `languages` maps BCP-47 codes to the model's own language names. `threads` is the number of cores that one
    batch may use. `cancelled` returns True once no caller needs the model; long steps poll it.
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
    max_input_tokens: int = 0
    allow_pickle: bool = False
    threads: int = 1
    device: str = "cpu"
    cancelled: Cancelled = field(default=_never_cancelled, compare=False)


@dataclass(frozen=True)
class Encoding:
    """The model input of one text: its token ids with the end token, and the number of unknown tokens."""

    ids: TokenIds
    unknown_tokens: int


class GeneratorBackend(Protocol):
    """A loaded model that writes text: translations or summaries.

    At most `limits.concurrent_batches` threads call `run` at the same time. Any number of threads may call the
    other methods.
    """

    @property
    def limits(self) -> BatchLimits:
        """The batch sizes that the caller must respect."""
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
        """Returns the token ids of each text with the special tokens that the model needs.

        Never truncates: the caller compares the lengths with `limits`.
        """
        ...

    def token_starts(self, text: str) -> list[int]:
        """Returns the start of each token of `text` in code points, ascending, without special tokens."""
        ...

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Returns the span of each token of `text` in code points, half-open and ascending.

        Has one span for each item of `token_starts`: special tokens have none. White space belongs to no span. A
        token without any character of the text has an empty span. All tokens of one character have its span.
        """
        ...

    def decode(self, ids: Sequence[TokenIds]) -> list[str]:
        """Returns the text of each hypothesis."""
        ...

    def decode_spans(self, ids: TokenIds) -> tuple[str, list[tuple[int, int]]]:
        """Returns the text of one hypothesis, equal to that of `decode`, and the span of each id in it.

        The spans follow the rules of `token_spans`.
        """
        ...

    def run(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
        """Returns one hypothesis for each row, in order.

        Polls `cancelled` every few steps. If the library cannot stop inside a batch, or not for a few seconds, polls
        it between parts of the batch. After a cancellation the remaining rows are truncated.
        """
        ...


@dataclass(frozen=True)
class Ranking:
    """The centrality of each sentence (0 to 1, the highest is 1) and the order in which to select sentences.

    The order has the best sentence first and moves redundant ones back.
    """

    scores: tuple[float, ...]
    order: tuple[int, ...]


class RankerBackend(Protocol):
    """A loaded extractive summarizer."""

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
        """Ranks the sentences of one document, which are given in document order."""
        ...


Backend = GeneratorBackend | RankerBackend
