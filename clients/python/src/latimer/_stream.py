"""Runs a stream for the synchronous client: one thread takes the caller's items, and one reads the responses.

`_ledger.Ledger` holds the items and chooses those of each message. Threads wake each other for messages, not for items:
waking costs more than the work on an item.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

import grpc

from latimer import _status, types
from latimer._ledger import Answer, Ledger, late_error
from latimer.errors import LatimerError
from latimer.v1 import translation_pb2 as pb

# Converts gRPC's error of a call.
ConvertError = Callable[[Any], LatimerError]
# Starts a call with an iterator of its requests, and returns it with the function for its error. The call is an
# iterator of its responses. Raises `LatimerError` if the client is closed.
OpenCall = Callable[[Iterator[pb.StreamTranslateTextRequest]], tuple[Any, ConvertError]]


def run_stream(
    open_call: OpenCall, items: Iterable[object], ledger: Ledger, answer_timeout: float | None
) -> Generator[types.TranslatedItem, None, None]:
    """Yields the results of the items. `answer_timeout`: the most seconds to wait for a result of an item that was
    sent; None means no limit."""
    stream = _Stream(open_call, items, ledger)
    try:
        stream.start()
        while (answers := stream.next_answers(answer_timeout)) is not None:
            for answer in answers:
                yield ledger.read(answer)
            stream.release(answers)
    finally:
        stream.close()


class TranslationStream(Generator[types.TranslatedItem, None, None]):
    """The results of `translate_many`: an iterator that `close`, or the end of a `with` block, ends early."""

    def __init__(self, results: Generator[types.TranslatedItem, None, None], ledger: Ledger) -> None:
        self._results = results
        self._ledger = ledger

    @property
    def usage(self) -> types.Usage | None:
        """The cost of the stream; None until all results are taken. After a broken connection it is that of the last
        stream only."""
        return self._ledger.usage

    def __iter__(self) -> Generator[types.TranslatedItem, None, None]:
        return self._results

    def __next__(self) -> types.TranslatedItem:
        return next(self._results)

    def send(self, value: None) -> types.TranslatedItem:
        """Returns the next result, as `next` does."""
        return self._results.send(value)

    def throw(self, *error: Any) -> types.TranslatedItem:
        """Raises an exception where the stream waits, which ends it."""
        return self._results.throw(*error)

    def close(self) -> None:
        """Ends the stream."""
        self._results.close()

    def __enter__(self) -> TranslationStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


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
        self._sender_waits = False
        self._call_number = 1  # of the current call; threads of earlier calls see the change and end
        self._call: Any = None
        self._call_end: LatimerError | bool = False  # False: in work; True: ended with OK; else its error
        self._items_error: BaseException | None = None  # the exception of the caller's iterable
        self._closed = threading.Event()

    def start(self) -> None:
        """Starts to take items, and starts the first call."""
        threading.Thread(target=self._take_items, name="latimer-items", daemon=True).start()
        self._begin_call()

    def next_answers(self, answer_timeout: float | None) -> list[Answer] | None:
        """Waits for results; returns None after the last one."""
        while True:
            with self._progress:
                if answers := self._ledger.take():
                    self._taken.notify()
                    return answers
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
            self._closed.wait(seconds)
            self._begin_call()

    def release(self, answers: list[Answer]) -> None:
        """Lets the next items be taken: the caller has these results."""
        self._ledger.release(answers)
        with self._room:
            self._room.notify()

    def close(self) -> None:
        """Cancels the call. The thread that takes items ends when the caller's iterable returns."""
        with self._progress:
            self._closed.set()
            for condition in (self._room, self._work, self._taken):
                condition.notify_all()
        if self._call is not None:
            self._call.cancel()

    def _begin_call(self) -> None:
        with self._progress:
            self._call_end = False
            self._work.notify_all()
            number = self._call_number
        self._call, convert = self._open_call(self._send(number))
        threading.Thread(
            target=self._read, args=(self._call, number, convert), name="latimer-answers", daemon=True
        ).start()

    def _take_items(self) -> None:
        items_error: BaseException | None = None
        try:
            items = iter(self._items)
            while self._wait_for_room():
                item = next(items, self)
                if item is self:
                    break
                self._ledger.add(item)
                if self._sender_waits:
                    self._wake_sender()
        except BaseException as error:  # noqa: BLE001 (raised in the caller's thread)
            items_error = error
        with self._progress:
            self._items_error = items_error
            self._ledger.is_exhausted = True
            self._work.notify_all()

    def _wake_sender(self) -> None:
        with self._work:
            self._sender_waits = False  # one wake is enough, however long the sender takes to run
            self._work.notify_all()

    def _wait_for_room(self) -> bool:
        if not self._ledger.has_room:
            with self._room:
                self._room.wait_for(lambda: self._closed.is_set() or self._ledger.has_room)
        return not self._closed.is_set()

    def _send(self, number: int) -> Iterator[pb.StreamTranslateTextRequest]:
        """Yields the messages of one call. gRPC iterates in its own thread."""
        while True:
            with self._work:
                while True:
                    if self._closed.is_set() or self._call_number != number:
                        return
                    if (request := self._ledger.next_request()) is not None:
                        break
                    if self._ledger.all_is_sent:
                        return
                    self._sender_waits = True
                    # An item that was taken before the flag was set has woken nobody.
                    if not self._ledger.has_work:
                        self._work.wait()
                    self._sender_waits = False
            yield request

    def _read(self, call: Any, number: int, convert: ConvertError) -> None:
        end: LatimerError | bool = True
        try:
            is_first = True
            for response in call:
                request_id = _status.find_request_id(call.initial_metadata()) if is_first else None
                is_first = False
                with self._taken:
                    if self._closed.is_set() or self._call_number != number:
                        return
                    if request_id is not None:
                        self._ledger.request_id = request_id
                    self._ledger.settle(response)
                    self._progress.notify()
                    self._taken.wait_for(
                        lambda: self._closed.is_set() or self._call_number != number or not self._ledger.has_results
                    )
        except grpc.RpcError as error:
            end = convert(error)
        with self._progress:
            if self._call_number == number:
                self._call_end = end
                self._progress.notify()
                self._work.notify_all()
