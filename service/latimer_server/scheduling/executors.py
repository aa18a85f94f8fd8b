"""Executors: the threads and permits of a server, and the compute slots that share them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from latimer_server.scheduling.compute_slot import ComputeSlot
from latimer_server.scheduling.compute_watch import ComputeWatch
from latimer_server.scheduling.permits import CorePermits
from latimer_server.scheduling.preemption import PreemptibleBatches
from latimer_server.scheduling.sticky_threads import StickyThreadPool
from latimer_server.scheduling.thread_priority import BATCH_NICENESS, lower_priority


class Executors:
    """The threads and permits of a server. `cores` is the number of cores for batches. Call `close` at the end.

    A library that uses every core for one batch (torch) always runs in the same thread: OpenMP keeps a team of threads
    for every thread that called it, and beside an idle second team batches take 1.6 times as long. A library that runs
    a batch on a few cores and releases the interpreter lock gets one thread for each core. Summaries take seconds, so
    they run in a thread of their own.
    """

    def __init__(self, cores: int) -> None:
        self.permits = CorePermits(cores)
        self.watch = ComputeWatch()
        self._preemptible = PreemptibleBatches()
        self._single = ThreadPoolExecutor(1, "batch", initializer=lower_priority, initargs=(BATCH_NICENESS,))
        self._per_core = StickyThreadPool(cores, "worker")
        self._generation = ThreadPoolExecutor(1, thread_name_prefix="generation")

    def count_threads(self, *, generation: bool) -> int:
        """Returns the number of cores that a model may use in total; its backend receives it when it is loaded.

        `generation` is True for a model that writes summaries.
        """
        return self.permits.generation_cores if generation else self.permits.cores

    def slot(self, concurrent_batches: int = 1, *, generation: bool = False, delegates: bool = False) -> ComputeSlot:
        """Returns the slot of a model that runs `concurrent_batches` at a time, at most one for each core.

        Each batch gets an equal share of the cores. A slot for `generation` runs one batch at a time on all cores that
        summaries may use. `delegates`: see `BatchLimits`.
        """
        threads = self.count_threads(generation=generation)
        if generation:
            return ComputeSlot(
                self.permits, self._generation, cores=threads, generation=True, watch=self.watch, delegates=delegates
            )
        batches = max(1, min(concurrent_batches, threads))
        executor = self._single if concurrent_batches == 1 else self._per_core
        cores = threads // batches
        lend = self._per_core.replace_thread if executor is self._per_core else None
        return ComputeSlot(
            self.permits,
            executor,
            cores=cores,
            batches=batches,
            replace_thread=lend,
            preemptible=self._preemptible if lend and cores == 1 else None,
            watch=self.watch,
            delegates=delegates,
        )

    def single_core_slot(self) -> ComputeSlot:
        """Returns a slot for short work on one core for each call, such as ranking sentences."""
        lend = self._per_core.replace_thread
        return ComputeSlot(
            self.permits,
            self._per_core,
            batches=self.permits.cores,
            replace_thread=lend,
            preemptible=self._preemptible,
            watch=self.watch,
        )

    def close(self) -> None:
        """Waits until all submitted callables have run, then ends the threads."""
        for executor in (self._single, self._per_core, self._generation):
            executor.shutdown(wait=True)
