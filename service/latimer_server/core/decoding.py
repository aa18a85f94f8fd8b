"""Decoding types: token ids, options, batch limits and hypotheses.

A backend turns a batch of token ids into hypotheses. The layers above exchange these types with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

TokenIds = tuple[int, ...]
# A function that returns True once the result of a computation is no longer needed. Long computations call it regularly
# and stop early.
Cancelled = Callable[[], bool]


@dataclass(frozen=True)
class LanguagePair:
    """The source and target language of a model's input and output, in the codes that its catalogue entry lists.

    A code is "" where the model needs no language to be named.
    """

    source: str = ""
    target: str = ""


@dataclass(frozen=True)
class DecodingOptions:
    """The options of a model's decoder. Only pieces with equal options share a batch. None selects the model's default.

    `max_output_tokens`: a bound on the tokens of the output, without the end token.
    `max_length_ratio`: a bound on output tokens per input token.
    `beam_size`: hypotheses kept per step; 1 is greedy search.
    `length_penalty`: the log-probability of a hypothesis is divided by its length to this power.
    `repetition_penalty`: makes tokens that the output already has less likely (Keskar et al. 2019); 1 is no penalty.
    `no_repeat_ngram_size`: the length of the token n-grams that may occur only once in the output; 0 is no limit.
    `hypothesis_count`: the number of hypotheses to return for a piece. The beam is at least this wide.
    `target`: the target language, for models whose decoder starts with its token; else "".
    `alignment`: requests the word alignment, from models that have one.
    `whole_vocabulary`: every token may be written, even if the model has a shortlist of likely ones. Students only.
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
    whole_vocabulary: bool = False

    def with_hypotheses(
        self, hypothesis_count: int, *, alignment: bool | None = None, target: str | None = None
    ) -> Self:
        """Returns the options with this `hypothesis_count`, and with this `alignment` and `target` unless None.

        Returns the same object if nothing changes.
        """
        new_alignment = self.alignment if alignment is None else alignment
        new_target = self.target if target is None else target
        if (hypothesis_count, new_alignment, new_target) == (self.hypothesis_count, self.alignment, self.target):
            return self
        return replace(self, hypothesis_count=hypothesis_count, alignment=new_alignment, target=new_target)


@dataclass(frozen=True)
class BatchLimits:
    """The bounds that one loaded model sets on its pieces and batches.

    `max_input_tokens`: the most tokens of one piece, `added_tokens` included.
    `max_batch_tokens`: the most tokens of a batch, padding included: rows times tokens of the longest row.
    `max_batch_rows`: the most rows of a batch. Larger batches are not faster.
    `added_tokens`: tokens of an input that are not text: the end token, a language token, an instruction.
    `concurrent_batches`: how many batches may run at a time, each in a thread and on its share of the backend's cores.
    `default_beam`: the model's beam size where the options set none, for backends in which each hypothesis of a beam
    costs as much as a row; 0 for backends where the beam size does not change the number of rows.
    `delegates`: the library computes a batch in threads of its own, and may poll `cancelled` only between batches.
    """

    max_input_tokens: int
    max_batch_tokens: int
    max_batch_rows: int
    added_tokens: int = 1
    concurrent_batches: int = 1
    default_beam: int = 0
    delegates: bool = False

    def count_rows(self, options: DecodingOptions) -> int:
        """Returns the most rows of a batch with these options: fewer for a wide beam, if `default_beam` is set."""
        if not self.default_beam:
            return self.max_batch_rows
        return max(1, self.max_batch_rows // max(options.beam_size or self.default_beam, options.hypothesis_count))


@dataclass(frozen=True)
class Hypothesis:
    """A model's output for one piece.

    `ids`: the token ids of the output, without the end token.
    `log_prob`: natural logarithm of its probability, the end token included if it was reached.
    `truncated`: the output ended without the end token: it reached its bound, or the computation was cancelled.
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
    """The hypothesis of a piece, and when it was queued and its batch started and ended (monotonic seconds)."""

    hypothesis: Hypothesis
    queued: float
    started: float
    ended: float
