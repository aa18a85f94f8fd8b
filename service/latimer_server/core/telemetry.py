"""Telemetry: how the layers report what they do. Metrics and traces implement these protocols.

No layer but `observability` knows the library of metrics or that of traces. Reports hold names and numbers, never text
of a user, a key or an address.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from latimer_server.core.errors import OverloadBound
from latimer_server.core.flags import Flag


class Trace(Protocol):
    """The span of one call that is recorded. `trace_id`: 32 hexadecimal digits (W3C Trace Context)."""

    @property
    def trace_id(self) -> str:
        """The id of the trace."""
        ...

    def end(self, code: str, attributes: Mapping[str, str | int | float]) -> None:
        """Ends the span with the name of a gRPC status code, such as `NOT_FOUND`."""
        ...


# The span of the call that the current task belongs to; None if it is not recorded. The handler of calls sets it, and
# tasks inherit it.
current_trace: ContextVar[Trace | None] = ContextVar("current_trace", default=None)


class LoadWait:
    """The time that one call waits for models to be loaded. `measure` must be used inside the event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open_waits = 0
        self._began = self._ended_seconds = 0.0

    @property
    def seconds(self) -> float:
        """The time until now. Waits that overlap count once. Any thread may read it."""
        return self._ended_seconds + (self._clock() - self._began if self._open_waits else 0.0)

    @contextmanager
    def measure(self) -> Iterator[None]:
        """Counts the time until the context ends."""
        if not self._open_waits:
            self._began = self._clock()
        self._open_waits += 1
        try:
            yield
        finally:
            self._open_waits -= 1
            if not self._open_waits:
                self._ended_seconds += self._clock() - self._began


# The time that the call of the current task waits for models. It is set and inherited as `current_trace` is.
current_load_wait: ContextVar[LoadWait | None] = ContextVar("current_load_wait", default=None)


@contextmanager
def measure_load_wait() -> Iterator[None]:
    """Counts the time until the context ends as a wait of the current call for a model, if there is a call."""
    waiting = current_load_wait.get()
    if waiting is None:
        yield
        return
    with waiting.measure():
        yield


@dataclass(frozen=True)
class TracedPiece:
    """A piece whose call is recorded: the span of the call, and when the piece was queued (monotonic seconds)."""

    call: Trace
    queued: float


@dataclass(frozen=True)
class BatchReport:
    """A batch that a model has computed. The ranking of a text is a batch of one row, without tokens.

    `queue_seconds`: the seconds that each row waited. `started`, `ended`: when its pieces were taken from the queue and
    when their results were known; `backend_started`, `backend_ended`: the work of the model alone (monotonic seconds).
    `traced`: the pieces whose calls are recorded.
    """

    model: str
    queue_seconds: Sequence[float]
    started: float
    ended: float
    backend_started: float
    backend_ended: float
    input_tokens: int
    output_tokens: int
    traced: Sequence[TracedPiece] = ()


class Telemetry(Protocol):
    """The receiver of reports. Its methods may be called from any thread, return at once and raise nothing."""

    def add_method(self, path: str, grpc_type: str) -> None:
        """Declares a method that the server has, before its first call. `grpc_type`: such as `unary`."""

    def note_call_start(self, path: str) -> None:
        """Counts a call of a method that the server has, or of another one."""

    def note_call_end(self, path: str, code: str, seconds: float | None) -> None:
        """Counts the end of a call. `code`: the name of its gRPC status code, such as `NOT_FOUND`. `seconds`: None for
        a call that gRPC refused by itself."""

    def note_refusal(self, reason: str, bound: OverloadBound | None = None) -> None:
        """Counts a call that was refused before its work, by the reason in its ErrorInfo and the bound of
        `OVERLOADED`."""

    def note_batch(self, report: BatchReport) -> None:
        """Counts a batch."""

    def note_load(self, model: str, succeeded: bool, seconds: float) -> None:  # noqa: FBT001
        """Counts the load of a model, and whether it succeeded."""

    def note_words(self, model: str, words: int) -> None:
        """Counts words of sources that a model has translated or summarized."""

    def note_flag(self, flag: Flag, times: int) -> None:
        """Counts translations and summaries that carry a flag."""

    def note_reload(self, part: str, succeeded: bool) -> None:  # noqa: FBT001 (as listeners of reloads are called)
        """Counts files that were read again, such as `keys`, and whether they could be used."""

    def begin_trace(self, path: str, metadata: Mapping[str, str | bytes]) -> Trace | None:
        """Starts the span of a call under the caller's `traceparent`; None if it is not recorded."""


class NoTelemetry:
    """Receives reports and drops them."""

    def add_method(self, path: str, grpc_type: str) -> None:
        """See `Telemetry`."""

    def note_call_start(self, path: str) -> None:
        """See `Telemetry`."""

    def note_call_end(self, path: str, code: str, seconds: float | None) -> None:
        """See `Telemetry`."""

    def note_refusal(self, reason: str, bound: OverloadBound | None = None) -> None:
        """See `Telemetry`."""

    def note_batch(self, report: BatchReport) -> None:
        """See `Telemetry`."""

    def note_load(self, model: str, succeeded: bool, seconds: float) -> None:  # noqa: FBT001
        """See `Telemetry`."""

    def note_words(self, model: str, words: int) -> None:
        """See `Telemetry`."""

    def note_flag(self, flag: Flag, times: int) -> None:
        """See `Telemetry`."""

    def note_reload(self, part: str, succeeded: bool) -> None:  # noqa: FBT001 (as listeners of reloads are called)
        """See `Telemetry`."""

    def begin_trace(self, path: str, metadata: Mapping[str, str | bytes]) -> Trace | None:
        """Returns None."""


@dataclass(frozen=True)
class ModelReading:
    """The state of one model: the value of its `ModelState`, its bytes, and the pieces that wait for it.

    `memory_bytes` and `waiting` are 0 unless it is loaded.
    """

    name: str
    state: str
    memory_bytes: int
    waiting: int


@dataclass(frozen=True)
class CacheReading:
    """The state of the segment cache; `hits` and `misses` since the start."""

    entries: int = 0
    used_bytes: int = 0
    max_bytes: int = 0
    hits: int = 0
    misses: int = 0


@dataclass(frozen=True)
class KeyReading:
    """How many named keys are valid and have expired, and when the next valid one ends (seconds since the epoch; None
    if none does)."""

    valid: int
    expired: int
    next_end: float | None


@dataclass(frozen=True)
class ServerReading:
    """The state of the server at one moment.

    `requests`: requests in work, of at most `max_requests`. `stalled_threads`: compute threads that make no progress.
    `busy_ratio`: the share of the cores that batches held
    over the last seconds, from 0 to 1. `loop_lag_seconds`: the longest delay of the event loop in that time.
    `certificate_ends`: when the server's certificate ends, in seconds since the epoch; 0 if clients refuse it already,
    None without TLS. `authority_ends`: when the first authority of client certificates ends, None without any.
    `keys`: the keys of callers; None without keys.
    """

    models: tuple[ModelReading, ...] = ()
    cache: CacheReading = CacheReading()
    requests: int = 0
    max_requests: int = 0
    streams: int = 0
    max_streams: int = 0
    stalled_threads: int = 0
    busy_ratio: float = 0.0
    loop_lag_seconds: float = 0.0
    certificate_ends: float | None = None
    authority_ends: float | None = None
    keys: KeyReading | None = None
