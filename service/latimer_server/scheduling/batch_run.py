"""Batch run: computes one batch in a compute thread, and reports it to the telemetry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock

from latimer_server.core.decoding import Cancelled, DecodingOptions, Hypothesis, TokenIds
from latimer_server.core.poll_time import Cancellation, PollTime
from latimer_server.core.telemetry import BatchReport, TracedPiece
from latimer_server.scheduling.compute_watch import ComputeWatch
from latimer_server.scheduling.preemption import PreemptibleBatch
from latimer_server.scheduling.work_items import Batch, Clock

RunBatch = Callable[[Sequence[TokenIds], DecodingOptions, Cancelled], list[Hypothesis]]


class BatchRun:
    """The computation of a batch, to be called in the compute thread if the batch has pieces.

    Must be created in the event loop. The poll time is the latest deadline of the pending waiters. It is set to now
    when no waiter is pending, or when another batch is to run at the next preemption point.
    `began`: when its pieces were taken from the queue, a clock reading in seconds. `preemptible`: lets other batches
    run between the steps of this one; None if the batch is not preemptible.
    """

    def __init__(self, batch: Batch, run: RunBatch, watch: ComputeWatch, clock: Clock) -> None:
        self.batch = batch
        self.began = clock()
        self._run = run
        self._watch = watch
        self._clock = clock
        self._started = self._ended = 0.0
        self._poll_time = PollTime()
        self._lock = Lock()
        self._is_over = False
        self.preemptible = PreemptibleBatch(clock, self._set_poll_time) if batch.is_preemptible else None
        self._set_poll_time()
        for item in batch.items:
            for waiter in item.waiters:
                waiter.future.add_done_callback(self._set_poll_time)

    def __call__(self) -> list[Hypothesis]:
        """Returns one hypothesis for each piece."""
        items = self.batch.items
        self._started = self._clock()
        cancelled = self._watch.note_polls(self._poll)
        try:
            return self._run([item.ids for item in items], items[0].options, Cancellation(cancelled, self._poll_time))
        finally:
            self._ended = self._clock()
            self._is_over = True
            if self.preemptible:
                self.preemptible.end()

    def _poll(self) -> bool:
        """Returns True if the batch is abandoned. The backend calls it between its steps."""
        if self.preemptible:
            self.preemptible.reach_point()
        return self.batch.is_abandoned(self._clock())

    def count_seconds(self, ended: float, *, preempts: bool) -> float:
        """Returns the seconds that the batch took, which ended at `ended`, without its pauses. `preempts`: the seconds
        until the batch that it preempted paused do not count either."""
        paused = self.preemptible.paused_seconds if self.preemptible else 0.0
        return max(0.0, ended - (self._started if preempts else self.began) - paused)

    def report(self, model: str, hypotheses: Sequence[Hypothesis], ended: float) -> BatchReport:
        """Returns the report of the batch, which ended at `ended`. The wait of a row is that of its first waiter."""
        items = self.batch.items
        return BatchReport(
            model,
            [self.began - item.waiters[0].queued for item in items],
            self.began,
            ended,
            self._started,
            self._ended,
            sum([len(item.ids) for item in items]),
            sum([len(hypothesis.ids) for hypothesis in hypotheses]),
            [
                TracedPiece(waiter.trace, waiter.queued)
                for item in items
                for waiter in item.waiters
                if waiter.trace is not None
            ],
        )

    def _set_poll_time(self, _: object = None) -> None:
        """Sets the poll time by the waiters that are pending and by work that preempts the batch. Thread-safe."""
        with self._lock:
            if self._is_over:
                return
            seconds = self.batch.needed_until - self._clock()
            if self.preemptible:
                seconds = min(seconds, self.preemptible.seconds_to_pause)
            self._poll_time.set_after(seconds)
