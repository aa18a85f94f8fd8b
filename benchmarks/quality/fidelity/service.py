"""Runs a real server with the real models in this process and sends cases to it over a real channel.

Uses the contract's stubs instead of the client, because cases may contain requests that the client does not offer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import groupby
from typing import Any

import grpc
from google.protobuf.json_format import ParseDict
from google.rpc import error_details_pb2, status_pb2

from benchmarks.quality.fidelity.answers import Answer, Part
from benchmarks.quality.fidelity.cases import Case
from latimer.v1 import translation_pb2 as pb
from latimer.v1 import translation_pb2_grpc, types_pb2
from latimer_server.config.settings import Settings
from latimer_server.rpc.server import build_server

_PREFIXES = {
    "text_format": "TEXT_FORMAT_",
    "sentence_splitting": "SENTENCE_SPLITTING_",
    "overlong_policy": "OVERLONG_POLICY_",
    "syntaxes": "PLACEHOLDER_SYNTAX_",
    "error_flags": "FLAG_",
}
_CALLS_AT_ONCE = 4
_TIMEOUT = 300.0
_MAX_MESSAGE = 64 * 1024 * 1024


class Service:
    """Sends requests to a server and reads its answers."""

    def __init__(self, stub: translation_pb2_grpc.TranslationServiceAsyncStub) -> None:
        self._stub = stub
        self._free = asyncio.Semaphore(_CALLS_AT_ONCE)

    async def translate(
        self, texts: Sequence[str], source: str, target: str, options: Mapping[str, Any] | None = None
    ) -> list[Answer]:
        """Returns the answers to one request, or the error of the call once for each text."""
        message = read_options(options or {})
        request = pb.TranslateTextRequest(
            contents=texts, source_language_code=source, target_language_codes=[target], options=message
        )
        started = time.monotonic()
        try:
            response = await self._stub.TranslateText(request, timeout=_TIMEOUT)
        except grpc.aio.AioRpcError as error:
            failed = Answer(error=error.code().name, seconds=time.monotonic() - started)
            return [failed] * len(texts)
        seconds = time.monotonic() - started
        return [_read_answer(text, result, seconds) for text, result in zip(texts, response.results, strict=True)]

    async def ask(self, cases: Sequence[Case], done: Callable[[], None] = lambda: None) -> list[Answer]:
        """Returns the answers to all cases, with a few calls at once. Timed cases run last, one at a time. `done` is
        called after each case."""
        batches = [list(batch) for _, batch in groupby(cases, lambda case: (case.batch, not case.batch and case.name))]
        timed = [batch for batch in batches if any("seconds" in case.checks for case in batch)]
        answers: dict[str, Answer] = {}

        async def ask_batch(batch: Sequence[Case]) -> None:
            async with self._free:
                for case, answer in zip(batch, await self._ask_batch(batch), strict=True):
                    answers[case.name] = answer
                    done()

        await asyncio.gather(*(ask_batch(batch) for batch in batches if batch not in timed))
        for batch in timed:
            await ask_batch(batch)
        return [answers[case.name] for case in cases]

    async def _ask_batch(self, batch: Sequence[Case]) -> list[Answer]:
        first = batch[0]
        source = "" if first.detect else first.source
        options = {"include_segments": True, **first.options}
        answers = await self.translate([case.content for case in batch], source, first.target, options)
        for index, case in enumerate(batch):
            if "as_normal" in case.checks and not answers[index].error:
                (normal,) = await self.translate([case.checks["as_normal"]], source, first.target, options)
                answers[index] = Answer(**{**vars(answers[index]), "normal": normal.text})
        return answers


@asynccontextmanager
async def serve() -> AsyncIterator[Service]:
    """Runs a server with its models loaded until the block ends."""
    server = await build_server(Settings(listen="127.0.0.1:0"))
    await server.start()
    await server.preload()
    sizes = [("grpc.max_receive_message_length", _MAX_MESSAGE), ("grpc.max_send_message_length", _MAX_MESSAGE)]
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", options=sizes) as channel:
            yield Service(translation_pb2_grpc.TranslationServiceStub(channel))
    finally:
        await server.drain(0)


def read_options(options: Mapping[str, Any]) -> pb.TranslateOptions:
    """Returns the contract's options; enum values may omit their prefix. Raises ParseError for an unknown option."""
    message = pb.TranslateOptions()
    full = {}
    for name, value in options.items():
        prefix = _PREFIXES.get(name, "")
        full[name] = [prefix + item for item in value] if prefix and isinstance(value, list) else value
        if prefix and isinstance(value, str):
            full[name] = prefix + value
    ParseDict(full, message)
    return message


def _read_answer(source: str, result: pb.TranslationResult, seconds: float) -> Answer:
    (translation,) = result.translations
    text = translation.translated_text
    return Answer(
        text=text,
        flags=frozenset(types_pb2.Flag.Name(flag).removeprefix("FLAG_") for flag in translation.flags),
        detected=result.detected_language_code,
        target=translation.target_language_code,
        error=_read_error(translation.error) if translation.HasField("error") else "",
        parts=[Part(s.translated_text, s.target_span.start, s.target_span.end) for s in translation.segments],
        links=[
            (
                source[link.source_span.start : link.source_span.end].strip(),
                text[link.target_span.start : link.target_span.end].strip(),
            )
            for segment in translation.segments
            for link in segment.alignment
        ],
        seconds=seconds,
    )


def _read_error(status: status_pb2.Status) -> str:
    name = next(code.name for code in grpc.StatusCode if code.value[0] == status.code)
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return f"{name} {info.reason}"
    return name
