"""What `translate_many` keeps account of: which items were taken, which were sent, which have no answer yet.

Knows the messages of a stream; nothing of channels, threads or tasks, so that both clients share it.
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
# Items, and code points, that are taken and whose results the caller has not got: more than a server works on at once.
READ_AHEAD_ITEMS = 2_048
READ_AHEAD_CHARACTERS = 1_000_000
# Of one message; an item that is larger is alone in its own.
_MESSAGE_ITEMS = 128
_MESSAGE_CHARACTERS = 32_768
# Streams in a row that end without an answer before the caller is told.
_MOST_ATTEMPTS = 8
# Seconds before the first new stream. The delay doubles with each further one, up to 15 times this: 3 seconds.
RETRY_DELAY = 0.2
_MOST_DELAYS = 15


@dataclass(frozen=True)
class _Item:
    index: int
    key: Any
    text: str
    error: LatimerError | None  # why it is not sent as it is


class Ledger:
    """The items of one `translate_many`, over all the streams that it takes. Not thread-safe."""

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
        self._unanswered: dict[str, _Item] = {}  # by item_id, in the order of the caller
        self._ready: deque[tuple[_Item, list[types.Translation]]] = deque()
        self._taken = 0
        self._items = 0  # taken, their results not given
        self._characters = 0
        self._failures = 0  # streams in a row without an answer
        self._was_broken = False  # a stream of it, at some time
        self.is_exhausted = False  # whether the caller's items are all taken

    @property
    def has_room(self) -> bool:
        """Whether another item may be taken from the caller."""
        return self._items < READ_AHEAD_ITEMS and self._characters < READ_AHEAD_CHARACTERS

    @property
    def has_results(self) -> bool:
        """Whether there are results that the caller was not given."""
        return bool(self._ready)

    @property
    def is_owed(self) -> bool:
        """Whether something that was sent has no answer yet."""
        return len(self._unanswered) > len(self._unsent)

    @property
    def is_settled(self) -> bool:
        """Whether all that was taken has its answer, and nothing more will be."""
        return self.is_exhausted and not self._unanswered

    @property
    def all_is_sent(self) -> bool:
        """Whether this stream has nothing to send any more."""
        return self.is_exhausted and not self._unsent and not self._config_is_due

    @staticmethod
    def check_items(items: object) -> None:
        """Raises `InvalidArgumentError` for one text in the place of many: its characters would be the items."""
        if isinstance(items, (str, bytes)):
            raise InvalidArgumentError("items is one text; translate takes one, or give a list of it")

    def add(self, given: object) -> None:
        """Takes an item of the caller: a text, or a pair of a key and a text. What no message can carry gets an error
        for its answer. Raises `InvalidArgumentError` for what is neither."""
        key, text = given if isinstance(given, tuple) and len(given) == 2 else (None, given)
        index = self._taken
        if not isinstance(text, str):
            raise InvalidArgumentError(
                f"item {index} is {type(given).__name__}, neither str nor a pair of a key and a str"
            )
        item = _Item(index, key, text, _convert.find_fault(text, index))
        self._taken += 1
        self._items += 1
        self._characters += len(text)
        self._unsent.append(item)
        self._unanswered[str(index)] = item

    def next_request(self) -> pb.StreamTranslateTextRequest | None:
        """The next message of this stream; None while there is nothing to send."""
        request = pb.StreamTranslateTextRequest()
        if self._config_is_due:
            request.config.CopyFrom(self._config)
            self._config_is_due = False
        elif not self._unsent:
            return None
        size = 0
        while self._unsent and len(request.items) < _MESSAGE_ITEMS:
            item = self._unsent[0]
            # In the place of what cannot be sent, so that it is answered in its turn.
            content = "" if item.error else item.text
            # Beside a large config, which has a message of its own limit, a large item would not fit either.
            is_alone = not request.items and not request.HasField("config")
            if not is_alone and size + len(content) > _MESSAGE_CHARACTERS:
                break
            size += len(content)
            request.items.add(item_id=str(item.index), content=content)
            self._unsent.popleft()
        return request

    def settle(self, response: pb.StreamTranslateTextResponse) -> None:
        """Notes the answers of a message; one that nobody waits for any more is left out."""
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
        """The next result for the caller; None while there is none. Raises its error where that was asked for."""
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
        """After a stream that ended too early: all that has no answer is to be sent on the next. Returns the seconds to
        wait before it; raises `error` where another one would not help."""
        self._failures += 1
        # Who was refused at the first try has lost nothing yet, and hears of it at once.
        can_wait = isinstance(error, OverloadedError) and self._was_broken
        if not (can_wait or isinstance(error, ConnectionFailedError)) or self._failures >= _MOST_ATTEMPTS:
            raise error
        self._was_broken = True
        self._config_is_due = True
        self._unsent = deque(self._unanswered.values())
        backoff = self._retry_delay * min(2.0 ** (self._failures - 1), _MOST_DELAYS)
        # Not all at the same moment, where many were thrown out together.
        return max(backoff, error.retry_after or 0.0) * random.uniform(0.8, 1.2)

    def check_end(self) -> None:
        """Raises `ServerError` if the server ended the stream well and answered too little."""
        if not self.is_settled:
            raise ServerError(f"the server ended the stream with {len(self._unanswered)} items unanswered")


def late_error(seconds: float | None) -> DeadlineExceededError:
    """What a caller is told who has waited so long for an answer that is owed."""
    return DeadlineExceededError(f"no answer came in {seconds:g} seconds", code="DEADLINE_EXCEEDED")
