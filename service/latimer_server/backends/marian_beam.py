"""Beam search over one batch of a Marian student: several hypotheses of each row, and the best that ended.

Rules: a hypothesis is scored by its log-probability over its length (</s> included) to the power of the length
penalty; a row is done when it has as many ended hypotheses as beams and none that goes on scores better as it
stands (Hugging Face transformers, `early_stopping=False`). The penalties act on the logits, before they are
normalised (CTranslate2; Keskar et al. 2019, 1909.05858). Knows the network and its output layer; no vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from latimer_server.backends.base import Cancelled, DecodingOptions, Hypothesis, TokenIds
from latimer_server.backends.marian_network import MarianNetwork
from latimer_server.backends.marian_output import COMPACT_SHARE, output_cap, output_layer, read_batch
from latimer_server.backends.shortlist import Shortlist

Alignment = tuple[tuple[int, float], ...]

_DEFAULT_LENGTH_PENALTY = 1.0
# The column of </s>: it is the first of the candidates.
_END_COLUMN = 0


@dataclass
class _Row:
    """A row that goes on, or its outcome. `ended`: score and hypothesis, the best first, at most the beams."""

    cap: int
    ended: list[tuple[float, Hypothesis]] = field(default_factory=list)
    cut: list[tuple[float, Hypothesis]] = field(default_factory=list)
    done: bool = False


@dataclass(frozen=True)
class _Choice:
    """How a live hypothesis goes on. `parent`: its place in the tensors. `score` is what the search compares,
    `log_prob` what the model itself says; they differ where penalties act. A place without a hypothesis
    scores -inf."""

    parent: int
    column: int
    score: float
    log_prob: float


class BeamSearch:
    """The best few hypotheses at each step. For one `run`.

    The tensors hold the hypotheses of each row side by side: one for each row in the first step, then always as
    many as there are beams. Those of the source, which they share, are held once.
    """

    def __init__(
        self,
        network: MarianNetwork,
        shortlist: Shortlist | None,
        batch: Sequence[TokenIds],
        options: DecodingOptions,
    ) -> None:
        self._network = network
        self._wanted = options.hypothesis_count
        self._beams = max(options.beam_size or 1, self._wanted)
        self._length_penalty = _DEFAULT_LENGTH_PENALTY if options.length_penalty is None else options.length_penalty
        self._repetition_penalty = options.repetition_penalty or 1.0
        self._ngram = options.no_repeat_ngram_size or 0
        self._rows = [_Row(output_cap(len(row), options)) for row in batch]
        self._tensor_rows = list(self._rows)  # the row behind each row of the tensors
        self._state = network.encode(*read_batch(batch))
        self._layer = output_layer(network, shortlist, batch)
        self._scores = torch.zeros(len(batch), 1)
        self._log_probs = torch.zeros(len(batch), 1)
        self._history = torch.empty(len(batch), 0, dtype=torch.long)  # the columns of each hypothesis so far
        # What each hypothesis so far answers, token by token; None where it was not asked for.
        self._links: list[Alignment] | None = [()] * len(batch) if options.alignment else None

    def run(self, cancelled: Cancelled) -> list[Hypothesis]:
        """The best hypothesis of each row with its alternatives, in the batch's order."""
        previous: Tensor | None = None
        for position in range(max(row.cap for row in self._rows) + 1):
            features = self._network.step(previous, position, self._state)
            chosen = [
                self._record(row, place, choices, position)
                for place, (row, choices) in enumerate(zip(self._tensor_rows, self._rank(features), strict=True))
            ]
            if all(row.done for row in self._tensor_rows):
                break
            previous = self._advance(chosen)
            if cancelled():
                break
        for place, row in enumerate(self._tensor_rows):
            if not row.done:
                self._cut(row, place, frozenset())
        return [self._gather(row) for row in self._rows]

    def _rank(self, features: Tensor) -> list[list[_Choice]]:
        """For each row its likeliest continuations, the best first: twice the beams, as each beam may end once."""
        rows, beams = self._scores.shape
        logits = (features @ self._layer.weights).view(rows, beams, -1).add_(self._layer.bias[:, None])
        plain = torch.log_softmax(logits, dim=-1)
        steered = self._steer(logits)
        ranked = plain if steered is None else torch.log_softmax(steered, dim=-1)
        totals = (ranked + self._scores[:, :, None]).view(rows, -1)
        scores, places = totals.topk(min(2 * self._beams, totals.shape[1]))
        width = logits.shape[-1]
        parents, columns = places // width, places % width
        log_probs = scores
        if steered is not None:
            log_probs = self._log_probs.gather(1, parents) + plain.view(rows, -1).gather(1, places)
        return [
            [_Choice(row * beams + parent, *rest) for parent, *rest in zip(*lists, strict=True)]
            for row, lists in enumerate(
                zip(parents.tolist(), columns.tolist(), scores.tolist(), log_probs.tolist(), strict=True)
            )
        ]

    def _steer(self, logits: Tensor) -> Tensor | None:
        """The logits with the penalties in them; None where there are none to apply."""
        if not self._history.shape[1] or (self._repetition_penalty == 1 and not self._ngram):
            return None
        steered = logits.flatten(0, 1).clone()
        if self._repetition_penalty != 1:
            said = steered.gather(1, self._history)
            said = torch.where(said < 0, said * self._repetition_penalty, said / self._repetition_penalty)
            steered.scatter_(1, self._history, said)
        if self._ngram:
            for place, columns in enumerate(self._history.tolist()):
                steered[place, _repeating(columns, self._ngram)] = -torch.inf
        return steered.view_as(logits)

    def _record(self, row: _Row, place: int, choices: Sequence[_Choice], position: int) -> list[_Choice]:
        """Notes the hypotheses that end here; gives those that go on, at most as many as beams."""
        if row.done:
            return []
        ended: set[int] = set()
        going: list[_Choice] = []
        for rank, choice in enumerate(choices):
            if choice.score == -math.inf or len(going) == self._beams:
                break
            if choice.column != _END_COLUMN:
                going.append(choice)
            elif rank < self._beams:
                ended.add(choice.parent)
                hypothesis = self._read(choice.parent, choice.log_prob, truncated=False)
                row.ended.append((self._weigh(choice.score, position + 1), hypothesis))
        row.ended.sort(key=lambda pair: -pair[0])
        del row.ended[self._beams :]
        if position == row.cap:
            self._cut(row, place, ended)
        elif len(row.ended) == self._beams or not going:
            # A hypothesis that goes on has at least one more token and </s> before it.
            row.done = self._beams == 1 or not going or row.ended[-1][0] >= self._weigh(going[0].score, position + 2)
        return going

    def _cut(self, row: _Row, place: int, ended: frozenset[int] | set[int]) -> None:
        """Ends a row where it stands: its hypotheses that did not end are cut off."""
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

    def _advance(self, chosen: Sequence[Sequence[_Choice]]) -> Tensor:
        """Brings the tensors to the hypotheses that go on, without rows that are done once they are many. Gives
        their last ids."""
        kept = [place for place, row in enumerate(self._tensor_rows) if not row.done]
        if len(chosen) - len(kept) >= COMPACT_SHARE * len(chosen):
            rows = torch.tensor(kept)
            self._state.select_sources(rows)
            self._layer = replace(self._layer, bias=self._layer.bias[rows])
            self._tensor_rows = [self._tensor_rows[place] for place in kept]
        else:
            kept = list(range(len(chosen)))
        beams = self._scores.shape[1]
        flat = [choice for place in kept for choice in self._fill(chosen[place], place * beams)]
        parents = torch.tensor([choice.parent for choice in flat])
        columns = torch.tensor([choice.column for choice in flat])
        self._scores = torch.tensor([choice.score for choice in flat]).view(len(kept), self._beams)
        self._log_probs = torch.tensor([choice.log_prob for choice in flat]).view(len(kept), self._beams)
        self._state.select_hypotheses(parents)
        self._history = torch.cat([self._history[parents], columns[:, None]], dim=1)
        if self._links is not None:
            # The step is the one that these tokens came of, when their parents were still in their places.
            looked = list(zip(*self._state.align(), strict=True))
            self._links = [(*self._links[choice.parent], looked[choice.parent]) for choice in flat]
        return self._layer.candidates[columns]

    def _fill(self, choices: Sequence[_Choice], parent: int) -> list[_Choice]:
        """The choices, and places without a hypothesis up to the beams."""
        empty = _Choice(parent, _END_COLUMN, -math.inf, -math.inf)
        return [*choices, *[empty] * (self._beams - len(choices))]

    def _read(self, parent: int, log_prob: float, *, truncated: bool) -> Hypothesis:
        """The hypothesis in this place of the tensors as it stands."""
        ids = tuple(self._layer.candidates[self._history[parent]].tolist())
        return Hypothesis(ids, log_prob, truncated, alignment=self._links[parent] if self._links is not None else ())

    def _weigh(self, score: float, length: int) -> float:
        return score / float(length**self._length_penalty)

    def _gather(self, row: _Row) -> Hypothesis:
        """Hypotheses that ended go before those that were cut off."""
        best, *others = [hypothesis for _, hypothesis in (*row.ended, *row.cut)][: self._wanted]
        return replace(best, alternatives=tuple(others))


def _repeating(columns: Sequence[int], size: int) -> list[int]:
    """What would complete an n-gram of this size a second time. Never </s>, which stands in places without a
    hypothesis only."""
    start = tuple(columns[len(columns) - size + 1 :]) if size > 1 else ()
    if len(columns) < size:
        return []
    return [
        columns[index + size - 1]
        for index in range(len(columns) - size + 1)
        if tuple(columns[index : index + size - 1]) == start and columns[index + size - 1] != _END_COLUMN
    ]
