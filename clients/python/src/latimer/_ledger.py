"""The bookkeeping of `translate_many`: which items are unsent, unanswered and ready.

Uses no channels, threads or tasks, so that both clients share it.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from latimer import _convert, types
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
# The number of streams in a row that may end without a result before the error is raised.
_MOST_ATTEMPTS = 8
# Seconds before the first new stream. The delay doubles with each further one, up to 15 times this: 3 seconds.
RETRY_DELAY = 0.2
_MOST_DELAYS = 15


@dataclass(frozen=True)
class _Item:
    index: int
    key: Any
    text: str
    error: LatimerError | None  # why the text cannot be sent


class Ledger:
    """The items of one call of `translate_many`, across all of its streams. Not thread-safe."""

    def __init__(
        self,
        targets: str | Sequence[str],
        source: str | None,
        options: Mapping[str, Any],
        *,
        ordered: bool,
        raise_errors: bool,
        retry_delay: float = RETRY_DELAY,
    ) -> None:
        self._targets = [targets] if isinstance(targets, str) else list(targets)
        self._source = source
        self._raise_errors = raise_errors
        self._retry_delay = retry_delay
        self._config = _convert.build_stream_config(self._targets, source, options, ordered=ordered)
        self._config_is_due = True
        self._unsent: deque[_Item] = deque()
        self._unanswered: dict[str, _Item] = {}  # by item_id, in the order of the input
        self._ready: deque[tuple[_Item, list[types.Translation]]] = deque()
        self._taken = 0
        self._items = 0  # items taken whose results the caller does not have yet
        self._characters = 0
        self._failures = 0  # streams in a row without a result
        self._was_broken = False  # whether an earlier stream has failed
        self.is_exhausted = False  # whether all of the caller's items are taken

    @property
    def has_room(self) -> bool:
        """True if another item may be taken from the caller."""
        return self._items < READ_AHEAD_ITEMS and self._characters < READ_AHEAD_CHARACTERS

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
        return self.is_exhausted and not self._unanswered

    @property
    def all_is_sent(self) -> bool:
        """True if the current stream has nothing more to send."""
        return self.is_exhausted and not self._unsent and not self._config_is_due

    @staticmethod
    def check_items(items: object) -> None:
        """Raises `InvalidArgumentError` if `items` is a single text: its characters would become the items."""
        if isinstance(items, (str, bytes)):
            raise InvalidArgumentError("items is one text; call translate for it, or pass a list of texts")

    def add(self, given: object) -> None:
        """Takes an item of the caller: a text, or a pair of a key and a text. Raises `InvalidArgumentError` for any
        other object. A text that no message can contain gets an error as its result."""
        key, text = given if isinstance(given, tuple) and len(given) == 2 else (None, given)
        index = self._taken
        if not isinstance(text, str):
            raise InvalidArgumentError(
                f"item {index} is {type(given).__name__}; it must be a str, or a tuple of a key and a str"
            )
        item = _Item(index, key, text, _convert.find_fault(text, index))
        self._taken += 1
        self._items += 1
        self._characters += len(text)
        self._unsent.append(item)
        self._unanswered[str(index)] = item

    def next_request(self) -> pb.StreamTranslateTextRequest | None:
        """Returns the next message of the current stream; None if there is nothing to send."""
        request = pb.StreamTranslateTextRequest()
        if self._config_is_due:
            request.config.CopyFrom(self._config)
            self._config_is_due = False
        elif not self._unsent:
            return None
        size = 0
        while self._unsent and len(request.items) < _MESSAGE_ITEMS:
            item = self._unsent[0]
            # An empty text replaces one that cannot be sent, so that its error comes in the right order.
            content = "" if item.error else item.text
            # A large item and a large config together could exceed the limit of a message.
            is_alone = not request.items and not request.HasField("config")
            if not is_alone and size + len(content) > _MESSAGE_CHARACTERS:
                break
            size += len(content)
            request.items.add(item_id=str(item.index), content=content)
            self._unsent.popleft()
        return request

    def settle(self, response: pb.StreamTranslateTextResponse) -> None:
        """Records the results of a message. A result of an item that has one already is ignored."""
        for result in response.results:
            item = self._unanswered.pop(result.item_id, None)
            if item is None:
                continue
            self._failures = 0
            translations = _convert.read_result(result.result, self._source)
            if item.error:
                translations = [
                    types.Translation("", self._source or "", target, error=item.error) for target in self._targets
                ]
            self._ready.append((item, translations))

    def give(self) -> types.TranslatedItem | None:
        """Returns the next result for the caller; None if none is ready. With `raise_errors`, raises the error of a
        result."""
        if not self._ready:
            return None
        item, translations = self._ready.popleft()
        self._items -= 1
        self._characters -= len(item.text)
        result = types.TranslatedItem(item.index, item.key, item.text, tuple(translations))
        if self._raise_errors and result.error:
            raise result.error
        return result

    def begin_again(self, error: LatimerError) -> float:
        """Prepares another stream after one that failed: all items without a result are sent again. Returns the seconds
        to wait before it. Raises `error` if a retry would not help, or after too many failures in a row."""
        self._failures += 1
        # On the first stream overload is raised: no result is lost. After a broken stream the client waits instead.
        can_wait = isinstance(error, OverloadedError) and self._was_broken
        if not (can_wait or isinstance(error, ConnectionFailedError)) or self._failures >= _MOST_ATTEMPTS:
            raise error
        self._was_broken = True
        self._config_is_due = True
        self._unsent = deque(self._unanswered.values())
        backoff = self._retry_delay * min(2.0 ** (self._failures - 1), _MOST_DELAYS)
        # The jitter spreads the retries of clients that lost their streams at the same moment.
        return max(backoff, error.retry_after or 0.0) * random.uniform(0.8, 1.2)

    def check_end(self) -> None:
        """Raises `ServerError` if the server ended the stream with OK before all items had results."""
        if not self.is_settled:
            raise ServerError(f"the server ended the stream with {len(self._unanswered)} items unanswered")


def late_error(seconds: float | None) -> DeadlineExceededError:
    """Returns the error for a result that did not come within `seconds`."""
    return DeadlineExceededError(f"no result came within {seconds:g} seconds", code="DEADLINE_EXCEEDED")
