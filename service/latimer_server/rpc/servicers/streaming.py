"""StreamTranslateText: items in, results out, so many at once as fill the models' batches and no more.

Knows the messages of a stream and that texts are translated in groups; nothing of calls, languages or queues.
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
from latimer_server.rpc.caller_identity import current_caller
from latimer_server.rpc.error_status import is_expected, to_status
from latimer_server.rpc.servicers.results import to_usage
from latimer_server.rpc.servicers.validation import MAX_CONTENT_CHARACTERS, MAX_CONTENTS, MAX_ITEM_ID, Rules
from latimer_server.scheduling import Admission, estimate_text_work

_log = logging.getLogger(__name__)

# Texts to their results, in order, and what that cost.
Translate = Callable[[Sequence[str]], Awaitable[tuple[list[pb.TranslationResult], Usage]]]

# Weights are those of `estimate_text_work`, for each target language. What a stream may hold in the server, from when it
# is read until its caller takes its result: enough for batches of like lengths to be chosen from.
MOST_HELD = 262_144
# Items translated together share what a group costs whatever its size, and come out together. A few groups may be of
# any size, so that an item that comes alone does not wait; the first are small, so that the first results do not.
_LEAST_GROUPED = 4_096
_MOST_GROUPED = 16_384
_FIRST_GROUPED = 1_024
_ANY_SIZE = 8
# Results of one message: far below the 4 MiB that callers take unless they say otherwise.
_MESSAGE_BYTES = 262_144
# These end the stream: they are no item's fault, and the next item would meet them too.
_OF_ALL = (DeadlineExceeded, Unavailable, Overloaded)
# How the runtime ends a task or the process.
_NOT_OURS = (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit)


@dataclass(eq=False)
class _Item:
    """An item that was read. `result`: None until there is one."""

    item_id: str
    content: str
    weight: int
    result: pb.TranslationResult | None = None


async def answer_stream(
    messages: AsyncIterator[pb.StreamTranslateTextRequest],
    open_stream: Callable[[pb.StreamTranslateTextConfig], Translate],
    admission: Admission,
) -> AsyncIterator[pb.StreamTranslateTextResponse | None]:
    """The answers to the messages of one stream, which has a place of `admission` from its config to its end. None
    comes first: the stream is accepted.

    `open_stream` raises what is wrong with the config. Whatever ends the messages, what was read before it is
    answered first; close the generator to withdraw it.
    """
    first = await anext(messages, None)
    if first is None or not first.HasField("config"):
        raise InvalidRequest(Violation("config", "is required in the first message"))
    translate = open_stream(first.config)
    with admission.admit(current_caller.get()):
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
    """What a stream holds: items that are read while there is room, the groups that they are translated in, and the
    results that its caller has not taken."""

    def __init__(self, config: pb.StreamTranslateTextConfig, translate: Translate) -> None:
        self.usage = Usage()
        self._ordered = config.ordered
        self._targets = tuple(config.target_language_codes)
        self._translate = translate
        self._held = 0  # the weight of all items that are read and not taken
        self._arrived: deque[_Item] = deque()
        self._unanswered: deque[_Item] = deque()  # in the order of arrival; kept only where that is wanted
        self._ready: deque[_Item] = deque()
        self._groups = 0  # in work
        self._most_grouped = _FIRST_GROUPED
        self._waiting = 0  # the weight of what has arrived
        self._tasks: set[asyncio.Task[None]] = set()
        self._reading = True
        self._refusal: BaseException | None = None  # what ended the messages; what was read is answered first
        self._failure: BaseException | None = None  # what ends the stream as it stands
        self._news = asyncio.Event()
        self._room = asyncio.Event()

    def start(
        self, first: pb.StreamTranslateTextRequest, messages: AsyncIterator[pb.StreamTranslateTextRequest]
    ) -> None:
        """Begins to read."""
        self._spawn(self._read(first, messages))

    async def stop(self) -> None:
        """Ends all that is in work, which withdraws what is queued."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def has_results(self) -> bool:
        """Waits for results; False when all are taken and no more will come. Raises what ended the stream."""
        while True:
            if self._failure:
                raise self._failure
            if self._ready:
                return True
            if not self._reading and not self._held:
                if self._refusal:
                    raise self._refusal
                return False
            self._news.clear()
            await self._news.wait()

    def take_results(self) -> tuple[list[pb.StreamResult], int]:
        """Results for one message, and the weight to `free` when the caller has them."""
        results: list[pb.StreamResult] = []
        weight = size = 0
        while self._ready and size < _MESSAGE_BYTES and len(results) < MAX_CONTENTS:
            item = self._ready.popleft()
            results.append(pb.StreamResult(item_id=item.item_id, result=item.result))
            weight += item.weight
            size += results[-1].ByteSize()
        return results, weight

    def free(self, weight: int) -> None:
        """Makes room for other items."""
        self._held -= weight
        self._room.set()

    async def _read(
        self, first: pb.StreamTranslateTextRequest, messages: AsyncIterator[pb.StreamTranslateTextRequest]
    ) -> None:
        try:
            await self._take_all(first.items)
            async for message in messages:
                if message.HasField("config"):
                    raise InvalidRequest(Violation("config", "is set; only the first message has it"))
                await self._take_all(message.items)
        except _NOT_OURS:
            raise
        except BaseException as error:  # noqa: BLE001 (the stream's answer)
            self._refusal = error
        self._reading = False
        self._news.set()

    async def _take_all(self, items: Sequence[pb.StreamItem]) -> None:
        rules = Rules()
        rules.require(len(items) <= MAX_CONTENTS, "items", f"has {len(items)} items; at most {MAX_CONTENTS}")
        rules.enforce()
        for index, item in enumerate(items):
            await self._take(item, index)
        self._form_groups()

    async def _take(self, message: pb.StreamItem, index: int) -> None:
        """Waits for room for an item. One that is larger than all room waits until it is alone."""
        rules = Rules()
        size = len(message.item_id)
        rules.require(
            1 <= size <= MAX_ITEM_ID, f"items[{index}].item_id", f"has {size} code points; 1 to {MAX_ITEM_ID}"
        )
        size = len(message.content)
        limit = MAX_CONTENT_CHARACTERS
        rules.require(size <= limit, f"items[{index}].content", f"has {size} code points; at most {limit}")
        weight = estimate_text_work([message.content]) * len(self._targets)
        while self._held and self._held + weight > MOST_HELD:
            self._form_groups()
            self._room.clear()
            await self._room.wait()
        self._held += weight
        item = _Item(message.item_id, message.content, weight)
        if self._ordered:
            self._unanswered.append(item)
        try:
            rules.enforce()
        except InvalidRequest as error:
            self._settle(item, self._refuse(error))
        else:
            self._arrived.append(item)
            self._waiting += weight

    def _form_groups(self) -> None:
        """Translates what has arrived: at once while few groups are in work, else when it is enough for a group or
        one of them is done."""
        while self._arrived and (self._groups < _ANY_SIZE or self._waiting >= _LEAST_GROUPED):
            group = [self._arrived.popleft()]
            weight = group[0].weight
            while self._arrived and weight + self._arrived[0].weight <= self._most_grouped:
                group.append(self._arrived.popleft())
                weight += group[-1].weight
            self._most_grouped = min(2 * self._most_grouped, _MOST_GROUPED)
            self._waiting -= weight
            self._groups += 1
            self._spawn(self._run_group(group))

    async def _run_group(self, items: Sequence[_Item]) -> None:
        try:
            await self._translate_items(items)
        except _NOT_OURS:
            raise
        except BaseException as error:  # noqa: BLE001 (the stream's answer)
            self._failure = error
            self._news.set()
        self._groups -= 1
        self._form_groups()

    async def _translate_items(self, items: Sequence[_Item]) -> None:
        """Settles the items. What went wrong with all of them together is tried by halves, so that it stays with the
        item that it is of."""
        try:
            results, usage = await self._translate([item.content for item in items])
        except _NOT_OURS + _OF_ALL:
            raise
        except BaseException as error:  # noqa: BLE001 (any failure is its item's, a Rust panic too)
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
            self._news.set()

    def _refuse(self, error: BaseException) -> pb.TranslationResult:
        status = to_status(error, request_id.get())
        return pb.TranslationResult(
            translations=[pb.Translation(target_language_code=target, error=status) for target in self._targets]
        )

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
