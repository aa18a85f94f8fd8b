"""A server that answers calls of TranslateText as a script says, and the `translate` of both clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from latimer import AsyncClient, Client, Retry
from latimer.v1 import translation_pb2 as pb

EN_PT: dict[str, Any] = {"source": "en", "target": "pt"}
FAST = Retry(first_delay=0.001, max_delay=0.001)


@dataclass
class ScriptedServer:
    """A server that answers calls of TranslateText in turn as its script says: an error of a code, with a delay before
    a retry in seconds, or None for an answer. After the script every call is answered."""

    script: list[tuple[grpc.StatusCode, float] | None] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    async def answer(self, request: pb.TranslateTextRequest, context: Any) -> pb.TranslateTextResponse:
        metadata = dict(context.invocation_metadata())
        self.tokens.append(str(metadata.get("authorization", "")))
        step = self.script.pop(0) if self.script else None
        await context.send_initial_metadata((("x-request-id", f"call-{len(self.tokens)}"),))
        if step is not None:
            code, seconds = step
            details = []
            if seconds:
                packed = AnyMessage()
                packed.Pack(
                    error_details_pb2.RetryInfo(
                        retry_delay=Duration(seconds=int(seconds), nanos=int(seconds % 1 * 1e9))
                    )
                )
                details.append(packed)
            status = status_pb2.Status(code=code.value[0], message="scripted", details=details)
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
            await context.abort(code, "scripted")
        translations = [pb.Translation(translated_text=content.upper()) for content in request.contents]
        return pb.TranslateTextResponse(results=[pb.TranslationResult(translations=[one]) for one in translations])

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Serves on a free port, and yields the address."""
        handler = grpc.unary_unary_rpc_method_handler(
            self.answer, pb.TranslateTextRequest.FromString, pb.TranslateTextResponse.SerializeToString
        )
        server = grpc.aio.server()
        service = "latimer.v1.TranslationService"
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"TranslateText": handler}),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            await server.stop(0)

    @property
    def calls(self) -> int:
        return len(self.tokens)


Translate = Callable[..., Awaitable[Any]]


async def translate_with_client(address: Any, text: Any, settings: dict[str, Any], **options: Any) -> Any:
    def run() -> Any:
        with Client(address, **settings) as client:
            return client.translate(text, **EN_PT, **options)

    return await asyncio.to_thread(run)


async def translate_with_async_client(address: Any, text: Any, settings: dict[str, Any], **options: Any) -> Any:
    async with AsyncClient(address, **settings) as client:
        return await client.translate(text, **EN_PT, **options)
