"""Summaries: files as one text each, and the calls of SummarizeText."""

from __future__ import annotations

import html
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, BinaryIO

from latimer._client import Client
from latimer.batch.flags import select_warnings
from latimer.batch.results import Reading, SentUnit, UnitResult
from latimer.batch.sending import Flight, GroupQueue, Results, ServerAddress, find_fault, is_worth_another_try
from latimer.errors import InvalidArgumentError, LatimerError, ServerError
from latimer.files import Document, Translated, Unit
from latimer.types import Summary

# A summary takes long, so a call has few texts: the loss of a server costs little.
_CALL_TEXTS = 8
_TAG = re.compile(r"<[^<>]*>")


def read_plain_text(unit: Unit) -> str:
    """Returns the text of a unit without its mark-up, for calls that read plain text only."""
    if unit.form in ("html", "xml"):
        return html.unescape(_TAG.sub("", unit.text))
    return _TAG.sub("", unit.text) if "xliff" in unit.syntaxes else unit.text


@dataclass(frozen=True)
class SummaryDocument:
    """A document as one unit: its texts with blank lines between. Its output is the summary as plain text."""

    document: Document

    def units(self) -> Iterator[Unit]:
        """Yields the whole text; nothing for a document without text."""
        text = "\n\n".join(read_plain_text(unit) for unit in self.document.units())
        if text.strip():
            yield Unit(text=text, place="the whole text")

    def write(self, target: BinaryIO, translations: Iterator[Translated]) -> None:
        """Writes the summary and a line end; nothing for a document without text."""
        for translated in translations:
            if translated.text is not None:
                target.write(translated.text.encode() + b"\n")


def find_call_error(summaries: Sequence[Summary]) -> LatimerError | None:
    """Returns the error of the whole call, which all summaries share; None if the call succeeded."""
    error = summaries[0].error if summaries else None
    if error is None or any(summary.error is not error for summary in summaries):
        return None
    # Of a single text, these are errors of the text, unless an option is wrong.
    if len(summaries) == 1 and isinstance(error, (InvalidArgumentError, ServerError)) and not _is_of_option(error):
        return None
    return error


def _is_of_option(error: LatimerError) -> bool:
    """Returns True for an error that every text would have, because the client or the server refuses an option."""
    if not isinstance(error, InvalidArgumentError):
        return False
    fields = [name for name, _ in error.violations]
    return not error.code if not fields else not any(name.startswith("content") for name in fields)


class SummarySender:
    """A `Sender` of summaries. `calls`: calls in flight to each server. `options`: arguments of `Client.summarize`."""

    def __init__(self, servers: Sequence[ServerAddress], *, options: Mapping[str, Any], calls: int = 1) -> None:
        self.results: Results = SimpleQueue()
        self._options = options
        self._servers = servers
        self._calls = calls
        self._clients = [Client(server.address, token=server.token, tls=server.tls) for server in servers]
        self._queue = GroupQueue(self.results, len(servers) * calls)
        for number in range(len(servers) * calls):
            client = self._clients[number % len(servers)]
            threading.Thread(target=self._run, args=(client, number), name="latimer-batch", daemon=True).start()

    def send(self, reading: Reading, units: Sequence[SentUnit]) -> None:  # noqa: ARG002 (the server reads plain text only)
        """Queues units."""
        for start in range(0, len(units), _CALL_TEXTS):
            self._queue.put(units[start : start + _CALL_TEXTS])

    def close(self) -> None:
        """Cancels calls in flight."""
        self._queue.close()
        for client in self._clients:
            client.close()

    def lost_servers(self) -> list[str]:
        """Returns the addresses of servers whose last calls have failed, while others went on."""
        count = len(self._servers)
        workers = range(count * self._calls)
        return sorted({self._servers[n % count].address for n in workers if self._queue.is_lost(n)})

    def _run(self, client: Client, number: int) -> None:
        try:
            self._serve(client, number)
        except Exception as error:  # noqa: BLE001 (the batch would wait forever)
            self._queue.end(ServerError(f"the answer of the server cannot be read: {error!r}", code="INTERNAL"))

    def _serve(self, client: Client, number: int) -> None:
        while self._queue.wait():
            flight = Flight()
            units = self._queue.take(flight, 1)
            if units is None:
                return
            faults = [
                (unit.ticket, UnitResult(None, error=fault)) for unit in units if (fault := find_fault(unit.text))
            ]
            if faults:
                self._queue.refuse(flight, faults)
                units = list(flight.units.values())
                if not units:
                    continue
            try:
                summaries = client.summarize([unit.text for unit in units], **self._options)
                error = find_call_error(summaries)
            except LatimerError as raised:
                error = raised
            if error is not None:
                self._queue.land(flight)
                if not self._queue.fail(number, error):
                    return
                continue
            self._deliver(number, units, summaries)

    def _deliver(self, number: int, units: Sequence[SentUnit], summaries: Sequence[Summary]) -> None:
        results = []
        again = []
        for unit, summary in zip(units, summaries, strict=True):
            if summary.error is None:
                results.append((unit.ticket, UnitResult(summary.text, select_warnings(summary.flags))))
            elif is_worth_another_try(unit, summary.error):
                again.append(unit._replace(tries=unit.tries + 1))
            else:
                results.append((unit.ticket, UnitResult(None, error=str(summary.error))))
        self._queue.deliver(number, results)
        self._queue.try_again(again)
