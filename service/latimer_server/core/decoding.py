"""Types of decoding: token ids, options, limits of a batch, hypotheses.

A backend turns a batch of token ids into hypotheses. All layers above speak of that in these types.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

TokenIds = tuple[int, ...]


Cancelled = Callable[[], bool]


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

    def with_hypotheses(
        self, hypothesis_count: int, *, alignment: bool | None = None, target: str | None = None
    ) -> Self:
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
class BatchLimits:
    """What one piece may be, and the most worth computing at once. `added_tokens`: those of the input's that
    are not the text's: the end token, a language, an instruction. `concurrent_batches`: how many batches may run
    at the same time, each in a thread of its own and each with its share of the backend's cores. `default_beam`: the
    beam of a piece that asks for none, where each hypothesis of a beam costs what a row does; 0: rows alone count.
    """

    max_input_tokens: int
    max_batch_tokens: int
    max_batch_rows: int
    added_tokens: int = 1
    concurrent_batches: int = 1
    default_beam: int = 0

    def count_rows(self, options: DecodingOptions) -> int:
        """The most rows of a batch with these options."""
        if not self.default_beam:
            return self.max_batch_rows
        return max(1, self.max_batch_rows // max(options.beam_size or self.default_beam, options.hypothesis_count))


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


@dataclass(frozen=True)
class TimedHypothesis:
    """What became of a piece, and when: `queued`, `started`, `ended` are readings of the clock in seconds."""

    hypothesis: Hypothesis
    queued: float
    started: float
    ended: float
