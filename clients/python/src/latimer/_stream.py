"""Runs a stream for the synchronous client: one thread takes the caller's items, one reads the answers.

Knows calls and threads; what is sent and what it comes to is `_ledger`'s.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

import grpc

from latimer import _channel, types
from latimer._ledger import Ledger, late_error
from latimer.errors import LatimerError
from latimer.v1 import translation_pb2 as pb

# Messages in, a call that is iterated for messages out.
OpenCall = Callable[[Iterator[pb.StreamTranslateTextRequest]], Any]


def run_stream(
    open_call: OpenCall, items: Iterable[object], ledger: Ledger, patience: float | None
) -> Generator[types.TranslatedItem, None, None]:
    """The results of the items. `patience`: the most seconds without an answer while one is owed."""
    stream = _Stream(open_call, items, ledger)
    try:
        stream.start()
        while (result := stream.next_result(patience)) is not None:
            yield result
    finally:
        stream.close()


class _Stream:
    """All that the threads share is behind one lock; each condition is what one of them waits for."""

    def __init__(self, open_call: OpenCall, items: Iterable[object], ledger: Ledger) -> None:
        self._open_call = open_call
        self._items = items
        self._ledger = ledger
        lock = threading.Lock()
        self._room = threading.Condition(lock)  # whoever takes items waits for room
        self._work = threading.Condition(lock)  # whoever sends waits for something to send
        self._news = threading.Condition(lock)  # the caller waits for results, or for the end of the call
        self._given = threading.Condition(lock)  # whoever reads waits until what it read is given
        self._number = 1  # of the call in work; threads of an earlier one end
        self._call: Any = None
        self._end: LatimerError | bool = False  # how the call ended; True: well
        self._fault: BaseException | None = None  # what the caller's iterable raised
        self._closed = False
        self._pause = threading.Event()

    def start(self) -> None:
        """Begins to take items, and the first call."""
        threading.Thread(target=self._take_items, name="latimer-items", daemon=True).start()
        self._begin_call()

    def next_result(self, patience: float | None) -> types.TranslatedItem | None:
        """Waits for a result; None after the last."""
        while True:
            with self._news:
                if (result := self._ledger.give()) is not None:
                    return result
                # Not for each that is given: threads that wake for one item do little else.
                self._room.notify()
                self._given.notify()
                if self._end is False:
                    is_owed = self._ledger.is_owed
                    if not self._news.wait(patience) and is_owed:
                        raise late_error(patience)
                    continue
                if self._end is True:
                    self._ledger.check_end()
                    if self._fault:
                        raise self._fault
                    return None
                seconds = self._ledger.begin_again(self._end)
                # At once: whatever still sends for the call that ended would take what the next one is to send.
                self._number += 1
            self._pause.wait(seconds)
            self._begin_call()

    def close(self) -> None:
        """Ends the call and, as soon as the caller's iterable lets go of it, the thread that takes items."""
        with self._news:
            self._closed = True
            for condition in (self._room, self._work, self._given):
                condition.notify_all()
        if self._call is not None:
            self._call.cancel()

    def _begin_call(self) -> None:
        with self._news:
            self._end = False
            self._work.notify_all()
            number = self._number
        try:
            self._call = self._open_call(self._send(number))
        except ValueError as error:
            raise _channel.closed_error() from error
        threading.Thread(target=self._read, args=(self._call, number), name="latimer-answers", daemon=True).start()

    def _take_items(self) -> None:
        fault: BaseException | None = None
        try:
            items = iter(self._items)
            while self._wait_for_room():
                item = next(items, self)
                if item is self:
                    break
                with self._news:
                    self._ledger.add(item)
                    self._work.notify()
        except BaseException as error:  # noqa: BLE001 (raised to the caller, in its own thread)
            fault = error
        with self._news:
            self._fault = fault
            self._ledger.is_exhausted = True
            self._work.notify()

    def _wait_for_room(self) -> bool:
        with self._room:
            self._room.wait_for(lambda: self._closed or self._ledger.has_room)
            return not self._closed

    def _send(self, number: int) -> Iterator[pb.StreamTranslateTextRequest]:
        """The messages of one call; gRPC asks for them in a thread of its own."""
        while True:
            with self._work:
                while True:
                    if self._closed or self._number != number:
                        return
                    if (request := self._ledger.next_request()) is not None:
                        break
                    if self._ledger.all_is_sent:
                        return
                    self._work.wait()
            yield request

    def _read(self, call: Any, number: int) -> None:
        end: LatimerError | bool = True
        try:
            for response in call:
                with self._given:
                    if self._closed or self._number != number:
                        return
                    self._ledger.settle(response)
                    self._news.notify()
                    self._given.wait_for(lambda: self._closed or self._number != number or not self._ledger.has_results)
        except grpc.RpcError as error:
            end = _channel.convert_call_error(error)
        with self._news:
            if self._number == number:
                self._end = end
                self._news.notify()
                self._work.notify_all()
