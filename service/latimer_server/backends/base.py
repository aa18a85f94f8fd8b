"""What every backend offers, and the frozen values that cross that border.

Knows no model library and nothing of requests: token ids go in, hypotheses come out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

TokenIds = tuple[int, ...]
Cancelled = Callable[[], bool]


@dataclass(frozen=True)
class Limits:
    """What one piece may be: tokens with the end token, and the most tokens worth computing at once."""

    max_input_tokens: int
    max_batch_tokens: int
    max_batch_rows: int


@dataclass(frozen=True)
class DecodingOptions:
    """How to decode. Pieces share a batch only if these are equal.

    `max_output_tokens`: end token not counted; None leaves it to the length ratio.
    `max_length_ratio`: output tokens per input token; None takes the model's own.
    """

    max_output_tokens: int | None = None
    max_length_ratio: float | None = None


@dataclass(frozen=True)
class Encoding:
    """A text as the model reads it: its token ids, end token included, and how many were unknown."""

    ids: TokenIds
    unknown_tokens: int


@dataclass(frozen=True)
class Hypothesis:
    """One output: ids without the end token, the natural log-probability of each token (the end
    token's last, when it was reached), and whether the output cap cut it off."""

    ids: TokenIds
    log_probs: tuple[float, ...]
    truncated: bool


class TranslationBackend(Protocol):
    """A loaded translation model. `run` is called from one thread at a time; the rest from any."""

    @property
    def limits(self) -> Limits:
        """Sizes that the caller must respect."""
        ...

    @property
    def memory_bytes(self) -> int:
        """Bytes of weights held."""
        ...

    @property
    def compute_type(self) -> str:
        """The type that it computes in, such as `float32`."""
        ...

    def encode(self, texts: Sequence[str]) -> list[Encoding]:
        """Token ids of each text. Never cuts; the caller compares with `limits`."""
        ...

    def token_starts(self, text: str) -> list[int]:
        """Where each token of `text` starts, in code points, ascending, the end token left out."""
        ...

    def decode(self, ids: Sequence[TokenIds]) -> list[str]:
        """The text of each hypothesis."""
        ...

    def run(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
        """One hypothesis per row, in order. Asks `cancelled` between steps and stops early,
        with `Cancelled` rows truncated, once it says yes."""
        ...


@dataclass(frozen=True)
class Ranking:
    """How central each sentence is (0..1, the highest is 1) and the order to take them in:
    best first, redundant ones held back."""

    scores: tuple[float, ...]
    order: tuple[int, ...]


class RankerBackend(Protocol):
    """A loaded extractive summarizer."""

    @property
    def memory_bytes(self) -> int:
        """Bytes of weights held."""
        ...

    @property
    def compute_type(self) -> str:
        """The type that it computes in, such as `float32`."""
        ...

    def rank(self, sentences: Sequence[str], cancelled: Cancelled) -> Ranking:
        """Ranks the sentences of one document, given in document order."""
        ...


Backend = TranslationBackend | RankerBackend
