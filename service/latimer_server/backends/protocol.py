"""What every backend offers, and the frozen values that cross that border.

Knows no model library and nothing of requests: token ids go in, hypotheses come out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from latimer_server.core.decoding import BatchLimits, Cancelled, DecodingOptions, Hypothesis, LanguagePair, TokenIds


def _is_awaited() -> bool:
    return False


@dataclass(frozen=True)
class LoadRequest:
    """What a backend is told when it loads a model.

    `folder` holds the files; `files` are those that the catalogue gives a name (`model`, `vocabulary`, ...),
    which may lie elsewhere. `cache`: where files made from these may be kept. `languages`: BCP-47 codes to the
    model's own names of them. `threads`: cores that one batch may use. `cancelled`: whether nobody waits for the
    model any more; what takes long asks it.
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
    cancelled: Cancelled = field(default=_is_awaited, compare=False)


@dataclass(frozen=True)
class Encoding:
    """A text as the model reads it: its token ids, end token included, and how many were unknown."""

    ids: TokenIds
    unknown_tokens: int


class GeneratorBackend(Protocol):
    """A loaded model that writes text: translations or summaries. `run` is called from as many threads at a time as
    `limits.concurrent_batches` says; the rest from any."""

    @property
    def limits(self) -> BatchLimits:
        """Sizes that the caller must respect."""
        ...

    @property
    def name(self) -> str:
        """What runs it, as the contract's `Model.backend` says it: `marian_student`."""
        ...

    @property
    def memory_bytes(self) -> int:
        """Bytes of weights held."""
        ...

    @property
    def compute_type(self) -> str:
        """The type that it computes in, such as `float32`."""
        ...

    def encode(self, texts: Sequence[str], languages: LanguagePair) -> list[Encoding]:
        """Token ids of each text, with whatever the model wants around them. Never cuts; the caller compares
        with `limits`."""
        ...

    def token_starts(self, text: str) -> list[int]:
        """Where each token of `text` starts, in code points, ascending, what is put around it left out."""
        ...

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Where each token of `text` stands in it, in code points, half-open, what is put around it left out:
        as many as `token_starts`, ascending. White space is in none of them; a token that stands for no character
        of the text has an empty one, and all those of one character have its range."""
        ...

    def find_unknown(self, text: str) -> list[tuple[int, int]]:
        """The ranges of `text`, in code points, ascending and as long as they can be, that the vocabulary lacks.
        Costs an encoding: worth asking where `Encoding.unknown_tokens` is not 0."""
        ...

    def decode(self, ids: Sequence[TokenIds]) -> list[str]:
        """The text of each hypothesis."""
        ...

    def decode_spans(self, ids: TokenIds) -> tuple[str, list[tuple[int, int]]]:
        """The text of one hypothesis, exactly that of `decode`, and where each of its ids stands in it, by the rules
        of `token_spans`."""
        ...

    def run(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
        """One hypothesis per row, in order. Asks `cancelled` every few steps, or between parts of the batch where
        the library cannot be stopped or is not for a few seconds, and then ends early with rows truncated."""
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
    def name(self) -> str:
        """What runs it, as the contract's `Model.backend` says it: `marian_student`."""
        ...

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


Backend = GeneratorBackend | RankerBackend
