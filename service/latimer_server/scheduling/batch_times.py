"""Batch times: what a queue learns from the batches that ran, and the seconds that it expects of further ones."""

from __future__ import annotations

from latimer_server.core.decoding import BatchLimits, DecodingOptions
from latimer_server.scheduling.cost_model import BatchCostModel, DrainRate
from latimer_server.scheduling.piece_size import LEAST_TOKENS
from latimer_server.scheduling.waiting_items import WaitingItems
from latimer_server.scheduling.work_items import Batch

# Weight of the newest batch in `batch_seconds`.
_SMOOTHING = 0.25
# The tokens of a usual piece. The rate of a queue counts as at least this share of that of full batches of such pieces.
_USUAL_TOKENS = 24
_FULL_SHARE = 0.7


class BatchTimes:
    """The measured times of the batches of one queue, of which `slot_batches` run at a time.

    `batch_seconds`: the moving average of the seconds of a batch.
    """

    def __init__(self, limits: BatchLimits, slot_batches: int) -> None:
        self.batch_seconds = 0.0
        self._limits = limits
        self._slot_batches = slot_batches
        self._cost_models: dict[tuple[int, int, bool, bool], BatchCostModel] = {}
        # Those of the options of the last batch: its cost model, and the most rows of a batch.
        self._recent_cost = BatchCostModel()
        self._recent_rows = limits.count_rows(DecodingOptions())
        self._drain_rate = DrainRate()

    @property
    def is_measured(self) -> bool:
        """True if a batch ran."""
        return self._recent_cost.is_measured

    def get_cost_model(self, options: DecodingOptions) -> BatchCostModel:
        """Returns the cost model of batches with these options."""
        constrained = bool(options.no_repeat_ngram_size or options.repetition_penalty)
        key = (options.beam_size or 0, options.hypothesis_count, constrained, options.whole_vocabulary)
        return self._cost_models.setdefault(key, BatchCostModel())

    def learn(self, batch: Batch, seconds: float) -> None:
        """Adds a finished batch, which has at least one piece, and its seconds."""
        options = batch.items[0].options
        self._recent_cost = self.get_cost_model(options)
        self._recent_rows = self._limits.count_rows(options)
        self._recent_cost.learn(len(batch.items), batch.longest, seconds)
        average = self.batch_seconds
        self.batch_seconds = average + _SMOOTHING * (seconds - average) if average else seconds

    def note_drained(self, batch: Batch, now: float, *, waiting: bool) -> None:
        """Adds the end of a batch at `now` (seconds) to the drain rate. `waiting`: pieces are waiting now."""
        self._drain_rate.note(batch.served_tokens, now, full=batch.full, waiting=waiting)

    def bound_wait(self, queued: WaitingItems, batches: int) -> float:
        """Returns the seconds for all pieces of `queued` or for `batches` batches, whichever is less."""
        if not queued.count:
            return 0.0
        if self._drain_rate.rate > 0:
            all_seconds = max(queued.tokens, LEAST_TOKENS * queued.count) / self._drain_rate.rate
        else:
            mean = max(1, queued.tokens // queued.count)
            rows = max(1, min(self._recent_rows, self._limits.max_batch_tokens // mean))
            all_seconds = self._recent_cost.estimate(rows, mean) * queued.count / rows / self._slot_batches
        return min(batches * self.batch_seconds / self._slot_batches, all_seconds)

    def estimate_token_rate(self) -> float:
        """Returns the tokens per second of a queue with enough pieces; 0 before its rate was measured.

        The measured rate is too low after texts that fill no batches, such as one sentence ten thousand times. Then a
        share of what full batches would compute counts.
        """
        measured = self._drain_rate.rate
        seconds = self._recent_cost.estimate(self._recent_rows, _USUAL_TOKENS)
        if not measured or not seconds:
            return measured
        full = self._recent_rows * _USUAL_TOKENS / seconds * self._slot_batches
        return max(measured, _FULL_SHARE * full)
