"""What every backend offers, and the frozen values that cross that border.

Knows no model library and nothing of requests: token ids go in, hypotheses come out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, Self

TokenIds = tuple[int, ...]
Cancelled = Callable[[], bool]


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
class LanguagePair:
    """What a text is in and what it shall become, as the catalogue's entry names them; "" where a model has
    one language only."""

    source: str = ""
    target: str = ""


@dataclass(frozen=True)
class DecodingOptions:
    """How to decode. Pieces share a batch only if these are equal; None is the model's own default.

    `max_output_tokens`: end token not counted. `max_length_ratio`: output tokens per input token.
    `beam_size`: 1 is greedy. `length_penalty`: exponent of the length that a score is divided by.
    `hypothesis_count`: how many to give; the beam is widened to it. `target`: the language to write, for models
    whose decoder is told it. `alignment`: whether to say what each token answers, where the model can.
    """

    max_output_tokens: int | None = None
    max_length_ratio: float | None = None
    beam_size: int | None = None
    length_penalty: float | None = None
    repetition_penalty: float | None = None
    no_repeat_ngram_size: int | None = None
    hypothesis_count: int = 1
    target: str = ""
    alignment: bool = False

    def giving(self, hypothesis_count: int, *, alignment: bool | None = None, target: str | None = None) -> Self:
        """These options with another count, and with another `alignment` or `target` where one is named; themselves
        where nothing of it is new."""
        asked = (
            hypothesis_count,
            self.alignment if alignment is None else alignment,
            self.target if target is None else target,
        )
        if asked == (self.hypothesis_count, self.alignment, self.target):
            return self
        return replace(self, hypothesis_count=asked[0], alignment=asked[1], target=asked[2])


@dataclass(frozen=True)
class Limits:
    """What one piece may be, and the most worth computing at once. `added_tokens`: those of the input's that
    are not the text's: the end token, a language, an instruction. `concurrent_batches`: how many batches may run
    at the same time, each in a thread of its own and each with its share of the backend's cores. `own_beam`: the
    beam of a piece that asks for none, where each hypothesis of a beam costs what a row does; 0: rows alone count.
    """

    max_input_tokens: int
    max_batch_tokens: int
    max_batch_rows: int
    added_tokens: int = 1
    concurrent_batches: int = 1
    own_beam: int = 0

    def count_rows(self, options: DecodingOptions) -> int:
        """The most rows of a batch with these options."""
        if not self.own_beam:
            return self.max_batch_rows
        return max(1, self.max_batch_rows // max(options.beam_size or self.own_beam, options.hypothesis_count))


@dataclass(frozen=True)
class Encoding:
    """A text as the model reads it: its token ids, end token included, and how many were unknown."""

    ids: TokenIds
    unknown_tokens: int


@dataclass(frozen=True)
class Hypothesis:
    """One output: ids without the end token, its natural log-probability (the end token's included, when it
    was reached), whether the output cap cut it off, and the next best ones where they were asked for.

    `alignment`: for each of `ids` the index of the input token that it answers, in the row that was given to `run`
    (with what `encode` put around the text: an end token at its last index answers nothing), and how sure that is
    (0..1). Empty where it was not asked for, or the backend has none.
    """

    ids: TokenIds
    log_prob: float
    truncated: bool
    alternatives: tuple[Hypothesis, ...] = ()
    alignment: tuple[tuple[int, float], ...] = ()

    @property
    def token_count(self) -> int:
        """The tokens that `log_prob` is the sum of."""
        return len(self.ids) + (not self.truncated)


class GeneratorBackend(Protocol):
    """A loaded model that writes text: translations or summaries. `run` is called from as many threads at a time as
    `limits.concurrent_batches` says; the rest from any."""

    @property
    def limits(self) -> Limits:
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
