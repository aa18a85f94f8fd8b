"""Decoding types: token ids, options, batch limits and hypotheses.

A backend turns a batch of token ids into hypotheses. The layers above exchange these types with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

TokenIds = tuple[int, ...]
# Returns True once the result is no longer needed. Long computations call it regularly.
Cancelled = Callable[[], bool]


@dataclass(frozen=True)
class LanguagePair:
    """The source and target language in the codes of the catalogue's entry; "" if the model has only one."""

    source: str = ""
    target: str = ""


@dataclass(frozen=True)
class DecodingOptions:
    """The options of a decoder. Only pieces with equal options share a batch. None selects the model's default.

    `max_output_tokens`: a bound on the output, without the end token.
    `max_length_ratio`: a bound on output tokens per input token.
    `beam_size`: hypotheses kept per step; 1 is greedy search.
    `length_penalty`: a score is divided by the output's length to this power.
    `hypothesis_count`: how many hypotheses to return. The beam is at least this wide.
    `target`: the target language, for models whose decoder starts with its token; else "".
    `alignment`: requests the word alignment, from models that have one.
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
        """Returns these options with another count, and with another `alignment` and `target` unless those are None.

        Returns the same object if nothing changes.
        """
        new_alignment = self.alignment if alignment is None else alignment
        new_target = self.target if target is None else target
        if (hypothesis_count, new_alignment, new_target) == (self.hypothesis_count, self.alignment, self.target):
            return self
        return replace(self, hypothesis_count=hypothesis_count, alignment=new_alignment, target=new_target)


@dataclass(frozen=True)
class BatchLimits:
    """Bounds on a piece and on a batch.

    `max_input_tokens`: of one piece.
    `max_batch_tokens` and `max_batch_rows`: of a batch. Larger batches are not faster.
    `added_tokens`: tokens of an input that are not text: the end token, a language token, an instruction.
    `concurrent_batches`: how many batches may run at a time, each in a thread and on its share of the backend's cores.
    `default_beam`: the beam size of a piece without one, for backends where each hypothesis of a beam costs as much as
    a row; 0 for backends where the beam size does not matter.
    """

    max_input_tokens: int
    max_batch_tokens: int
    max_batch_rows: int
    added_tokens: int = 1
    concurrent_batches: int = 1
    default_beam: int = 0

    def count_rows(self, options: DecodingOptions) -> int:
        """Returns the maximum number of rows of a batch with these options."""
        if not self.default_beam:
            return self.max_batch_rows
        return max(1, self.max_batch_rows // max(options.beam_size or self.default_beam, options.hypothesis_count))


@dataclass(frozen=True)
class Hypothesis:
    """One output of a model.

    `ids`: without the end token.
    `log_prob`: natural logarithm of its probability, the end token included if it was reached.
    `truncated`: the output reached its bound before the end token.
    `alternatives`: the next best hypotheses, if they were requested.
    `alignment`: one pair per id: the index of the aligned input token in the row given to `run`, and a confidence in
    0..1. The row includes the tokens that `encode` adds to the text; the index of the end token means "no input token".
    Empty if it was not requested or the backend has no alignment.
    """

    ids: TokenIds
    log_prob: float
    truncated: bool
    alternatives: tuple[Hypothesis, ...] = ()
    alignment: tuple[tuple[int, float], ...] = ()

    @property
    def token_count(self) -> int:
        """The number of tokens that `log_prob` covers."""
        return len(self.ids) + (not self.truncated)


@dataclass(frozen=True)
class TimedHypothesis:
    """The result of a piece, with the times (monotonic seconds) when it was queued, and its batch started and ended."""

    hypothesis: Hypothesis
    queued: float
    started: float
    ended: float
