"""Answers StreamTranslateText: reads items, translates them in groups and returns their results.

A stream holds enough items to fill the models' batches. It reads no more until results are taken.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from latimer.v1 import translation_pb2 as pb
from latimer_server.core.errors import DeadlineExceeded, InvalidRequest, NotServed, Overloaded, Unavailable, Violation
from latimer_server.core.usage import Usage
from latimer_server.observability.log_format import request_id
from latimer_server.rpc.error_status import is_expected, to_status
from latimer_server.rpc.servicers.limits import MAX_CONTENT_CHARACTERS, MAX_CONTENTS, MAX_ITEM_ID
from latimer_server.rpc.servicers.results import to_usage
from latimer_server.rpc.servicers.validation import Rules
from latimer_server.scheduling import estimate_text_work

_log = logging.getLogger(__name__)

# Translates the contents of a group. Returns their results in the same order, and the usage.
Translate = Callable[[Sequence[str]], Awaitable[tuple[list[pb.TranslationResult], Usage]]]

# The most weight that one stream holds, from reading an item until the caller takes its result. The weight of an item
# is the work that `estimate_text_work` estimates, times the number of target languages. The bound is large enough for
# the queues to choose pieces of similar lengths for a batch.
MOST_HELD = 262_144
# A group is the items of one call to the translator. Each group has a fixed cost, and its results become ready
# together. Larger groups therefore cost less, and their first results come later. While fewer than `_MAX_SMALL_GROUPS`
# groups are in work, a group may weigh less than the minimum, so that a single item does not wait for others. The
# maximum is `_FIRST_GROUP_WEIGHT` for the first group, so that the first results come early, and doubles with each
# group up to `_MAX_GROUP_WEIGHT`.
_MIN_GROUP_WEIGHT = 4_096
_MAX_GROUP_WEIGHT = 16_384
_FIRST_GROUP_WEIGHT = 1_024
_MAX_SMALL_GROUPS = 8
# A message takes further results until it has this many bytes. That is far below the 4 MiB that gRPC clients accept by
# default.
_MESSAGE_BYTES = 262_144
# These errors end the stream: no item caused them, and the next item would fail as well.
_STREAM_ERRORS = (DeadlineExceeded, Unavailable, Overloaded)
# The exceptions by which the runtime ends a task or the process. They are raised on and never become a result.
_RUNTIME_EXITS = (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit)


@dataclass(eq=False)
class _Item:
    """An item of a stream. `result` is None until the item is translated or refused."""

    item_id: str
    content: str
    weight: int
    result: pb.TranslationResult | None = None


async def answer_stream(
    messages: AsyncIterator[pb.StreamTranslateTextRequest],
    open_stream: Callable[[pb.StreamTranslateTextConfig], Translate],
) -> AsyncIterator[pb.StreamTranslateTextResponse | None]:
    """Yields the responses of one stream. The first value is None: the stream is accepted.

    `open_stream` takes the config and returns the function that translates a group; it raises the errors of the config.
    When the messages end, also with an error, the items that were read are answered first. The last response has the
    usage. Closing the generator cancels the items in work.
    """
    first = await anext(messages, None)
    if first is None or not first.HasField("config"):
        raise InvalidRequest(Violation("config", "is required in the first message"))
    translate = open_stream(first.config)
    state = _StreamState(first.config, translate)
    try:
        state.start(first, messages)
        yield None
        while await state.has_results():
            results, weight = state.take_results()
            yield pb.StreamTranslateTextResponse(results=results)
            state.free(weight)
    finally:
        await state.stop()
    yield pb.StreamTranslateTextResponse(usage=to_usage(state.usage))


class _StreamState:
    """The state of one stream: items that are read, groups in work, and results that the caller has not taken yet."""

    def __init__(self, config: pb.StreamTranslateTextConfig, translate: Translate) -> None:
        self.usage = Usage()
        self._ordered = config.ordered
        self._targets = tuple(config.target_language_codes)
        self._translate = translate
        self._held_weight = 0  # of all items that are read and whose results are not taken
        self._arrived: deque[_Item] = deque()
        self._unanswered: deque[_Item] = deque()  # in order of arrival; used by ordered streams only
        self._ready: deque[_Item] = deque()
        self._active_groups = 0
        self._group_limit = _FIRST_GROUP_WEIGHT
        self._arrived_weight = 0  # of the items in `_arrived`
        self._tasks: set[asyncio.Task[None]] = set()
        self._reading = True
        self._refusal: BaseException | None = None  # why reading stopped; raised after all results
        self._failure: BaseException | None = None  # ends the stream at once
        self._progress = asyncio.Event()
        self._room = asyncio.Event()

    def start(
        self, first: pb.StreamTranslateTextRequest, messages: AsyncIterator[pb.StreamTranslateTextRequest]
    ) -> None:
        """Starts reading the messages."""
        self._spawn(self._read(first, messages))

    async def stop(self) -> None:
        """Cancels reading and all groups in work, and with them their queued pieces."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # An error has a traceback, which refers to this state.
        self._refusal = self._failure = None

    async def has_results(self) -> bool:
        """Waits for results and returns True; returns False once all results are taken and no item is left.

        Raises the error that ends the stream.
        """
        while True:
            if self._failure:
                raise self._failure
            if self._ready:
                return True
            if not self._reading and not self._held_weight:
                if self._refusal:
                    raise self._refusal
                return False
            self._progress.clear()
            await self._progress.wait()

    def take_results(self) -> tuple[list[pb.StreamResult], int]:
        """Removes the results for one message and returns them with their weight.

        The caller must `free` the weight after sending them.
        """
        results: list[pb.StreamResult] = []
        weight = size = 0
        while self._ready and size < _MESSAGE_BYTES and len(results) < MAX_CONTENTS:
            item = self._ready.popleft()
            results.append(pb.StreamResult(item_id=item.item_id, result=item.result))
            weight += item.weight
            size += results[-1].ByteSize()
        return results, weight

    def free(self, weight: int) -> None:
        """Makes room for further items of this weight, which lets reading continue."""
        self._held_weight -= weight
        self._room.set()

    async def _read(
        self, first: pb.StreamTranslateTextRequest, messages: AsyncIterator[pb.StreamTranslateTextRequest]
    ) -> None:
        try:
            await self._take_all(first.items)
            async for message in messages:
                if message.HasField("config"):
                    raise InvalidRequest(Violation("config", "is set; only the first message may contain it"))
                await self._take_all(message.items)
        except _RUNTIME_EXITS:
            raise
        except BaseException as error:  # noqa: BLE001 (becomes the status of the stream)
            self._refusal = error
        self._reading = False
        self._progress.set()

    async def _take_all(self, items: Sequence[pb.StreamItem]) -> None:
        rules = Rules()
        rules.require(
            len(items) <= MAX_CONTENTS, "items", f"has {len(items)} items; at most {MAX_CONTENTS} are allowed"
        )
        rules.enforce()
        for index, item in enumerate(items):
            await self._take(item, index)
        self._form_groups()

    async def _take(self, message: pb.StreamItem, index: int) -> None:
        """Takes an item when there is room for it. An item above the bound of a stream is taken when the stream holds
        no other item."""
        rules = Rules()
        size = len(message.item_id)
        rules.require(
            1 <= size <= MAX_ITEM_ID,
            f"items[{index}].item_id",
            f"has {size} code points; 1 to {MAX_ITEM_ID} are allowed",
        )
        size = len(message.content)
        limit = MAX_CONTENT_CHARACTERS
        rules.require(size <= limit, f"items[{index}].content", f"has {size} code points; at most {limit} are allowed")
        weight = estimate_text_work([message.content]) * len(self._targets)
        while self._held_weight and self._held_weight + weight > MOST_HELD:
            self._form_groups()
            self._room.clear()
            await self._room.wait()
        self._held_weight += weight
        item = _Item(message.item_id, message.content, weight)
        if self._ordered:
            self._unanswered.append(item)
        try:
            rules.enforce()
        except InvalidRequest as error:
            self._settle(item, self._refuse(error))
        else:
            self._arrived.append(item)
            self._arrived_weight += weight

    def _form_groups(self) -> None:
        """Starts a task for each group that can be formed from the items that have arrived.

        While few groups are in work, any items form a group; otherwise they wait until they have the minimum weight of
        a group.
        """
        while self._arrived and (self._active_groups < _MAX_SMALL_GROUPS or self._arrived_weight >= _MIN_GROUP_WEIGHT):
            group = [self._arrived.popleft()]
            weight = group[0].weight
            while self._arrived and weight + self._arrived[0].weight <= self._group_limit:
                group.append(self._arrived.popleft())
                weight += group[-1].weight
            self._group_limit = min(2 * self._group_limit, _MAX_GROUP_WEIGHT)
            self._arrived_weight -= weight
            self._active_groups += 1
            self._spawn(self._run_group(group))

    async def _run_group(self, items: Sequence[_Item]) -> None:
        try:
            await self._translate_items(items)
        except _RUNTIME_EXITS:
            raise
        except BaseException as error:  # noqa: BLE001 (becomes the status of the stream)
            self._failure = error
            self._progress.set()
        self._active_groups -= 1
        self._form_groups()

    async def _translate_items(self, items: Sequence[_Item]) -> None:
        """Translates a group and sets the result of each item.

        A group that fails is translated again in halves, so that only the item that causes the error fails. `NotServed`
        concerns all items, which then fail at once.
        """
        try:
            results, usage = await self._translate([item.content for item in items])
        except _RUNTIME_EXITS + _STREAM_ERRORS:
            raise
        except BaseException as error:  # noqa: BLE001 (the result of an item; a Rust panic is a BaseException)
            if len(items) == 1 or isinstance(error, NotServed):
                if not is_expected(error):
                    _log.error("item failed", exc_info=error)
                for item in items:
                    self._settle(item, self._refuse(error))
                return
            middle = len(items) // 2
            await self._translate_items(items[:middle])
            await self._translate_items(items[middle:])
            return
        self.usage.characters += usage.characters
        self.usage.segments += usage.segments
        self.usage.cached_segments += usage.cached_segments
        self.usage.retried_segments += usage.retried_segments
        self.usage.add(usage)
        for item, result in zip(items, results, strict=True):
            self._settle(item, result)

    def _settle(self, item: _Item, result: pb.TranslationResult) -> None:
        item.result, item.content = result, ""
        if not self._ordered:
            self._ready.append(item)
        while self._unanswered and self._unanswered[0].result is not None:
            self._ready.append(self._unanswered.popleft())
        if self._ready:
            self._progress.set()

    def _refuse(self, error: BaseException) -> pb.TranslationResult:
        status = to_status(error, request_id.get())
        return pb.TranslationResult(
            translations=[pb.Translation(target_language_code=target, error=status) for target in self._targets]
        )

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
