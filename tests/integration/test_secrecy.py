"""What callers send is found in no log line, metric, trace or error of another caller, whatever fails.

One caller writes a string into every place that the contract has for words, and makes each kind of call fail. Another
caller makes calls beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Sequence
from pathlib import Path

import grpc
import pytest

from latimer import AsyncClient, LatimerError
from latimer.v1 import summarization_pb2, translation_pb2, types_pb2
from latimer_server.config.settings import LogFormat
from latimer_server.core.decoding import Cancelled, DecodingOptions, Hypothesis, TokenIds
from latimer_server.observability.log_format import configure_logging
from tests.fakes import EchoBackend
from tests.integration.collector import Collector, collecting
from tests.integration.scraping import get, serve_metrics

SECRET = "Quetzalcoatl"
TRANSLATE = "/latimer.v1.TranslationService/TranslateText"
STREAM = "/latimer.v1.TranslationService/StreamTranslateText"
SUMMARIZE = "/latimer.v1.SummarizationService/SummarizeText"


class FailingBackend(EchoBackend):
    """A model that quotes the text in its error, hangs until its call ends, or returns too few hypotheses."""

    def run(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
        texts = " ".join(self.decode([row[:-1] for row in batch]))
        if "fail" in texts:
            try:
                raise KeyError(texts)
            except KeyError as error:
                raise RuntimeError(f"cannot translate {texts}") from error
        if "panic" in texts:
            raise BaseException(texts)  # as Rust's panics are
        while "hang" in texts and not cancelled():
            threading.Event().wait(0.005)
        return super().run(batch, options, cancelled)[: -1 if "short" in texts else None]


def make_requests() -> list[tuple[str, bytes]]:
    """Returns calls with the secret in every field that holds words. Some are answered, most fail, the first hangs."""
    pb = translation_pb2
    options = pb.TranslateOptions(
        patterns=[f"{SECRET}[0-9]*"],
        phrases=[SECRET],
        glossary_terms=[pb.GlossaryTerm(source_text=SECRET, target_text=f"{SECRET} of old")],
        ignore_tags=[SECRET],
        include_segments=True,
    )

    def translate(text: str, source: str = "en", target: str = "pt", **fields: object) -> tuple[str, bytes]:
        given: dict[str, object] = {"contents": [text], "source_language_code": source, **fields}
        return TRANSLATE, pb.TranslateTextRequest(
            target_language_codes=[target],
            **given,  # type: ignore[arg-type]
        ).SerializeToString()

    config = pb.StreamTranslateTextConfig(source_language_code="en", target_language_codes=["pt"], options=options)
    item = pb.StreamItem(item_id=SECRET, content=f"{SECRET} must fail.")
    return [
        translate(f"{SECRET} can hang."),
        translate(f"The tale of {SECRET}."),
        translate(f"{SECRET} <b>and</b> more", options=options),
        translate(f"{SECRET} must fail."),
        translate(f"{SECRET} must panic."),
        translate(f"{SECRET} is short."),
        translate(f"{SECRET} in a tongue", target="zu"),
        translate(SECRET, source=SECRET),
        translate(SECRET, model=SECRET),
        translate(SECRET, options=pb.TranslateOptions(patterns=[f"({SECRET}"])),
        translate(SECRET, options=pb.TranslateOptions(glossary_terms=[pb.GlossaryTerm(source_text=SECRET)])),
        translate(SECRET, options=pb.TranslateOptions(error_flags=[types_pb2.FLAG_PASSTHROUGH, 99])),  # type: ignore[list-item]
        translate(SECRET * 100_000),
        (TRANSLATE, SECRET.encode()),
        (STREAM, pb.StreamTranslateTextRequest(config=config, items=[item]).SerializeToString()),
        (STREAM, pb.StreamTranslateTextRequest(items=[item]).SerializeToString()),
        (SUMMARIZE, summarization_pb2.SummarizeTextRequest(contents=[f"{SECRET} must fail. " * 9]).SerializeToString()),
        (SUMMARIZE, summarization_pb2.SummarizeTextRequest(contents=[SECRET], model=SECRET).SerializeToString()),
        (f"/latimer.v1.TranslationService/{SECRET}", b""),
        (f"/{SECRET}/{SECRET}", SECRET.encode()),
        ("/latimer.v1.ModelService/GetModel", b"\n\x0c" + SECRET.encode()),
        ("/grpc.health.v1.Health/Check", b"\n\x0c" + SECRET.encode()),
    ]


async def send_secrets(address: str) -> list[grpc.StatusCode]:
    """Makes all calls, with and without a valid key. Returns their status codes."""

    async def call(
        channel: grpc.aio.Channel, path: str, message: bytes, key: str, seconds: float = 60
    ) -> grpc.StatusCode:
        metadata = (
            ("authorization", f"Bearer {key}"),
            ("x-file-name", f"{SECRET}.docx"),
            ("user-agent-of-old", SECRET),
            ("traceparent", f"00-{'1' * 32}-{'2' * 16}-01"),
            ("tracestate", f"vendor={SECRET}"),
            ("x-request-id", f"{SECRET} is no id"),
        )
        stream = channel.stream_stream(path, bytes, bytes)(iter([message]), timeout=seconds, metadata=metadata)
        with contextlib.suppress(grpc.RpcError):
            async for _ in stream:
                pass
        return await stream.code()

    async with grpc.aio.insecure_channel(address) as channel:
        requests = make_requests()
        codes = await asyncio.gather(
            *(call(channel, path, message, key) for path, message in requests[1:] for key in ("good-key", SECRET))
        )
        # The batch that hangs would hold up the others.
        return [*codes, await call(channel, *requests[0], "good-key", 1)]


async def call_beside(address: str, done: asyncio.Event) -> list[str]:
    """Makes ordinary calls until `done`, and some that fail. Returns all that this caller sees."""
    seen: list[str] = []
    async with AsyncClient(address, token="other-key") as client:
        number = 0
        while not done.is_set() or number < 4:
            number += 1
            try:
                answers = await client.translate([f"Number {number}.", "fail"], source="en", target="pt")
                seen += [repr(answer) for answer in answers]
                await client.translate("One.", source="en", target="zu")
            except LatimerError as error:
                seen.append(f"{error!r} {error}")
    return seen


def write_tokens(folder: Path) -> Path:
    tokens = folder / "tokens"
    tokens.write_text("good-key\nother-key\n")
    return tokens


@pytest.mark.parametrize("style", LogFormat)
async def test_a_secret_of_one_caller_is_found_nowhere(
    style: LogFormat, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    writer = configure_logging(style, "DEBUG")
    try:
        with collecting() as collector:
            async with serve_metrics(
                {"en-pt": FailingBackend()},
                auth_tokens=write_tokens(tmp_path),
                otlp_endpoint=collector.url,
                trace_share=1.0,
            ) as server:
                address, done = f"127.0.0.1:{server.port}", asyncio.Event()
                other = asyncio.create_task(call_beside(address, done))
                codes = await send_secrets(address)
                done.set()
                seen = await other
                _, metrics = await get(server, "/metrics")
            check_coverage(codes, collector)
    finally:
        writer.close()
        root.handlers[:] = handlers
        root.setLevel(level)
    log = capsys.readouterr().err
    assert "item failed" in log
    assert "UNAUTHENTICATED" in log
    for place, text in (
        ("log", log),
        ("metrics", metrics),
        ("traces", repr(collector.raw)),
        ("other caller", repr(seen)),
    ):
        for secret in (SECRET, "good-key", "other-key"):
            assert secret.casefold() not in text.casefold(), (place, secret)


def check_coverage(codes: Sequence[grpc.StatusCode], collector: Collector) -> None:
    """The failures that the test is about have happened."""
    assert {
        grpc.StatusCode.OK,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    } <= set(codes)
    assert collector.named("batch")
