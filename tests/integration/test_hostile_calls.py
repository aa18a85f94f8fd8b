"""Calls that no library sends: each is answered or ended, and others are served meanwhile."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from latimer import AsyncClient
from latimer.v1 import translation_pb2 as pb
from latimer.v1 import translation_pb2_grpc
from latimer_server.rpc.server import LatimerServer
from tests.fakes import BlockingBackend, serve_fakes
from tests.raw_http2 import RawConnection, frame_message
from tests.streams import until

TRANSLATE = b"/latimer.v1.TranslationService/TranslateText"
STREAM = b"/latimer.v1.TranslationService/StreamTranslateText"
CHECK, WATCH = b"/grpc.health.v1.Health/Check", b"/grpc.health.v1.Health/Watch"
REFLECTION = b"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
CANCELLED, INVALID_ARGUMENT, UNIMPLEMENTED, UNAUTHENTICATED, RESOURCE_EXHAUSTED = b"1", b"3", b"12", b"16", b"8"
MOST_PROBES, MOST_ARRIVING, MOST_REFLECTIONS, MOST_UNREAD = 64, 128, 16, 1_024
Statuses = Mapping[int, Mapping[bytes, bytes]]


async def in_thread(port: int, work: Callable[[RawConnection], Statuses], *, window: int | None = None) -> Statuses:
    def run() -> Statuses:
        with RawConnection(port, window=window) as connection:
            return work(connection)

    return await asyncio.to_thread(run)


@pytest.mark.parametrize("connections", [1, 20])
async def test_paths_that_are_not_utf8_end_no_other_call(
    server: LatimerServer, client: AsyncClient, connections: int
) -> None:
    def attack(connection: RawConnection) -> Statuses:
        return connection.read_statuses([connection.begin(b"/\xff\xfe%d" % number) for number in range(50)])

    async def call() -> None:
        for _ in range(50):
            assert (await client.translate("A text.", source="en", target="pt")).text == "A text."

    attacks = asyncio.gather(*(in_thread(server.port, attack) for _ in range(connections)))
    await call()
    for statuses in await attacks:
        assert len(statuses) == 50
        assert all(status[b"grpc-status"] == UNIMPLEMENTED for status in statuses.values())
    assert (await client.translate("A text.", source="en", target="pt")).text == "A text."


async def test_metadata_is_bounded_before_a_client_has_acknowledged_the_settings(server: LatimerServer) -> None:
    def call(connection: RawConnection) -> Statuses:
        headers = [(b"x-large", b"a" * 20_000), (b"x-request-id", b"request-7")]
        stream = connection.begin(TRANSLATE, headers)  # nothing is read yet
        return connection.read_statuses([stream])

    (status,) = (await in_thread(server.port, call)).values()
    assert status[b"grpc-status"] == RESOURCE_EXHAUSTED
    assert b"bytes of metadata" in status[b"grpc-message"]
    assert status[b"x-request-id"] == b"request-7"
    assert b"RetryInfo" not in base64.b64decode(status[b"grpc-status-details-bin"] + b"==")


async def test_a_client_that_does_not_acknowledge_the_settings_is_disconnected() -> None:
    async with serve_fakes(handshake_seconds=0.2) as server:
        with await asyncio.to_thread(RawConnection, server.port) as connection:
            await asyncio.to_thread(connection.wait_for_close)


async def test_a_client_that_floods_pings_is_disconnected(server: LatimerServer) -> None:
    with await asyncio.to_thread(RawConnection, server.port) as connection:
        await asyncio.to_thread(connection.ping, 100)
        await asyncio.to_thread(connection.wait_for_close)


async def test_connections_are_bounded() -> None:
    async with serve_fakes(max_connections=2) as server:
        with RawConnection(server.port) as one, RawConnection(server.port) as two:
            for connection in (one, two):
                await asyncio.to_thread(connection.read_statuses, [connection.begin(b"/none")])
            with pytest.raises(ConnectionError):
                await in_thread(server.port, lambda third: third.read_statuses([third.begin(b"/none")]))


async def test_a_watch_that_takes_no_data_holds_up_neither_health_nor_the_drain() -> None:
    async with serve_fakes() as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        connection = await asyncio.to_thread(RawConnection, server.port, window=0)
        with connection:
            stream = connection.begin(WATCH)
            connection.send(stream, frame_message(health_pb2.HealthCheckRequest().SerializeToString()))
            await asyncio.to_thread(connection.wait_for_headers, stream)
            assert await client.health() == "SERVING"
            await asyncio.wait_for(server.finish_calls(600), 60)
            assert await client.health() == "NOT_SERVING"


def begin_answered_call(connection: RawConnection) -> int:
    """Sends a call and waits until its answer begins. Returns its stream."""
    stream = connection.begin(TRANSLATE)
    message = pb.TranslateTextRequest(contents=["A text."], source_language_code="en", target_language_codes=["pt"])
    connection.send(stream, frame_message(message.SerializeToString()))
    connection.wait_for_headers(stream)
    return stream


async def test_a_drain_waits_until_a_slow_reader_has_its_answer() -> None:
    async with serve_fakes() as server:
        connection = await asyncio.to_thread(RawConnection, server.port, window=0)
        with connection:
            stream = await asyncio.to_thread(begin_answered_call, connection)
            draining = asyncio.create_task(server.finish_calls(600))
            await asyncio.wait((draining,), timeout=0.5)
            assert not draining.done()
            connection.open_window(stream, 1_000)
            (status,) = (await asyncio.to_thread(connection.read_statuses, [stream])).values()
            assert status[b"grpc-status"] == b"0"
            await asyncio.wait_for(draining, 60)


async def test_a_drain_gives_up_messages_that_do_not_arrive() -> None:
    async with serve_fakes(receive_seconds=0.1) as server:
        with await asyncio.to_thread(RawConnection, server.port) as connection:
            stream = connection.begin(TRANSLATE)
            connection.send(stream, frame_message(b"", length=1_000), end=False)
            await until(lambda: server.active_calls == 1)
            await asyncio.wait_for(server.finish_calls(600), 60)


async def test_a_drain_does_not_wait_for_a_call_without_a_message() -> None:
    async with serve_fakes() as server:
        with await asyncio.to_thread(RawConnection, server.port) as connection:
            connection.begin(TRANSLATE)
            await until(lambda: server.active_calls == 1)
            await asyncio.wait_for(server.finish_calls(600), 25)


async def test_a_call_that_outlasts_the_drain_is_unavailable_with_a_message() -> None:
    blocking = BlockingBackend()
    async with (
        serve_fakes({"en-pt": blocking}) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        request = pb.TranslateTextRequest(
            contents=["Never done."], source_language_code="en", target_language_codes=["pt"]
        )
        call = translation_pb2_grpc.TranslationServiceStub(channel).TranslateText(request)
        await asyncio.to_thread(blocking.started.wait, 10)
        await server.finish_calls(0.1)
        assert await call.code() is grpc.StatusCode.UNAVAILABLE
        assert "ended before the call did" in str(await call.details())


async def test_the_end_of_a_drain_leaves_time_for_statuses_that_are_sent_slowly() -> None:
    async with serve_fakes() as server:
        connection = await asyncio.to_thread(RawConnection, server.port, window=0)
        with connection:
            stream = await asyncio.to_thread(begin_answered_call, connection)
            draining = asyncio.create_task(server.finish_calls(0))
            await asyncio.wait((draining,), timeout=1)
            assert not draining.done()
            connection.open_window(stream, 1_000)
            await asyncio.wait_for(draining, 60)
            assert server.active_calls == 0


async def test_answers_that_are_not_read_are_bounded_in_number() -> None:
    async with serve_fakes() as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        request = pb.TranslateTextRequest(contents=["A."], source_language_code="en", target_language_codes=["pt"])
        message = frame_message(request.SerializeToString())

        def call(connection: RawConnection) -> Mapping[bytes, bytes]:
            for _ in range(MOST_UNREAD // 4):
                stream = connection.begin(TRANSLATE)
                connection.send(stream, message)
                connection.wait_for_headers(stream)
            refused = connection.begin(TRANSLATE)
            connection.send(refused, message)
            return connection.read_statuses([refused])[refused]

        connection = await asyncio.to_thread(RawConnection, server.port, window=0)
        with connection:
            status = await asyncio.to_thread(call, connection)
            assert status[b"grpc-status"] == RESOURCE_EXHAUSTED
            assert b"has not read 256 answers" in status[b"grpc-message"]
            assert (await client.translate("A text.", source="en", target="pt")).text == "A text."


@pytest.mark.parametrize(
    ("path", "open_calls", "beyond"), [(CHECK, MOST_PROBES, 16), (TRANSLATE, MOST_ARRIVING // 2, 1)]
)
async def test_two_connections_without_messages_shut_out_nobody(path: bytes, open_calls: int, beyond: int) -> None:
    def call(connection: RawConnection) -> None:
        for _ in range(open_calls + beyond):
            connection.begin(path)
        connection.wait_for_ends(beyond)

    async with serve_fakes() as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        with RawConnection(server.port) as one, RawConnection(server.port) as other:
            for connection in (one, other):
                await asyncio.to_thread(call, connection)
            assert (await client.translate("A text.", source="en", target="pt")).text == "A text."
            assert await client.health() == "SERVING"


async def test_messages_that_are_arriving_are_bounded_and_half_are_left_to_others() -> None:
    async with serve_fakes() as server, AsyncClient(f"127.0.0.1:{server.port}") as client:

        def call(connection: RawConnection) -> None:
            for _ in range(MOST_ARRIVING // 2 + 16):
                connection.send(connection.begin(TRANSLATE), frame_message(b"", length=1_000), end=False)
            connection.wait_for_ends(16)

        with RawConnection(server.port) as connection:
            await asyncio.to_thread(call, connection)
            assert {status[b"grpc-status"] for status in connection.ended.values()} == {RESOURCE_EXHAUSTED}
            assert (await client.translate("A text.", source="en", target="pt")).text == "A text."


async def test_reflection_streams_are_bounded_and_stay_open_between_questions() -> None:
    async with serve_fakes(receive_seconds=0.1) as server:
        question = frame_message(reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString())

        def ask(connection: RawConnection) -> Statuses:
            for _ in range(MOST_REFLECTIONS // 2):
                stream = connection.begin(REFLECTION)
                connection.send(stream, question, end=False)
                connection.wait_for_headers(stream)
            refused = connection.begin(REFLECTION)
            (status,) = connection.read_statuses([refused]).values()
            assert status[b"grpc-status"] == RESOURCE_EXHAUSTED
            # A call whose message does not arrive is ended; the streams, which are older, are not.
            slow = connection.begin(TRANSLATE)
            connection.read_statuses([slow])
            connection.send(stream, question)
            return connection.read_statuses([stream])

        (status,) = (await in_thread(server.port, ask)).values()
        assert status[b"grpc-status"] == b"0"


async def test_a_unary_call_without_a_message_is_answered(server: LatimerServer) -> None:
    def call(connection: RawConnection) -> Statuses:
        stream = connection.begin(TRANSLATE)
        connection.send(stream, b"")
        return connection.read_statuses([stream])

    (status,) = (await in_thread(server.port, call)).values()
    assert status[b"grpc-status"] == INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("field", "item"), [("error_flags", b"\x01"), ("syntaxes", b"\x01"), ("glossary_terms", b"\0"), ("phrases", b"\0")]
)
async def test_a_compressed_message_of_millions_of_items_is_refused_by_name(
    server: LatimerServer, client: AsyncClient, field: str, item: bytes
) -> None:
    number = pb.TranslateOptions.DESCRIPTOR.fields_by_name[field].number
    wire_type = 0 if item == b"\x01" else 2
    key = number << 3 | wire_type
    body = (bytes([key] if key < 128 else [key & 127 | 128, key >> 7]) + item) * 1_000_000
    options = pb.TranslateTextRequest.DESCRIPTOR.fields_by_name["options"].number
    length = len(body)
    prefix = bytes([options << 3 | 2, *(length >> shift & 127 | 128 for shift in (0, 7, 14)), length >> 21])
    data = frame_message(prefix + body, compressed=True)

    def call(connection: RawConnection) -> Statuses:
        streams = [connection.begin(TRANSLATE, [(b"grpc-encoding", b"gzip")]) for _ in range(4)]
        for stream in streams:
            connection.send(stream, data)
        return connection.read_statuses(streams)

    for status in (await in_thread(server.port, call)).values():
        assert status[b"grpc-status"] == INVALID_ARGUMENT
        assert re.search(
            rf"options\.{field}: has more than \d+ items; at most \d+ are allowed".encode(), status[b"grpc-message"]
        )
    assert await client.health() == "SERVING"


async def test_the_message_of_a_caller_without_a_token_is_never_received(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("secret\n")
    async with serve_fakes(auth_tokens=tokens) as server:

        def call(connection: RawConnection) -> Statuses:
            stream = connection.begin(TRANSLATE)
            connection.send(stream, frame_message(b"", length=4_000_000), end=False)
            return connection.read_statuses([stream])

        (status,) = (await in_thread(server.port, call)).values()
        assert status[b"grpc-status"] == UNAUTHENTICATED


async def test_a_message_that_does_not_arrive_is_given_up() -> None:
    async with serve_fakes(receive_seconds=0.2) as server:

        def call(connection: RawConnection) -> Statuses:
            stream = connection.begin(TRANSLATE)
            connection.send(stream, frame_message(b"", length=1_000), end=False)
            return connection.read_statuses([stream])

        (status,) = (await in_thread(server.port, call)).values()
        assert status[b"grpc-status"] == CANCELLED


async def test_idle_streams_deny_nobody_else() -> None:
    async with serve_fakes(max_streams=16, max_requests=4) as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        config = pb.StreamTranslateTextConfig(source_language_code="en", target_language_codes=["pt"])
        message = frame_message(pb.StreamTranslateTextRequest(config=config).SerializeToString())

        def hold(connection: RawConnection) -> None:
            streams = [connection.begin(STREAM) for _ in range(10)]
            for stream in streams:
                connection.send(stream, message, end=False)
            connection.wait_for_ends(6)  # one caller gets a quarter of the places
            assert {status[b"grpc-status"] for status in connection.ended.values()} == {RESOURCE_EXHAUSTED}

        with RawConnection(server.port) as one, RawConnection(server.port) as other:
            await asyncio.gather(*(asyncio.to_thread(hold, connection) for connection in (one, other)))
            assert (await client.translate("A text.", source="en", target="pt")).text == "A text."
            results = [item async for item in client.translate_many(["One."], source="en", target="pt")]
            assert results[0].text == "One."


async def test_a_stream_without_a_config_ends_after_its_time() -> None:
    async with (
        serve_fakes(stream_config_seconds=0.1) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        stream: Any = channel.stream_stream(STREAM.decode())
        assert await stream().code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_watches_are_bounded() -> None:
    async with serve_fakes(max_watches=4) as server:

        def watch(connection: RawConnection) -> Statuses:
            message = frame_message(health_pb2.HealthCheckRequest().SerializeToString())
            for _ in range(2):
                watched = connection.begin(WATCH)
                connection.send(watched, message)
                connection.wait_for_headers(watched)
            refused = connection.begin(WATCH)
            connection.send(refused, message)
            return connection.read_statuses([refused])

        statuses = await in_thread(server.port, watch)  # one caller has half of the places
        assert next(iter(statuses.values()))[b"grpc-status"] == RESOURCE_EXHAUSTED


async def test_health_lists_its_services(server: LatimerServer) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        method: Any = channel.unary_unary("/grpc.health.v1.Health/List")
        data = await method(b"")
        assert b"latimer.v1.TranslationService" in data
