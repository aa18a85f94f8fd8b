"""The error table: every bad input gets a status that names the field and the limit; other calls are not affected."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from latimer import AsyncClient, LatimerError, NotServedError, OverloadedError
from latimer.v1 import summarization_pb2 as summarization
from latimer.v1 import translation_pb2 as translation
from latimer.v1 import types_pb2
from latimer_server.core.errors import Unavailable
from latimer_server.rpc.server import LatimerServer
from tests.fakes import BlockingBackend, EchoBackend, PoisonBackend, serve_fakes

TRANSLATE = "/latimer.v1.TranslationService/TranslateText"
SUMMARIZE = "/latimer.v1.SummarizationService/SummarizeText"
EVERY_METHOD = [
    TRANSLATE,
    SUMMARIZE,
    "/latimer.v1.TranslationService/DetectLanguage",
    "/latimer.v1.TranslationService/ListLanguagePairs",
    "/latimer.v1.ModelService/ListModels",
    "/latimer.v1.ModelService/GetModel",
    "/grpc.health.v1.Health/Check",
]


def raw(channel: grpc.aio.Channel, method: str) -> Any:
    """Returns a method whose requests and responses are bytes."""
    return channel.unary_unary(method)


async def call(channel: grpc.aio.Channel, method: str, data: bytes, **options: object) -> grpc.aio.AioRpcError:
    """Calls a method with these bytes and returns the error."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await raw(channel, method)(data, **options)
    return raised.value


def violations(error: grpc.aio.AioRpcError) -> dict[str, str]:
    """Returns the violated rules of an error's BadRequest by field."""
    status = status_pb2.Status.FromString(dict(error.trailing_metadata() or ())["grpc-status-details-bin"])
    found = {}
    for detail in status.details:
        bad = error_details_pb2.BadRequest()
        if detail.Unpack(bad):
            found = {violation.field: violation.description for violation in bad.field_violations}
    return found


def request(**fields: object) -> translation.TranslateTextRequest:
    defaults: dict[str, object] = {
        "contents": ["A text."],
        "source_language_code": "en",
        "target_language_codes": ["pt"],
    }
    return translation.TranslateTextRequest(**{**defaults, **fields})  # type: ignore[arg-type]


def options(**fields: object) -> translation.TranslateTextRequest:
    return request(options=translation.TranslateOptions(**fields))  # type: ignore[arg-type]


def decoding(**fields: object) -> translation.TranslateTextRequest:
    return options(decoding=types_pb2.DecodingOptions(**fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("message", "field", "limit"),
    [
        (request(contents=[]), "contents", "1 to 1024"),
        (request(contents=["x"] * 1_025), "contents", "1 to 1024"),
        (request(contents=["ok", "x" * 1_000_001]), "contents[1]", "at most 1000000"),
        (request(contents=["x" * 999_999] * 3), "contents", "at most 2000000"),
        (request(source_language_code="english"), "source_language_code", "BCP-47"),
        (request(target_language_codes=[]), "target_language_codes", "1 to 16"),
        (request(target_language_codes=["pt"] * 17), "target_language_codes", "1 to 16"),
        (request(target_language_codes=["pt", "xx"]), "target_language_codes[1]", "BCP-47"),
        (request(target_language_codes=[""]), "target_language_codes[0]", "BCP-47"),
        (request(model="m" * 101), "model", "at most 100"),
        (options(alternative_count=9), "options.alternative_count", "0 to 8"),
        (options(alternative_count=-1), "options.alternative_count", "0 to 8"),
        (options(text_format=99), "options.text_format", "TextFormat"),
        (options(sentence_splitting=99), "options.sentence_splitting", "SentenceSplitting"),
        (options(overlong_policy=99), "options.overlong_policy", "OverlongPolicy"),
        (options(error_flags=[0]), "options.error_flags[0]", "Flag"),
        (options(candidate_language_codes=["en"] * 101), "options.candidate_language_codes", "0 to 100"),
        (options(fallback_language_code="??"), "options.fallback_language_code", "BCP-47"),
        (decoding(beam_size=0), "options.decoding.beam_size", "1 to 8"),
        (decoding(max_output_tokens=0), "options.decoding.max_output_tokens", "1 to 4096"),
        (decoding(max_length_ratio=-1.0), "options.decoding.max_length_ratio", "above 0 and at most 10"),
        (decoding(max_length_ratio=float("nan")), "options.decoding.max_length_ratio", "above 0 and at most 10"),
        (decoding(length_penalty=5.0), "options.decoding.length_penalty", "0 to 4"),
        (decoding(repetition_penalty=0.5), "options.decoding.repetition_penalty", "1 to 4"),
        (decoding(no_repeat_ngram_size=21), "options.decoding.no_repeat_ngram_size", "0 to 20"),
    ],
)
async def test_a_broken_rule_names_its_field_and_limit(
    channel: grpc.aio.Channel, message: translation.TranslateTextRequest, field: str, limit: str
) -> None:
    error = await call(channel, TRANSLATE, message.SerializeToString())
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert limit in violations(error)[field]


def summary(**fields: object) -> summarization.SummarizeTextRequest:
    return summarization.SummarizeTextRequest(**{"contents": ["A text."], **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("message", "field", "limit"),
    [
        (summary(contents=[]), "contents", "1 to 1024"),
        (summary(sentence_count=-1), "sentence_count", "1 to 100"),
        (summary(sentence_count=101), "sentence_count", "1 to 100"),
        (summary(max_words=0), "max_words", "1 to 100000"),
        (summary(ratio=1.0), "ratio", "above 0 and below 1"),
        (summary(ratio=float("nan")), "ratio", "above 0 and below 1"),
        (summary(length=99), "length", "SummaryLength"),
        (summary(mode=99), "mode", "SummaryMode"),
        (summary(output_language_code="english"), "output_language_code", "BCP-47"),
    ],
)
async def test_a_broken_rule_of_summaries_names_its_field_and_limit(
    channel: grpc.aio.Channel, message: summarization.SummarizeTextRequest, field: str, limit: str
) -> None:
    error = await call(channel, SUMMARIZE, message.SerializeToString())
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert limit in violations(error)[field]


async def test_all_broken_rules_are_named_at_once(channel: grpc.aio.Channel) -> None:
    error = await call(
        channel, TRANSLATE, translation.TranslateTextRequest(source_language_code="??").SerializeToString()
    )
    assert set(violations(error)) == {"contents", "source_language_code", "target_language_codes"}


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (options(error_flags=["FLAG_UNSUPPORTED_CLAIM"]), "FLAG_UNSUPPORTED_CLAIM"),
    ],
)
async def test_a_flag_of_another_method_is_unimplemented_by_name(
    channel: grpc.aio.Channel, message: translation.TranslateTextRequest, name: str
) -> None:
    error = await call(channel, TRANSLATE, message.SerializeToString())
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert name in str(error.details())


@pytest.mark.parametrize("method", ["LoadModel", "UnloadModel"])
async def test_methods_that_change_models_are_refused_without_admin(channel: grpc.aio.Channel, method: str) -> None:
    error = await call(channel, f"/latimer.v1.ModelService/{method}", b"")
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    assert method in str(error.details())
    assert "--admin" in str(error.details())


async def test_the_error_of_an_unserved_pair_lists_the_served_ones(channel: grpc.aio.Channel) -> None:
    error = await call(channel, TRANSLATE, request(target_language_codes=["de"]).SerializeToString())
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert "en->de" in str(error.details())
    assert "en->pt, pt->en" in str(error.details())


@pytest.mark.parametrize("method", EVERY_METHOD)
@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"\x1a\x02\xff\xfe\x0a\x02\xff\xfe\x0c", b"\x0a\x7fshort"])
async def test_undecodable_bytes_are_an_invalid_argument(channel: grpc.aio.Channel, method: str, data: bytes) -> None:
    error = await call(channel, method, data)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    await raw(channel, TRANSLATE)(request().SerializeToString())  # the next one is served


async def test_grpc_refuses_a_message_of_five_megabytes(channel: grpc.aio.Channel) -> None:
    error = await call(channel, TRANSLATE, b"\x0a" * 5_000_000)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    await raw(channel, TRANSLATE)(request().SerializeToString())


async def test_every_answer_carries_the_request_id_and_the_version(channel: grpc.aio.Channel) -> None:
    given = raw(channel, TRANSLATE)(request().SerializeToString(), metadata=(("x-request-id", "my-id_7"),))
    initial = dict(await given.initial_metadata())
    assert initial["x-request-id"] == "my-id_7"
    assert initial["x-latimer-version"] == "0.1.0"
    await given
    for bad in ("", "x" * 65, "with space", "é".encode().decode("latin-1")):
        made = raw(channel, TRANSLATE)(b"\xff\xff", metadata=(("x-request-id", bad),) if bad.isascii() else ())
        identifier = dict(await made.initial_metadata())["x-request-id"]
        assert identifier != bad
        assert len(identifier) == 32


async def test_an_error_in_the_server_is_opaque_and_carries_the_request_id(
    server: LatimerServer, channel: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(name: str) -> None:
        raise RuntimeError("secret internals")

    monkeypatch.setattr(server.pool, "describe", explode)
    error = await call(
        channel, "/latimer.v1.ModelService/GetModel", b"\x0a\x01m", metadata=(("x-request-id", "find-me"),)
    )
    assert error.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in str(error.details())
    assert "find-me" in str(error.details())


async def test_past_the_bound_a_request_is_refused_with_the_time_to_retry() -> None:
    blocking = BlockingBackend()
    async with (
        serve_fakes({"en-pt": blocking}, max_requests=1) as server,
        AsyncClient(f"127.0.0.1:{server.port}") as client,
    ):
        held = asyncio.create_task(client.translate("A text.", source="en", target="pt"))
        await asyncio.to_thread(blocking.started.wait, 10)
        with pytest.raises(OverloadedError) as refused:
            await client.translate("Another.", source="en", target="pt")
        assert refused.value.retry_after == 1.0
        blocking.release.set()
        assert (await held).text == "A text."


async def test_the_work_of_a_cancelled_call_stops_and_other_calls_are_served() -> None:
    blocking = BlockingBackend()
    async with (
        serve_fakes({"en-pt": blocking, "pt-en": EchoBackend()}) as server,
        AsyncClient(f"127.0.0.1:{server.port}") as client,
    ):
        leaver = asyncio.create_task(client.translate("Leaving soon.", source="en", target="pt"))
        await asyncio.to_thread(blocking.started.wait, 10)
        leaver.cancel()
        assert await asyncio.to_thread(blocking.saw_cancelled.wait, 10)
        blocking.release.set()
        assert (await client.translate("Staying.", source="en", target="pt")).text == "Staying."


async def test_a_deadline_ends_the_call_and_its_work() -> None:
    blocking = BlockingBackend()
    async with (
        serve_fakes({"en-pt": blocking}) as server,
        AsyncClient(f"127.0.0.1:{server.port}", timeout=0.3) as hasty,
    ):
        with pytest.raises(TimeoutError):
            await hasty.translate("Too late.", source="en", target="pt")
        assert await asyncio.to_thread(blocking.saw_cancelled.wait, 10)


async def test_an_unknown_model_is_not_found(client: AsyncClient, channel: grpc.aio.Channel) -> None:
    error = await call(channel, "/latimer.v1.ModelService/GetModel", b"\x0a\x03abc")
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert "en-pt" in str(error.details())
    error = await call(channel, "/latimer.v1.ModelService/GetModel", b"")
    assert violations(error) == {"name": "is required"}


async def test_pages_of_models(client: AsyncClient, channel: grpc.aio.Channel) -> None:
    from latimer.v1 import models_pb2

    method = raw(channel, "/latimer.v1.ModelService/ListModels")
    first = models_pb2.ListModelsResponse.FromString(
        await method(models_pb2.ListModelsRequest(page_size=2).SerializeToString())
    )
    rest = models_pb2.ListModelsResponse.FromString(
        await method(models_pb2.ListModelsRequest(page_token=first.next_page_token).SerializeToString())
    )
    assert [model.name for model in first.models] == ["en-pt", "extractive"]
    assert [model.name for model in rest.models] == ["pt-en"]
    assert rest.next_page_token == ""
    error = await call(
        channel,
        "/latimer.v1.ModelService/ListModels",
        models_pb2.ListModelsRequest(page_size=-1, page_token="zzz").SerializeToString(),
    )
    assert set(violations(error)) == {"page_size", "page_token"}
    translating = await client.models(task="translation", state="ready", source_language_code="en")
    assert [model.name for model in translating] == ["en-pt"]


async def test_errors_have_one_base_class(client: AsyncClient) -> None:
    with pytest.raises(LatimerError) as raised:
        await client.translate("x", source="en", target="de")
    assert isinstance(raised.value, NotServedError)
    assert raised.value.code == "NOT_FOUND"
    assert raised.value.reason == "NOT_SERVED"
    assert raised.value.request_id


@pytest.mark.parametrize(
    "message",
    [
        options(candidate_language_codes=["!" * 40] * 100),
        options(error_flags=[99] * 500),
        request(contents=["x"], target_language_codes=["!" * 5_000]),
    ],
)
async def test_many_broken_rules_still_fit_a_status(
    channel: grpc.aio.Channel, message: translation.TranslateTextRequest
) -> None:
    error = await call(channel, TRANSLATE, message.SerializeToString())
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert 0 < len(violations(error)) <= 16


async def test_an_unavailable_answer_can_be_tried_again(
    server: LatimerServer, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe, refusals = server.pool.describe, 2

    def refuse_at_first(name: str) -> object:
        nonlocal refusals
        refusals -= 1
        if refusals >= 0:
            raise Unavailable("starting")
        return describe(name)

    monkeypatch.setattr(server.pool, "describe", refuse_at_first)
    assert len(await client.models()) == 3
    assert refusals < 0


async def test_a_call_whose_connection_breaks_while_its_model_works_is_made_again() -> None:
    """A client may repeat a call whose answer has not begun (gRFC A6). A proxy drops every connection once."""
    blocking, pipes = BlockingBackend(), set[asyncio.StreamWriter]()
    async with serve_fakes({"en-pt": blocking}) as server:

        async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            pipes.add(writer)
            with suppress(OSError):
                while data := await reader.read(65_536):
                    writer.write(data)
            writer.close()

        async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            further = await asyncio.open_connection("127.0.0.1", server.port)
            await asyncio.gather(copy(reader, further[1]), copy(further[0], writer))

        proxy = await asyncio.start_server(connect, "127.0.0.1", 0)
        async with proxy, AsyncClient(f"127.0.0.1:{proxy.sockets[0].getsockname()[1]}", timeout=30) as client:
            translating = asyncio.create_task(client.translate("A text.", source="en", target="pt"))
            await asyncio.to_thread(blocking.started.wait, 10)
            for writer in list(pipes):
                writer.transport.abort()
            assert await asyncio.to_thread(blocking.saw_cancelled.wait, 10)
            blocking.release.set()
            assert (await translating).text == "A text."


async def test_an_error_that_is_no_exception_class_ends_the_call_as_internal(
    server: LatimerServer, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Panic(BaseException):
        """Derives from BaseException, as the PanicException of pyo3 does."""

    def panic(name: str) -> None:
        raise Panic("with a text of the user's")

    monkeypatch.setattr(server.pool, "describe", panic)
    with pytest.raises(LatimerError) as raised:
        await client.models()
    assert raised.value.code == "INTERNAL"
    assert "text of the user" not in str(raised.value)


async def test_undecodable_bytes_end_a_stream_as_an_invalid_argument(channel: grpc.aio.Channel) -> None:
    stream: Any = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")()
    await stream.write(b"\xff\xff\xff")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stream.read()
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_the_error_of_a_long_text_names_the_request() -> None:
    async with (
        serve_fakes({"en-pt": PoisonBackend()}) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        message = request(contents=["This one is POISON. " + "Another sentence. " * 200])
        data = await raw(channel, TRANSLATE)(message.SerializeToString(), metadata=(("x-request-id", "request-7"),))
    error = translation.TranslateTextResponse.FromString(data).results[0].translations[0].error
    assert "request-7" in error.message
