"""Measures what keys, quotas, metrics and log lines add to a call: `python -m benchmarks.micro.call_path`.

A call takes the path that it takes in a server, through `CallHandler`, with a context and a servicer that do nothing,
so that neither gRPC's nor the model's time hides the rest. Handlers with different parts run in turns; each figure is
the least CPU time of the process (the log's thread included) of many short loops, so that other programs change little.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table

from latimer.v1 import translation_pb2 as pb
from latimer_server.config.key_file import digest_secret
from latimer_server.config.settings import LogFormat
from latimer_server.core.access import Principal, QuotaLimits, Scope
from latimer_server.core.errors import REFUSAL_REASONS
from latimer_server.core.telemetry import BatchReport
from latimer_server.core.usage import Usage
from latimer_server.observability.log_format import configure_logging
from latimer_server.observability.metrics import Metrics
from latimer_server.observability.server_telemetry import ServerTelemetry
from latimer_server.rpc.auth import Authenticator, Credential, Credentials
from latimer_server.rpc.call import Call
from latimer_server.rpc.call_handler import CallHandler, Method
from latimer_server.rpc.call_record import OutputReport, count_words
from latimer_server.rpc.refusal_pace import RefusalPace

_PATH = "/latimer.v1.TranslationService/TranslateText"
_TEXT = "The committee agreed on the new rules for the port, which come into force in the spring."
_SECRET = "latimer_" + 43 * "x"
_MANY = 10**9
_LOOPS, _CALLS = 80, 250
_GATHERED_SECONDS = 0.15


class _Context:
    """The context of a call that reaches nobody."""

    def __init__(self, secret: str) -> None:
        self._metadata = (("user-agent", "grpc-python/1.80"), ("authorization", f"Bearer {secret}"))

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return self._metadata

    def is_active(self) -> bool:
        return True

    def peer(self) -> str:
        return "ipv4:127.0.0.1:50000"

    def time_remaining(self) -> float:
        return 60.0

    def add_callback(self, callback: Callable[[], None]) -> bool:
        callback()
        return True

    def send_initial_metadata(self, metadata: object) -> None:
        """Sends nothing."""

    def set_trailing_metadata(self, metadata: object) -> None:
        """Sends nothing."""


def main() -> None:
    """Measures and prints a table."""
    message = pb.TranslateTextRequest(contents=[_TEXT], source_language_code="en", target_language_codes=["pt"])
    data = message.SerializeToString()
    unlimited = QuotaLimits(requests=_MANY, characters=_MANY, concurrent=1_000)
    with ExitStack() as stack:
        paths = {
            "none of them": (_make_path(keys=None, seen=False), False),
            "keys": (_make_path(keys=QuotaLimits(), seen=False), False),
            "keys and quotas": (_make_path(keys=unlimited, seen=False), False),
            "metrics": (_make_path(keys=None, seen=True), False),
            "log lines": (_make_path(keys=None, seen=False), True),
            "keys, quotas, metrics and log lines": (_make_path(keys=unlimited, seen=True), True),
        }
        stack.enter_context(_without_collector())
        least = dict.fromkeys(paths, float("inf"))
        for _ in range(_LOOPS):
            for name, (call, logs) in paths.items():
                with _logging("INFO" if logs else "ERROR"):
                    least[name] = min(least[name], _time(call, data))
    table = Table("CPU of a call with", "us", "more than with none of them")
    for name, cost in least.items():
        table.add_row(name, f"{cost:.1f}", f"{cost - least['none of them']:+.1f}")
    Console(width=100).print(table)


def _make_path(*, keys: QuotaLimits | None, seen: bool) -> Callable[[bytes], None]:
    """Returns a function that takes a request through the path of a call. `keys`: the quotas of its key."""
    metrics = Metrics("1", ["model"], REFUSAL_REASONS) if seen else None
    telemetry = ServerTelemetry(metrics, None)
    credentials = Credentials()
    if keys is not None:
        others = {bytes([n]) * 32: Credential(Principal("key:other", f"other-{n}")) for n in range(200)}
        digest = digest_secret(_SECRET)
        principal = Principal("key:own", "own", frozenset({Scope.TRANSLATE}), keys)
        credentials = Credentials({**others, digest: Credential(principal, digest)}, are_required=True)
    method = Method(_PATH, pb.TranslateTextRequest.FromString, scope=Scope.TRANSLATE)
    if keys is None:
        method = Method(_PATH, pb.TranslateTextRequest.FromString)
    handler = CallHandler(Authenticator(credentials), RefusalPace(1), telemetry)

    def behaviour(requests: Iterator[bytes], call: Call, _: object) -> Iterator[pb.TranslateTextResponse]:
        message = method.read(next(requests))
        call.renew_access()
        if call.quota:
            call.quota.charge(message)
        telemetry.note_batch(BatchReport("model", [0.001], 1.0, 1.01, 1.0, 1.01, 20, 20))
        usage = Usage(characters=len(_TEXT), pieces=1, started=1.0, ended=2.0)
        call.record.add(1, [OutputReport(count_words(_TEXT), ("model",), ())], usage)
        yield pb.TranslateTextResponse()

    serve: Any = handler.make_handler(method, behaviour).stream_unary
    context = _Context(_SECRET)

    def call(data: bytes) -> None:
        serve(iter((data,)), context)

    return call


@contextmanager
def _logging(level: str) -> Iterator[None]:
    """Writes the JSON lines of calls to a device that drops them, until the block ends."""
    with open(os.devnull, "w") as sink:  # noqa: PTH123 (a device)
        error, sys.stderr = sys.stderr, sink
        writer = configure_logging(LogFormat.JSON, level)
        try:
            yield
        finally:
            writer.close()
            logging.getLogger().handlers.clear()
            sys.stderr = error


@contextmanager
def _without_collector() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _time(call: Callable[[bytes], None], data: bytes) -> float:
    """Returns the microseconds of CPU of the process for a call, with those of the writer of the log."""
    began = time.process_time()
    for _ in range(_CALLS):
        call(data)
    # The writer gathers the lines of a moment.
    time.sleep(_GATHERED_SECONDS if logging.getLogger().isEnabledFor(logging.INFO) else 0.0)
    return 1e6 * (time.process_time() - began) / _CALLS


if __name__ == "__main__":
    main()
