"""Measures what is added to a call and to a batch by metrics and log lines: `python -m benchmarks.micro.telemetry`.

Each figure is the least CPU time of many short loops in one thread, so that other programs change little. That of log
lines is of the whole process, with the thread that writes them.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace

from rich.console import Console
from rich.table import Table

from latimer_server.config.settings import LogFormat
from latimer_server.core.errors import REFUSAL_REASONS
from latimer_server.core.telemetry import BatchReport, NoTelemetry, Telemetry, TracedPiece
from latimer_server.core.usage import Usage
from latimer_server.observability.log_format import configure_logging
from latimer_server.observability.metrics import Metrics
from latimer_server.observability.server_telemetry import ServerTelemetry
from latimer_server.observability.tracing import Tracing
from latimer_server.rpc.call_record import CallRecord, OutputReport, count_words

_METHOD = "/latimer.v1.TranslationService/TranslateText"
_TEXT = "The old red house near the river was sold yesterday to a family from another town."
_BATCH_ROWS = 64
# No collector listens there: spans are made, queued and dropped.
_COLLECTOR = "http://127.0.0.1:9"
_LOOPS, _TIMES = 60, 500
_LINES = 1_000
_SPACED_LINES, _SPACED_LOOPS, _PAUSE_SECONDS = 200, 5, 0.002


def main() -> None:
    """Measures and prints a table."""
    metrics = Metrics("1", ["model"], REFUSAL_REASONS)
    metrics.add_method(_METHOD, "unary")
    counted, nothing = ServerTelemetry(metrics, None), NoTelemetry()
    record = _call(counted)
    table = Table("microseconds of CPU", "")
    table.add_row("a call: its record, words counted", f"{_time(lambda: _call(nothing)):.1f}")
    table.add_row("the same with metrics, a batch of one included", f"{_time(lambda: _call(counted)):.1f}")
    table.add_row("a JSON line of a call, written", f"{_time_lines(record):.1f}")
    table.add_row("the same, one line in two milliseconds", f"{_time_spaced_lines(record):.1f}")
    batch = _time(lambda: counted.note_batch(_report(_BATCH_ROWS)))
    words = _BATCH_ROWS * count_words(_TEXT)
    table.add_row(f"metrics of a batch of {_BATCH_ROWS} sentences", f"{batch:.1f}")
    table.add_row(f"and its words counted, for each of {words} words", f"{_time(lambda: count_words(_TEXT)) / 16:.3f}")
    for share, name in ((0.0, "is not recorded"), (1.0, "is recorded, a batch of one included")):
        traced = ServerTelemetry(None, Tracing("1", _COLLECTOR, share))
        table.add_row(f"traces: a call that {name}", f"{_time(lambda traced=traced: _trace(traced)):.1f}")  # type: ignore[misc]
    Console(width=90).print(table)


def _call(telemetry: Telemetry) -> CallRecord:
    """Reports all that one call of a sentence reports."""
    telemetry.note_call_start(_METHOD)
    record = CallRecord(telemetry)
    telemetry.note_batch(_report(1))
    usage = Usage(characters=len(_TEXT), pieces=1, started=1.0, ended=2.0)
    record.add(1, [OutputReport(count_words(_TEXT), ("model",), ())], usage)
    telemetry.note_call_end(_METHOD, "OK", 0.01)
    return record


def _trace(telemetry: Telemetry) -> None:
    """Records the spans of one call."""
    trace = telemetry.begin_trace(_METHOD, {})
    if trace is not None:
        report = replace(_report(1), traced=[TracedPiece(trace, 0.9)])
        telemetry.note_batch(report)
        trace.end("OK", {"items": 1, "characters": 80})


def _report(rows: int) -> BatchReport:
    return BatchReport("model", [0.001] * rows, 1.0, 1.01, 1.0, 1.01, 20 * rows, 20 * rows)


def _time(work: Callable[[], object]) -> float:
    """Returns the least microseconds of CPU of `work` among the means of many loops."""
    least = float("inf")
    for _ in range(_LOOPS):
        began = time.thread_time()
        for _ in range(_TIMES):
            work()
        least = min(least, time.thread_time() - began)
    return 1e6 * least / _TIMES


def _time_lines(record: CallRecord) -> float:
    """Returns the least microseconds of CPU of the process for one line."""
    log = logging.getLogger("call")
    with open(os.devnull, "w") as sink:  # noqa: PTH123 (a device)
        sys.stderr, error = sink, sys.stderr
        least = float("inf")
        for _ in range(10):
            writer = configure_logging(LogFormat.JSON, "INFO")
            began = time.process_time()
            for _ in range(_LINES):
                extra = {"method": _METHOD, "code": "OK", "milliseconds": 1.5, "key": "website", **record.describe()}
                log.handle(log.makeRecord(log.name, logging.INFO, __file__, 0, "call", (), None, extra=extra))
            writer.close()
            least = min(least, time.process_time() - began)
        sys.stderr = error
    return 1e6 * least / _LINES


def _time_spaced_lines(record: CallRecord) -> float:
    """Returns the least microseconds of CPU of the process for one line, if there is a pause after each.

    The thread that writes then waits for lines, as on a server with few calls. The cost of the pauses is subtracted.
    """
    log = logging.getLogger("call")
    extra = {"method": _METHOD, "code": "OK", "milliseconds": 1.5, "key": "website", **record.describe()}
    writer, least = configure_logging(LogFormat.JSON, "INFO"), {True: float("inf"), False: float("inf")}
    with open(os.devnull, "w") as sink:  # noqa: PTH123 (a device)
        sys.stderr, error = sink, sys.stderr
        for _ in range(_SPACED_LOOPS):
            for logs in (True, False):
                began = time.process_time()
                for _ in range(_SPACED_LINES):
                    if logs:
                        log.handle(log.makeRecord(log.name, logging.INFO, __file__, 0, "call", (), None, extra=extra))
                    time.sleep(_PAUSE_SECONDS)
                least[logs] = min(least[logs], time.process_time() - began)
        writer.close()
        sys.stderr = error
    return 1e6 * (least[True] - least[False]) / _SPACED_LINES


if __name__ == "__main__":
    main()
