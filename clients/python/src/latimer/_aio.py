"""The asynchronous client: `_client` with await; a test compares their surfaces.

Knows calls; what goes into them and what they come to is `_calls`'s.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from types import TracebackType
from typing import Any, TypeVar, overload

import grpc
from google.protobuf.message import Message

from latimer import _calls, _channel, types
from latimer._aio_stream import run_stream
from latimer._ledger import METHOD, RETRY_DELAY, Ledger
from latimer.errors import LatimerError
from latimer.v1 import translation_pb2 as pb

T = TypeVar("T")


class AsyncClient:
    """A connection to a server; use it as a context manager, or `close` it. Belongs to one event loop.

    `address`: HOST:PORT. `timeout`: seconds for each call, None waits as long as it takes. `token`: sent
    as `authorization: Bearer TOKEN`. `tls`: None is plaintext. Calls that the server could not take
    (UNAVAILABLE) are tried again up to four times. `stream_retry_delay`: seconds until `translate_many` opens a
    broken stream again; doubles with each further try, up to 15 times this.
    """

    def __init__(
        self,
        address: str = "localhost:50051",
        *,
        timeout: float | None = None,
        token: str | None = None,
        tls: types.TLS | None = None,
        stream_retry_delay: float = RETRY_DELAY,
    ) -> None:
        credentials = _channel.to_credentials(tls)
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(address, options=_channel.OPTIONS)
        else:
            self._channel = grpc.aio.secure_channel(address, credentials, options=_channel.OPTIONS)
        self._timeout = timeout
        self._metadata = _channel.to_metadata(token)
        self._stream_retry_delay = stream_retry_delay

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connection; calls in flight are cancelled."""
        await self._channel.close()

    @overload
    async def translate(
        self, text: str, *, target: str, source: str | None = None, **options: Any
    ) -> types.Translation: ...
    @overload
    async def translate(
        self, text: str, *, target: Sequence[str], source: str | None = None, **options: Any
    ) -> list[types.Translation]: ...
    @overload
    async def translate(
        self, text: Iterable[str], *, target: str, source: str | None = None, **options: Any
    ) -> list[types.Translation]: ...
    @overload
    async def translate(
        self, text: Iterable[str], *, target: Sequence[str], source: str | None = None, **options: Any
    ) -> list[list[types.Translation]]: ...
    async def translate(
        self,
        text: str | Iterable[str],
        *,
        target: str | Sequence[str],
        source: str | None = None,
        **options: Any,
    ) -> Any:
        """Translates a text, or each of a list, into `target`, a code or a list of codes.

        A list of codes gives a list of translations for each text. `source` None detects. `options`: the
        fields of the contract's TranslateOptions and DecodingOptions, and `model`. A single text raises
        `LatimerError`; for a list, only what concerns the whole call raises.
        """
        return await self._run(_calls.translate(text, target, source, options))

    def translate_many(
        self,
        items: Iterable[types.Item] | AsyncIterable[types.Item],
        *,
        target: str | Sequence[str],
        source: str | None = None,
        ordered: bool = True,
        raise_errors: bool = False,
        **options: Any,
    ) -> AsyncGenerator[types.TranslatedItem, None]:
        """Translates any number of items as they come: `items` is read as its translations are, never far ahead.

        An item is a text, or a pair of a key of yours and a text. Gives one `TranslatedItem` for each, in their order,
        or, where `ordered` is false, each as soon as it is done. `target`, `source` and `options` are as in
        `translate`. What concerns one item is its `error`, or is raised where `raise_errors`; what concerns all is
        raised, and what `items` raises is raised after the results of what came before it.

        A server that goes away (UNAVAILABLE) is asked again up to seven times in a row for what has no answer yet, also
        where it is full when it is back: nothing is lost and nothing comes twice. `timeout` of the client bounds the
        wait for the next answer. This is bulk work: calls of `translate` go before it. Close the generator
        (`contextlib.aclosing`) to end the stream early.
        """
        Ledger.check_items(items)
        ledger = Ledger(
            target,
            source,
            options,
            ordered=ordered,
            raise_errors=raise_errors,
            retry_delay=self._stream_retry_delay,
        )
        method = self._channel.stream_stream(
            METHOD,
            request_serializer=pb.StreamTranslateTextRequest.SerializeToString,
            response_deserializer=pb.StreamTranslateTextResponse.FromString,
        )
        return run_stream(lambda: method(metadata=self._metadata), items, ledger, self._timeout)

    @overload
    async def summarize(
        self,
        text: str,
        *,
        sentences: int | None = None,
        length: str | None = None,
        target: str | None = None,
        mode: str | None = None,
        source: str | None = None,
        **options: Any,
    ) -> types.Summary: ...
    @overload
    async def summarize(
        self,
        text: Iterable[str],
        *,
        sentences: int | None = None,
        length: str | None = None,
        target: str | None = None,
        mode: str | None = None,
        source: str | None = None,
        **options: Any,
    ) -> list[types.Summary]: ...
    async def summarize(
        self,
        text: str | Iterable[str],
        *,
        sentences: int | None = None,
        length: str | None = None,
        target: str | None = None,
        mode: str | None = None,
        source: str | None = None,
        **options: Any,
    ) -> types.Summary | list[types.Summary]:
        """Summarizes a text, or each of a list, in `target` (None: the text's own language).

        At most one of `sentences`, `length` ("short", "medium", "long"), `max_words=` and `ratio=`.
        `options`: the other fields of the contract's SummarizeTextRequest.
        """
        fields = {
            "sentence_count": sentences,
            "length": length,
            "output_language_code": target,
            "mode": mode,
            "language_code": source,
        }
        summaries: types.Summary | list[types.Summary] = await self._run(_calls.summarize(text, fields, options))
        return summaries

    @overload
    async def detect(self, text: str, **options: Any) -> types.Detection: ...
    @overload
    async def detect(self, text: Iterable[str], **options: Any) -> list[types.Detection]: ...
    async def detect(self, text: str | Iterable[str], **options: Any) -> types.Detection | list[types.Detection]:
        """Says which language a text, or each of a list, is in; `candidate_language_codes=` to choose among."""
        found: types.Detection | list[types.Detection] = await self._run(_calls.detect(text, options))
        return found

    async def language_pairs(self, *, source: str | None = None, target: str | None = None) -> list[types.LanguagePair]:
        """The pairs that are served, direct or through a pivot, from `source` and into `target`."""
        return await self._run(_calls.language_pairs(source, target))

    async def models(self, **options: Any) -> list[types.Model]:
        """The models of the server's catalogue; `task=`, `state=` and languages filter."""
        return await self._run(_calls.models(options))

    async def health(self, service: str = "") -> str:
        """`SERVING`, `NOT_SERVING` or `SERVICE_UNKNOWN`: of the server, of a service by its full name, or of
        `model:NAME`."""
        return await self._run(_calls.health(service))

    async def _run(self, steps: _calls.Steps[T]) -> T:
        """Makes the calls that `steps` asks for, one after another, and returns what they come to."""
        try:
            call = next(steps)
            while True:
                try:
                    response = await self._call(call)
                except LatimerError as error:
                    call = steps.throw(error)
                else:
                    call = steps.send(response)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _call(self, call: _calls.Call) -> Message:
        method = self._channel.unary_unary(
            call.method,
            request_serializer=type(call.request).SerializeToString,
            response_deserializer=call.response.FromString,
        )
        try:
            response: Message = await method(call.request, timeout=self._timeout, metadata=self._metadata)
            return response
        except grpc.aio.AioRpcError as error:
            raise _channel.convert_call_error(error) from error
        except grpc.aio.UsageError as error:
            raise _channel.closed_error() from error
