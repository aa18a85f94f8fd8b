"""Beam search over one batch of a Marian student: keeps several hypotheses of each row and returns the best.

The score of a hypothesis is its log-probability divided by its length (with </s>) to the power of the length penalty.
A row is done when it has as many ended hypotheses as beams, and no live hypothesis has a better current score
(Hugging Face transformers, `early_stopping=False`). The penalties change the logits before normalisation
(CTranslate2; Keskar et al. 2019, 1909.05858). The engine computes the steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from latimer_server.backends.marian.engine import Engine, Floats, Ids, choose_candidates
from latimer_server.backends.marian.length_cap import COMPACT_SHARE, output_cap
from latimer_server.backends.marian.shortlist import Shortlist
from latimer_server.core.decoding import Cancelled, DecodingOptions, Hypothesis, TokenIds

Alignment = tuple[tuple[int, float], ...]

_DEFAULT_LENGTH_PENALTY = 1.0
# The index of </s> among the candidates of any row: they ascend, and its id is 0.
_END_COLUMN = 0


@dataclass
class _Row:
    """The state of one source of the batch during the search.

    `cap` bounds its output tokens, without </s>. `ended` and `cut` have pairs of a score (divided by the length) and
    a hypothesis, best first. `ended` are hypotheses with </s>, at most one per beam. `cut` are those without, if the
    row reached its cap or was cancelled. A row that is `done` searches no further.
    """

    cap: int
    ended: list[tuple[float, Hypothesis]] = field(default_factory=list)
    cut: list[tuple[float, Hypothesis]] = field(default_factory=list)
    done: bool = False


@dataclass(frozen=True)
class _Choice:
    """A continuation of a live hypothesis.

    `parent` is the index of the hypothesis in the arrays. `column` is the index of the next id among the candidates of
    the row. The search compares `score`, the total log-probability with penalties; `log_prob` is that without. An
    empty place, which fills up a row with fewer live hypotheses than beams, has a score of -inf.
    """

    parent: int
    column: int
    score: float
    log_prob: float


class BeamSearch:
    """A search over one batch that keeps the best hypotheses of each row at each step. Each object runs once.

    In the arrays the hypotheses of a row are adjacent: one in the first step, then as many as beams. The engine's
    arrays of sources have one entry for all hypotheses of a row.
    """

    def __init__(
        self,
        engine: Engine,
        shortlist: Shortlist | None,
        batch: Sequence[TokenIds],
        options: DecodingOptions,
    ) -> None:
        self._wanted = options.hypothesis_count
        self._beams = max(options.beam_size or 1, self._wanted)
        self._length_penalty = _DEFAULT_LENGTH_PENALTY if options.length_penalty is None else options.length_penalty
        self._repetition_penalty = options.repetition_penalty or 1.0
        self._ngram = options.no_repeat_ngram_size or 0
        self._rows = [_Row(output_cap(len(row), options)) for row in batch]
        self._live = list(self._rows)  # the rows that are still in the arrays
        candidates = choose_candidates(engine, shortlist, batch)
        self._decoding = engine.begin(batch, candidates, aligned=options.alignment)
        self._scores: Floats = np.zeros((len(batch), 1), np.float32)
        self._log_probs: Floats = np.zeros((len(batch), 1), np.float32)
        self._history: Ids = np.empty((len(batch), 0), np.int64)  # the columns of each hypothesis, step by step
        # The alignment of each hypothesis, token by token; None unless it is requested.
        self._links: list[Alignment] | None = [()] * len(batch) if options.alignment else None

    def run(self, cancelled: Cancelled) -> list[Hypothesis]:
        """Returns the best hypothesis of each row with its alternatives, in the order of the batch."""
        previous: Ids | None = None
        for position in range(max(row.cap for row in self._rows) + 1):
            logits, plain = self._decoding.step(previous, position)
            chosen = [
                self._record(row, place, choices, position)
                for place, (row, choices) in enumerate(zip(self._live, self._rank(logits, plain), strict=True))
            ]
            if all(row.done for row in self._live):
                break
            previous = self._advance(chosen)
            if cancelled():
                break
        for place, row in enumerate(self._live):
            if not row.done:
                self._cut(row, place, frozenset())
        return [self._gather(row) for row in self._rows]

    def _rank(self, logits: Floats, plain: Floats) -> list[list[_Choice]]:
        """Returns the likeliest continuations of each row, best first.

        There are at most twice as many as beams, because each beam may end once. `plain` are the log-probabilities of
        the model without penalties.
        """
        rows, beams = self._scores.shape
        steered = self._steer(logits)
        ranked = plain if steered is None else _log_softmax(steered)
        width = logits.shape[1]
        totals = (ranked.reshape(rows, beams, width) + self._scores[:, :, None]).reshape(rows, -1)
        places = _find_largest(totals, min(2 * self._beams, totals.shape[1]))
        scores = np.take_along_axis(totals, places, axis=1)
        parents, columns = places // width, places % width
        log_probs = scores
        if steered is not None:
            added = np.take_along_axis(plain.reshape(rows, -1), places, axis=1)
            log_probs = np.take_along_axis(self._log_probs, parents, axis=1) + added
        return [
            [_Choice(row * beams + parent, *rest) for parent, *rest in zip(*lists, strict=True)]
            for row, lists in enumerate(
                zip(parents.tolist(), columns.tolist(), scores.tolist(), log_probs.tolist(), strict=True)
            )
        ]

    def _steer(self, logits: Floats) -> Floats | None:
        """Returns the logits with the repetition penalty, and -inf for repeated n-grams; None if no penalty applies."""
        if not self._history.shape[1] or (self._repetition_penalty == 1 and not self._ngram):
            return None
        steered = logits.copy()
        if self._repetition_penalty != 1:
            repeated = np.take_along_axis(steered, self._history, axis=1)
            repeated = np.where(repeated < 0, repeated * self._repetition_penalty, repeated / self._repetition_penalty)
            np.put_along_axis(steered, self._history, repeated.astype(np.float32), axis=1)
        if self._ngram:
            for place, columns in enumerate(self._history.tolist()):
                steered[place, _repeating(columns, self._ngram)] = -np.inf
        return steered

    def _record(self, row: _Row, place: int, choices: Sequence[_Choice], position: int) -> list[_Choice]:
        """Adds hypotheses that end at this step to `row`. Returns the other continuations, at most as many as beams."""
        if row.done:
            return []
        ended: set[int] = set()
        live: list[_Choice] = []
        for rank, choice in enumerate(choices):
            if choice.score == -math.inf or len(live) == self._beams:
                break
            if choice.column != _END_COLUMN:
                live.append(choice)
            elif rank < self._beams:
                ended.add(choice.parent)
                hypothesis = self._read(choice.parent, choice.log_prob, truncated=False)
                row.ended.append((self._weigh(choice.score, position + 1), hypothesis))
        row.ended.sort(key=lambda pair: -pair[0])
        del row.ended[self._beams :]
        if position == row.cap:
            self._cut(row, place, ended)
        elif len(row.ended) == self._beams or not live:
            # A live hypothesis ends with a length of at least position + 2: it gets </s> after the token of this step.
            row.done = self._beams == 1 or not live or row.ended[-1][0] >= self._weigh(live[0].score, position + 2)
        return live

    def _cut(self, row: _Row, place: int, ended: frozenset[int] | set[int]) -> None:
        """Ends a row now. Its live hypotheses become truncated ones, except those in `ended`, which got </s>."""
        beams = self._scores.shape[1]
        for beam, (score, log_prob) in enumerate(
            zip(self._scores[place].tolist(), self._log_probs[place].tolist(), strict=True)
        ):
            parent = place * beams + beam
            if score > -math.inf and parent not in ended:
                hypothesis = self._read(parent, log_prob, truncated=True)
                row.cut.append((self._weigh(score, max(len(hypothesis.ids), 1)), hypothesis))
        row.cut.sort(key=lambda pair: -pair[0])
        row.done = True

    def _advance(self, chosen: Sequence[Sequence[_Choice]]) -> Ids:
        """Rearranges the arrays for the chosen continuations of each row, and returns the last id of each.

        Removes rows that are done once they are `COMPACT_SHARE` of the arrays, because a removal copies the others.
        """
        kept = [place for place, row in enumerate(self._live) if not row.done]
        if len(chosen) - len(kept) >= COMPACT_SHARE * len(chosen):
            self._decoding.select_sources(np.array(kept))
            self._live = [self._live[place] for place in kept]
        else:
            kept = list(range(len(chosen)))
        beams = self._scores.shape[1]
        flat = [choice for place in kept for choice in self._fill(chosen[place], place * beams)]
        parents = np.array([choice.parent for choice in flat])
        columns = np.array([choice.column for choice in flat])
        shape = (len(kept), self._beams)
        self._scores = np.array([choice.score for choice in flat], np.float32).reshape(shape)
        self._log_probs = np.array([choice.log_prob for choice in flat], np.float32).reshape(shape)
        if self._links is not None:
            # `align` reads the step that produced these tokens, so it must precede `select_hypotheses`.
            step_links = list(zip(*self._decoding.align(), strict=True))
            self._links = [(*self._links[choice.parent], step_links[choice.parent]) for choice in flat]
        self._decoding.select_hypotheses(parents)
        self._history = np.concatenate([self._history[parents], columns[:, None]], axis=1)
        return np.take_along_axis(self._decoding.candidates.ids, columns.reshape(shape), axis=1).reshape(-1)

    def _fill(self, choices: Sequence[_Choice], parent: int) -> list[_Choice]:
        """Returns the choices, padded with empty places to the number of beams."""
        empty = _Choice(parent, _END_COLUMN, -math.inf, -math.inf)
        return [*choices, *[empty] * (self._beams - len(choices))]

    def _read(self, parent: int, log_prob: float, *, truncated: bool) -> Hypothesis:
        """Returns the hypothesis at the index `parent` of the arrays, without </s>."""
        candidates = self._decoding.candidates.ids[parent // self._scores.shape[1]]
        ids = tuple(candidates[self._history[parent]].tolist())
        return Hypothesis(ids, log_prob, truncated, alignment=self._links[parent] if self._links is not None else ())

    def _weigh(self, score: float, length: int) -> float:
        return score / float(length**self._length_penalty)

    def _gather(self, row: _Row) -> Hypothesis:
        """Returns the best hypothesis of a row, with alternatives if requested. Ended ones precede truncated ones."""
        best, *others = [hypothesis for _, hypothesis in (*row.ended, *row.cut)][: self._wanted]
        return replace(best, alternatives=tuple(others))


def _repeating(columns: Sequence[int], size: int) -> list[int]:
    """Returns the columns that, as the next one after `columns`, would repeat an n-gram of this size.

    Never the column of </s>, which occurs only in the history of empty places.
    """
    start = tuple(columns[len(columns) - size + 1 :]) if size > 1 else ()
    if len(columns) < size:
        return []
    return [
        columns[index + size - 1]
        for index in range(len(columns) - size + 1)
        if tuple(columns[index : index + size - 1]) == start and columns[index + size - 1] != _END_COLUMN
    ]


def _log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probs: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return log_probs


def _find_largest(values: Floats, count: int) -> Ids:
    """Returns the indices of the `count` largest values of each row, largest first."""
    some = np.argpartition(-values, count - 1, axis=1)[:, :count]
    order = np.argsort(-np.take_along_axis(values, some, axis=1), axis=1, kind="stable")
    return np.take_along_axis(some, order, axis=1)
