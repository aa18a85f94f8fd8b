"""Runs a stream for the synchronous client: one thread takes the caller's items, and one reads the responses.

`_ledger.Ledger` holds the items and chooses those of each message.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

import grpc

from latimer import _channel, types
from latimer._ledger import Ledger, late_error
from latimer.errors import LatimerError
from latimer.v1 import translation_pb2 as pb

# Starts a call with an iterator of its requests. The call is an iterator of its responses.
OpenCall = Callable[[Iterator[pb.StreamTranslateTextRequest]], Any]


def run_stream(
    open_call: OpenCall, items: Iterable[object], ledger: Ledger, answer_timeout: float | None
) -> Generator[types.TranslatedItem, None, None]:
    """Yields the results of the items. `answer_timeout`: the most seconds to wait for a result of an item that was
    sent; None means no limit."""
    stream = _Stream(open_call, items, ledger)
    try:
        stream.start()
        while (result := stream.next_result(answer_timeout)) is not None:
            yield result
    finally:
        stream.close()


class _Stream:
    """The state that the threads share. One lock guards all of it; each thread waits for one of the conditions."""

    def __init__(self, open_call: OpenCall, items: Iterable[object], ledger: Ledger) -> None:
        self._open_call = open_call
        self._items = items
        self._ledger = ledger
        lock = threading.Lock()
        self._room = threading.Condition(lock)  # the thread that takes items waits for room
        self._work = threading.Condition(lock)  # the thread that sends waits for items
        self._progress = threading.Condition(lock)  # the caller waits for results or the end of the call
        self._taken = threading.Condition(lock)  # the thread that reads waits until results are taken
        self._call_number = 1  # of the current call; threads of earlier calls see the change and end
        self._call: Any = None
        self._call_end: LatimerError | bool = False  # False: in work; True: ended with OK; else its error
        self._items_error: BaseException | None = None  # the exception of the caller's iterable
        self._closed = False

    def start(self) -> None:
        """Starts to take items, and starts the first call."""
        threading.Thread(target=self._take_items, name="latimer-items", daemon=True).start()
        self._begin_call()

    def next_result(self, answer_timeout: float | None) -> types.TranslatedItem | None:
        """Waits for the next result; returns None after the last one."""
        while True:
            with self._progress:
                if (result := self._ledger.give()) is not None:
                    return result
                # The threads wake up when all results are taken, not for each result, which would cost more than the
                # work.
                self._room.notify()
                self._taken.notify()
                if self._call_end is False:
                    is_owed = self._ledger.is_owed
                    if not self._progress.wait(answer_timeout) and is_owed:
                        raise late_error(answer_timeout)
                    continue
                if self._call_end is True:
                    self._ledger.check_end()
                    if self._items_error:
                        raise self._items_error
                    return None
                seconds = self._ledger.begin_again(self._call_end)
                # The number changes before the delay, or the sender of the old call would take items of the next call.
                self._call_number += 1
            time.sleep(seconds)
            self._begin_call()

    def close(self) -> None:
        """Cancels the call. The thread that takes items ends when the caller's iterable returns."""
        with self._progress:
            self._closed = True
            for condition in (self._room, self._work, self._taken):
                condition.notify_all()
        if self._call is not None:
            self._call.cancel()

    def _begin_call(self) -> None:
        with self._progress:
            self._call_end = False
            self._work.notify_all()
            number = self._call_number
        try:
            self._call = self._open_call(self._send(number))
        except ValueError as error:
            raise _channel.closed_error() from error
        threading.Thread(target=self._read, args=(self._call, number), name="latimer-answers", daemon=True).start()

    def _take_items(self) -> None:
        items_error: BaseException | None = None
        try:
            items = iter(self._items)
            while self._wait_for_room():
                item = next(items, self)
                if item is self:
                    break
                with self._progress:
                    self._ledger.add(item)
                    self._work.notify()
        except BaseException as error:  # noqa: BLE001 (raised in the caller's thread)
            items_error = error
        with self._progress:
            self._items_error = items_error
            self._ledger.is_exhausted = True
            self._work.notify()

    def _wait_for_room(self) -> bool:
        with self._room:
            self._room.wait_for(lambda: self._closed or self._ledger.has_room)
            return not self._closed

    def _send(self, number: int) -> Iterator[pb.StreamTranslateTextRequest]:
        """Yields the messages of one call. gRPC iterates in its own thread."""
        while True:
            with self._work:
                while True:
                    if self._closed or self._call_number != number:
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
                with self._taken:
                    if self._closed or self._call_number != number:
                        return
                    self._ledger.settle(response)
                    self._progress.notify()
                    self._taken.wait_for(
                        lambda: self._closed or self._call_number != number or not self._ledger.has_results
                    )
        except grpc.RpcError as error:
            end = _channel.convert_call_error(error)
        with self._progress:
            if self._call_number == number:
                self._call_end = end
                self._progress.notify()
                self._work.notify_all()
