"""The bookkeeping of `translate_many`: which items are unsent, unanswered and ready.

Uses no channels, threads or tasks, so that both clients share it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from latimer import _channel, _convert, _requests, types
from latimer._texts import check_texts, find_fault
from latimer.errors import (
    ConnectionFailedError,
    DeadlineExceededError,
    InvalidArgumentError,
    LatimerError,
    OverloadedError,
    ServerError,
)
from latimer.v1 import translation_pb2 as pb

METHOD = "/latimer.v1.TranslationService/StreamTranslateText"
# The most items and code points that are taken from the caller and whose results the caller does not have yet. This is
# more than a server works on at once.
READ_AHEAD_ITEMS = 2_048
READ_AHEAD_CHARACTERS = 1_000_000
# The limits of one message. A larger item gets a message of its own.
_MESSAGE_ITEMS = 128
_MESSAGE_CHARACTERS = 32_768
# Seconds before the first new stream, and the limit of the delay as a multiple of it.
RETRY_DELAY = 0.2
_MOST_DELAYS = 15
# The number of streams in a row that may end without a result before the error is raised.
_MOST_ATTEMPTS = 8


class _Item(NamedTuple):
    position: int
    item_id: str
    key: Any
    text: str
    error: LatimerError | None  # why the text cannot be sent


# An item, the server's result for it, and the id of the call that brought it.
Answer = tuple[_Item, pb.TranslationResult, str]


def stream_retry(first_delay: float) -> types.Retry:
    """Returns the retry settings of streams. `first_delay`: seconds before the first new stream."""
    return types.Retry(attempts=_MOST_ATTEMPTS, first_delay=first_delay, max_delay=_MOST_DELAYS * first_delay)


class Ledger:
    """The items of one call of `translate_many`, across all of its streams.

    `add`, `has_room` and `finish` belong to the thread that takes items. `release` and `read` belong to the caller's
    thread. The other methods share one lock of the caller. Between them lie a deque and two counters that only one
    thread changes, so that taking an item needs no lock.
    """

    def __init__(
        self,
        target: str | Sequence[str],
        source: str | None,
        options: Mapping[str, Any],
        *,
        ordered: bool,
        raise_errors: bool = False,
        retry: types.Retry | None = None,
    ) -> None:
        self._targets = _requests.check_targets(target)
        self._source = _requests.check_language("source", source)
        self._raise_errors = raise_errors
        self._retry = retry or stream_retry(RETRY_DELAY)
        self._config = _requests.build_stream_config(self._targets, self._source, options, ordered=ordered)
        self._config_is_due = True
        self._added: deque[_Item] = deque()  # taken from the caller, not yet in the other collections
        self._unsent: deque[_Item] = deque()
        self._unanswered: dict[str, _Item] = {}  # by item_id, in the order of the input
        self._ready: deque[Answer] = deque()
        self._taken = self._taken_characters = 0  # of all items that were taken from the caller
        self._released = self._released_characters = 0  # of those whose results the caller has
        self._failures = 0  # streams in a row without a result
        self._was_broken = False  # whether an earlier stream has failed
        self.request_id = ""  # the id of the current call
        self.usage: types.Usage | None = None  # the cost of the last stream, when it has ended
        self.is_exhausted = False  # whether all of the caller's items are taken

    @property
    def has_room(self) -> bool:
        """True if another item may be taken from the caller."""
        return (
            self._taken - self._released < READ_AHEAD_ITEMS
            and self._taken_characters - self._released_characters < READ_AHEAD_CHARACTERS
        )

    @property
    def has_results(self) -> bool:
        """True if there are results that the caller has not taken."""
        return bool(self._ready)

    @property
    def is_owed(self) -> bool:
        """True if an item that was sent has no result yet."""
        return len(self._unanswered) > len(self._unsent)

    @property
    def is_settled(self) -> bool:
        """True if all items are taken and have results."""
        return self.is_exhausted and not self._added and not self._unanswered

    @property
    def all_is_sent(self) -> bool:
        """True if the current stream has nothing more to send."""
        return self.is_exhausted and not self._added and not self._unsent and not self._config_is_due

    @property
    def has_work(self) -> bool:
        """True if the current stream has items to send, or nothing more to send at all."""
        return bool(self._added or self._unsent or self._config_is_due or self.is_exhausted)

    @staticmethod
    def check_items(items: object) -> None:
        """Raises `InvalidArgumentError` if `items` is a single text, whose characters would become the items, or no
        iterable of texts."""
        if isinstance(items, str):
            raise InvalidArgumentError("items is one text; call translate for it, or pass a list of texts")
        if not hasattr(items, "__aiter__"):
            check_texts(items, "items")

    def add(self, given: object) -> None:
        """Takes an item of the caller: a text, or a pair of a key and a text. Any other object, and a text that no
        message can contain, gets an error as its result."""
        key: object = None
        text = given
        if isinstance(given, tuple) and len(given) == 2:
            key, text = given
        index = self._taken
        error = find_fault(text, index)
        if not isinstance(text, str):
            text = ""
        self._taken_characters += len(text)
        self._taken = index + 1
        self._added.append(_Item(index, str(index), key, text, error))

    def next_request(self) -> pb.StreamTranslateTextRequest | None:
        """Returns the next message of the current stream; None if there is nothing to send."""
        self._accept_added()
        request = pb.StreamTranslateTextRequest()
        unsent, items = self._unsent, request.items
        size, room = 0, _MESSAGE_ITEMS
        # A large item and a large config together could exceed the limit of a message.
        is_alone = not self._config_is_due
        if self._config_is_due:
            request.config.CopyFrom(self._config)
            self._config_is_due = False
        elif not unsent:
            return None
        while unsent and room:
            _, item_id, _, text, error = unsent[0]
            # An empty text replaces one that cannot be sent, so that its error comes in the right order.
            content = "" if error else text
            size += len(content)
            if size > _MESSAGE_CHARACTERS and not is_alone:
                break
            items.add(item_id=item_id, content=content)
            unsent.popleft()
            is_alone = False
            room -= 1
        return request

    def settle(self, response: pb.StreamTranslateTextResponse) -> None:
        """Records the results of a message. A result of an item that has one already is ignored."""
        for result in response.results:
            item = self._unanswered.pop(result.item_id, None)
            if item is not None:
                self._failures = 0
                self._ready.append((item, result.result, self.request_id))
        if response.HasField("usage"):
            self.usage = _convert.read_usage(response.usage)

    def take(self) -> list[Answer]:
        """Returns all results that are ready; the caller gives each to `read`, and the list to `release` after that."""
        answers = list(self._ready)
        self._ready.clear()
        return answers

    def read(self, answer: Answer) -> types.TranslatedItem:
        """Converts a result. With `raise_errors`, raises its error."""
        (index, _, key, text, fault), message, request_id = answer
        translations = tuple(_convert.read_result(message, self._source, request_id)) if fault is None else ()
        if not translations:
            fault = fault or ServerError("the server returned an item without translations", request_id=request_id)
            translations = tuple(
                types.Translation(text="", source_language=self._source, target_language=target, error=fault)
                for target in self._targets
            )
        result = types.TranslatedItem(index=index, key=key, source_text=text, translations=translations)
        if self._raise_errors and result.error:
            raise result.error
        return result

    def release(self, answers: Sequence[Answer]) -> None:
        """Makes room for as many items as the caller has results."""
        self._released += len(answers)
        self._released_characters += sum([len(item.text) for item, _, _ in answers])

    def begin_again(self, error: LatimerError) -> float:
        """Prepares another stream after one that failed: all items without a result are sent again. Returns the seconds
        to wait before it. Raises `error` if a retry would not help, or after too many failures in a row."""
        self._failures += 1
        # On the first stream overload is raised by default: no result is lost. After a broken stream the client waits.
        can_wait = isinstance(error, OverloadedError) and (self._was_broken or self._retry.overloaded)
        if not (can_wait or isinstance(error, ConnectionFailedError)) or self._failures >= self._retry.attempts:
            raise error
        self._was_broken = True
        self._config_is_due = True
        self._accept_added()
        self._unsent = deque(self._unanswered.values())
        return _channel.delay_after(error, self._retry, self._failures)

    def check_end(self) -> None:
        """Raises `ServerError` if the server ended the stream with OK before all items had results."""
        if not self.is_settled:
            raise ServerError(
                f"the server ended the stream with {len(self._unanswered)} items unanswered", request_id=self.request_id
            )

    def _accept_added(self) -> None:
        while self._added:
            item = self._added.popleft()
            self._unsent.append(item)
            self._unanswered[item.item_id] = item


def late_error(seconds: float | None) -> DeadlineExceededError:
    """Returns the error for a result that did not come within `seconds`."""
    return DeadlineExceededError(f"no result came within {seconds:g} seconds", code="DEADLINE_EXCEEDED")
