"""StreamTranslateText over a real channel: its errors, its bounds, and its ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import grpc
import pytest

from latimer import AsyncClient
from latimer.v1 import translation_pb2 as pb
from latimer.v1 import translation_pb2_grpc, types_pb2
from latimer_server.core.decoding import Cancelled, DecodingOptions, Hypothesis, TokenIds
from latimer_server.rpc.server import LatimerServer
from latimer_server.scheduling import BatchQueue
from tests.fakes import BlockingBackend, EchoBackend, PoisonBackend, serve_fakes
from tests.integration.calls import find_queue
from tests.integration.test_errors import violations
from tests.streams import until

Call = Any  # grpc.aio.StreamStreamCall, whose messages the library leaves untyped


def open_stream(channel: grpc.aio.Channel, **options: Any) -> Call:
    return translation_pb2_grpc.TranslationServiceStub(channel).StreamTranslateText(**options)


def config(**fields: Any) -> pb.StreamTranslateTextRequest:
    defaults: dict[str, Any] = {"source_language_code": "en", "target_language_codes": ["pt"]}
    return pb.StreamTranslateTextRequest(config=pb.StreamTranslateTextConfig(**{**defaults, **fields}))


def items(texts: Iterable[str], start: int = 0) -> pb.StreamTranslateTextRequest:
    return pb.StreamTranslateTextRequest(
        items=[pb.StreamItem(item_id=f"n{index}", content=text) for index, text in enumerate(texts, start)]
    )


async def read_all(call: Call) -> list[pb.StreamResult]:
    return [result async for response in call for result in response.results]


async def read_until_error(call: Call) -> tuple[list[pb.StreamResult], grpc.aio.AioRpcError]:
    """Returns the results of a stream before its error, and the error."""
    given: list[pb.StreamResult] = []
    try:
        async for response in call:
            given += response.results
    except grpc.aio.AioRpcError as error:
        return given, error
    raise AssertionError("the stream ended well")


async def end_of(call: Call) -> grpc.aio.AioRpcError:
    """Returns the error of a stream."""
    return (await read_until_error(call))[1]


def is_idle(server: LatimerServer, queue: BatchQueue) -> bool:
    """True if no request is in work and no piece waits."""
    return not (server.admission.active or server.streams.active) and (
        queue.waiting,
        queue.waiting_tokens,
        queue.waiting_options,
    ) == (0, 0, 0)


@pytest.mark.parametrize(
    ("message", "field", "rule"),
    [
        (pb.StreamTranslateTextRequest(), "config", "required in the first message"),
        (items(["One."]), "config", "required in the first message"),
        (config(target_language_codes=[]), "config.target_language_codes", "1 to 16"),
        (config(source_language_code="english"), "config.source_language_code", "BCP-47"),
        (config(model="m" * 101), "config.model", "at most 100"),
        (config(options=pb.TranslateOptions(alternative_count=9)), "config.options.alternative_count", "0 to 8"),
        (config(options=pb.TranslateOptions(patterns=["("])), "config.options.patterns[0]", "RE2"),
    ],
)
async def test_a_bad_first_message_names_its_field(
    server: LatimerServer, channel: grpc.aio.Channel, message: pb.StreamTranslateTextRequest, field: str, rule: str
) -> None:
    call = open_stream(channel)
    await call.write(message)
    error = await end_of(call)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert rule in violations(error)[field]


async def test_a_stream_without_messages_lacks_its_config(channel: grpc.aio.Channel) -> None:
    call = open_stream(channel)
    await call.done_writing()
    assert violations(await end_of(call)) == {"config": "is required in the first message"}


@pytest.mark.parametrize(
    ("message", "code", "word"),
    [
        (config(target_language_codes=["de"]), grpc.StatusCode.NOT_FOUND, "en->de"),
        (config(model="nothing"), grpc.StatusCode.NOT_FOUND, "nothing"),
        (
            config(options=pb.TranslateOptions(error_flags=[types_pb2.FLAG_UNSUPPORTED_CLAIM])),
            grpc.StatusCode.UNIMPLEMENTED,
            "FLAG_UNSUPPORTED_CLAIM",
        ),
    ],
)
async def test_a_config_that_cannot_be_served_is_refused_before_any_item(
    channel: grpc.aio.Channel, message: pb.StreamTranslateTextRequest, code: grpc.StatusCode, word: str
) -> None:
    call = open_stream(channel)
    await call.write(message)
    error = await end_of(call)
    assert error.code() is code
    assert word in str(error.details())


async def test_undecodable_bytes_end_the_stream_after_the_items_before_them(channel: grpc.aio.Channel) -> None:
    call: Call = channel.stream_stream("/latimer.v1.TranslationService/StreamTranslateText")()
    await call.write(config().SerializeToString())
    await call.write(items(["One."]).SerializeToString())
    await call.write(b"\xff\xff\xff")
    first = pb.StreamTranslateTextResponse.FromString(await call.read())
    assert first.results[0].item_id == "n0"
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call.read()
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_the_error_of_an_item_affects_no_other_item() -> None:
    async with (
        serve_fakes({"en-pt": PoisonBackend()}) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        call = open_stream(channel)
        await call.write(config(target_language_codes=["pt", "en"], ordered=True))
        await call.write(items([f"This is {'POISON' if i == 7 else 'fine'}." for i in range(20)]))
        await call.write(pb.StreamTranslateTextRequest(items=[pb.StreamItem(content="No name.")]))
        await call.done_writing()
        results = await read_all(call)
    assert [result.item_id for result in results] == [*(f"n{index}" for index in range(20)), ""]
    codes = [[translation.error.code for translation in result.result.translations] for result in results]
    assert codes == [[13, 0] if index == 7 else [0, 0] for index in range(20)] + [[3, 3]]
    assert "POISON" not in str(results[7].result.translations[0])


async def test_the_last_message_has_the_usage_of_the_stream(channel: grpc.aio.Channel) -> None:
    call = open_stream(channel)
    await call.write(config())
    await call.write(items(["One is here. Two is here.", "42"]))
    await call.done_writing()
    responses = [response async for response in call]
    assert [response.HasField("usage") for response in responses[:-1]] == [False] * (len(responses) - 1)
    usage = responses[-1].usage
    assert (usage.characters, usage.segments) == (27, 3)
    assert usage.input_tokens > 0
    assert dict(await call.initial_metadata())["x-latimer-version"]


class CountingBackend(EchoBackend):
    """An echo that counts its pieces and keeps none of them."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces = 0

    def run(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
        self.pieces += len(batch)
        hypotheses = super().run(batch, options, cancelled)
        self.batches.clear()
        return hypotheses


async def test_a_caller_that_does_not_read_stops_the_server_from_reading() -> None:
    backend = CountingBackend()
    text = "a sentence of no importance " * 40
    total = 30_000  # 33 MB, more than the buffers on the way hold
    async with (
        serve_fakes({"en-pt": backend, "pt-en": EchoBackend()}) as server,
        AsyncClient(f"127.0.0.1:{server.port}") as other,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        call = open_stream(channel)

        async def write() -> None:
            await call.write(config(options=pb.TranslateOptions(sentence_splitting=pb.SENTENCE_SPLITTING_OFF)))
            for start in range(0, total, 50):
                await call.write(items([f"{index} {text}" for index in range(start, start + 50)], start))
            await call.done_writing()

        writing = asyncio.create_task(write())
        await until(lambda: backend.pieces > 0)
        before = -1
        while before != backend.pieces:
            before = backend.pieces
            for _ in range(50):  # the server has time for these, and so for the stream
                await other.translate("Um texto.", source="pt", target="en")
        assert not writing.done()
        assert backend.pieces < total // 3
        call.cancel()
        await asyncio.gather(writing, return_exceptions=True)


async def test_a_stream_that_is_cancelled_leaves_nothing_queued() -> None:
    blocking = BlockingBackend()
    async with (
        serve_fakes({"en-pt": blocking, "pt-en": EchoBackend()}) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        queue = await find_queue(server)
        call = open_stream(channel)
        await call.write(config())
        await call.write(items([f"Number {index} of many." for index in range(500)]))
        await until(lambda: queue.waiting > 400)
        assert server.streams.active == 1
        call.cancel()
        assert await asyncio.to_thread(blocking.saw_cancelled.wait, 10)
        await until(lambda: is_idle(server, queue) and not blocking.running)


async def test_a_deadline_ends_the_stream_and_its_work() -> None:
    blocking = BlockingBackend()
    async with (
        serve_fakes({"en-pt": blocking}) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        for seconds in (-1.0, 0.0):
            assert (await end_of(open_stream(channel, timeout=seconds))).code() is grpc.StatusCode.DEADLINE_EXCEEDED
        # Config and item are in one message: gRPC loses the status of a call when a write fails.
        call = open_stream(channel, timeout=1.0)
        await call.write(pb.StreamTranslateTextRequest(config=config().config, items=items(["Too late."]).items))
        assert (await end_of(call)).code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert await asyncio.to_thread(blocking.saw_cancelled.wait, 10)
        queue = await find_queue(server)
        await until(lambda: is_idle(server, queue) and not blocking.running)


async def test_a_thousand_streams_that_are_abandoned_leave_nothing(server: LatimerServer, client: AsyncClient) -> None:
    queue = await find_queue(server)
    before = len(asyncio.all_tasks())
    for batch in range(10):
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            calls = [open_stream(channel) for _ in range(100)]
            for number, call in enumerate(calls):
                # Beyond its bound the server may have refused the stream already.
                with suppress(asyncio.InvalidStateError, grpc.aio.AioRpcError):
                    if number % 4:
                        await call.write(config())
                    if number % 4 > 1:
                        await call.write(items(["A text of an abandoned stream."] * 3))
                    if number % 4 > 2:
                        await call.read()
            for call in calls[: 50 * (batch % 3)]:
                call.cancel()
    await until(lambda: is_idle(server, queue))
    await until(lambda: len(asyncio.all_tasks()) <= before + 2)
    assert (await client.translate("A text.", source="en", target="pt")).text == "A text."


async def test_a_stream_that_ends_with_messages_unread_leaves_no_task(
    server: LatimerServer, channel: grpc.aio.Channel
) -> None:
    before = len(asyncio.all_tasks())
    for _ in range(3):
        call = open_stream(channel)
        with suppress(grpc.aio.AioRpcError):
            await call.write(config(target_language_codes=["de"]))
            await call.write(items(["One."]))
        await end_of(call)  # its code varies: the second write may fail
    await until(lambda: len(asyncio.all_tasks()) <= before)


async def test_past_the_bound_a_stream_is_refused() -> None:
    async with (
        serve_fakes(max_streams=1) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        first = open_stream(channel)
        await first.write(config())
        await until(lambda: server.streams.active == 1)
        # A stream is refused before its config is read.
        assert await open_stream(channel).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await first.write(items(["One."]))
        assert (await first.read()).results[0].item_id == "n0"


async def test_a_draining_server_answers_the_items_that_it_has_and_takes_no_more() -> None:
    blocking = BlockingBackend()
    async with (
        serve_fakes({"en-pt": blocking}) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        busy, idle, silent, ended = (open_stream(channel) for _ in range(4))
        for call in (busy, idle, ended):
            await call.write(config())
        await busy.write(items(["Almost done.", "This one too."]))
        await ended.write(items(["The last one."]))
        await ended.done_writing()
        await silent.wait_for_connection()
        await until(lambda: blocking.started.is_set() and server.streams.active == 4)
        draining = asyncio.create_task(server.drain(20))
        for call in (idle, silent):
            error = await end_of(call)
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            assert "shutting down" in str(error.details())
        blocking.release.set()
        given, error = await read_until_error(busy)
        assert [result.item_id for result in given] == ["n0", "n1"]
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert [result.item_id for result in await read_all(ended)] == ["n0"]
        await draining


async def test_a_stream_that_outlasts_the_drain_is_unavailable() -> None:
    blocking = BlockingBackend()
    async with (
        serve_fakes({"en-pt": blocking}) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        call = open_stream(channel)
        await call.write(config())
        await call.write(items(["Never done."]))
        await asyncio.to_thread(blocking.started.wait, 10)
        draining = asyncio.create_task(server.drain(0.1))
        error = await end_of(call)
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert "ended before the call did" in str(error.details())
        await draining
