"""The synchronous client: makes the calls that `_calls` describes.

`_aio` is the asynchronous counterpart. A test compares their methods.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from types import TracebackType
from typing import Any, TypeVar, overload

import grpc
from google.protobuf.message import Message

from latimer import _calls, _channel, types
from latimer._ledger import METHOD, RETRY_DELAY, Ledger
from latimer._stream import run_stream
from latimer.errors import LatimerError
from latimer.v1 import translation_pb2 as pb

T = TypeVar("T")


class Client:
    """A connection to a server. Use it as a context manager, or call `close`. Thread-safe.

    `address`: HOST:PORT. `timeout`: seconds for each call; None means no limit. `token`: sent with every call as
    `authorization: Bearer TOKEN`. `tls`: None means plaintext. Calls that end with UNAVAILABLE are retried up to four
    times. `stream_retry_delay`: seconds until `translate_many` opens a broken stream again; the delay
    doubles with each further try, to at most 15 times this value. Errors are subclasses of `LatimerError`.
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
            self._channel = grpc.insecure_channel(address, options=_channel.OPTIONS)
        else:
            self._channel = grpc.secure_channel(address, credentials, options=_channel.OPTIONS)
        self._timeout = timeout
        self._metadata = _channel.to_metadata(token)
        self._stream_retry_delay = stream_retry_delay

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection and cancels calls in flight."""
        self._channel.close()

    @overload
    def translate(self, text: str, *, target: str, source: str | None = None, **options: Any) -> types.Translation: ...
    @overload
    def translate(
        self, text: str, *, target: Sequence[str], source: str | None = None, **options: Any
    ) -> list[types.Translation]: ...
    @overload
    def translate(
        self, text: Iterable[str], *, target: str, source: str | None = None, **options: Any
    ) -> list[types.Translation]: ...
    @overload
    def translate(
        self, text: Iterable[str], *, target: Sequence[str], source: str | None = None, **options: Any
    ) -> list[list[types.Translation]]: ...
    def translate(
        self,
        text: str | Iterable[str],
        *,
        target: str | Sequence[str],
        source: str | None = None,
        **options: Any,
    ) -> Any:
        """Translates a text, or each text of a list.

        `target`: a language code (BCP-47), or a list of codes, which gives a list of translations for each text.
        `source`: the language of the texts; None detects it for each text. `options`: `model`, and the fields of the
        contract's TranslateOptions and DecodingOptions. The error of a single text is raised. The error of a text of a
        list is in its `error`. An error of the first call for a list is raised; one of a later call is set in the
        results of its texts.
        """
        return self._run(_calls.translate(text, target, source, options))

    def translate_many(
        self,
        items: Iterable[types.Item],
        *,
        target: str | Sequence[str],
        source: str | None = None,
        ordered: bool = True,
        raise_errors: bool = False,
        **options: Any,
    ) -> Generator[types.TranslatedItem, None, None]:
        """Translates any number of items in one stream, and yields one `TranslatedItem` for each.

        An item is a text, or a pair of a key and a text. `items` is read at most 2,048 items and about 1,000,000
        characters ahead of the results that were taken, in a thread of its own. Results come in the order of the items,
        or with `ordered=False` each as soon as it is ready. `target`, `source` and `options` are as in `translate`.

        The error of an item is in its `error`, or is raised if `raise_errors` is true. An error of the whole stream is
        raised. An exception of `items` is raised after the results of the items before it. If the server becomes
        unavailable, the client sends the items without a result again, up to seven times in a row. It also tries again
        if the server is overloaded after it returns. No result is lost and none comes twice. The client's `timeout`
        limits the wait for the next result, not the whole stream. Streams are bulk work: calls of `translate` go first.
        Close the generator to end the stream early.
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
        metadata = _channel.add_trace(self._metadata)
        return run_stream(lambda requests: method(requests, metadata=metadata), items, ledger, self._timeout)

    @overload
    def summarize(
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
    def summarize(
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
    def summarize(
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
        """Summarizes a text, or each text of a list.

        `target`: the language of the summary; None means that of the text. `source`: the language of the text; None
        detects it. `mode`: "extractive", "abstractive" or "hybrid"; None means the server's default. At most one of
        `sentences`, `length` ("short", "medium" or "long"), `max_words=` and `ratio=` may be given; the default is
        "medium". `options`: the other fields of the contract's SummarizeTextRequest. Errors are as in `translate`.
        """
        fields = {
            "sentence_count": sentences,
            "length": length,
            "output_language_code": target,
            "mode": mode,
            "language_code": source,
        }
        summaries: types.Summary | list[types.Summary] = self._run(_calls.summarize(text, fields, options))
        return summaries

    @overload
    def detect(self, text: str, **options: Any) -> types.Detection: ...
    @overload
    def detect(self, text: Iterable[str], **options: Any) -> list[types.Detection]: ...
    def detect(self, text: str | Iterable[str], **options: Any) -> types.Detection | list[types.Detection]:
        """Detects the language of a text, or of each text of a list.

        `candidate_language_codes=`: the languages to choose from; all by default. Errors are as in `translate`.
        """
        found: types.Detection | list[types.Detection] = self._run(_calls.detect(text, options))
        return found

    def language_pairs(self, *, source: str | None = None, target: str | None = None) -> list[types.LanguagePair]:
        """Returns the language pairs that the server translates, directly or through a pivot.

        `source` and `target`: only pairs from or into this language.
        """
        return self._run(_calls.language_pairs(source, target))

    def models(self, **options: Any) -> list[types.Model]:
        """Returns the models of the server's catalogue.

        `options`: filters, such as `task="translation"`, `state="ready"`, `source_language_code=` and
        `target_language_code=`.
        """
        return self._run(_calls.models(options))

    def health(self, service: str = "") -> str:
        """Returns the health status: `SERVING`, `NOT_SERVING` or `SERVICE_UNKNOWN`.

        `service`: "" for the whole server, the full name of a gRPC service, or `model:NAME`.
        """
        return self._run(_calls.health(service))

    def _run(self, steps: _calls.Steps[T]) -> T:
        """Makes the calls that `steps` yields, one after another, and returns the result of `steps`."""
        try:
            call = next(steps)
            while True:
                try:
                    response = self._call(call)
                except LatimerError as error:
                    call = steps.throw(error)
                else:
                    call = steps.send(response)
        except StopIteration as end:
            result: T = end.value
            return result

    def _call(self, call: _calls.Call) -> Message:
        method = self._channel.unary_unary(
            call.method,
            request_serializer=type(call.request).SerializeToString,
            response_deserializer=call.response.FromString,
        )
        try:
            return method(call.request, timeout=self._timeout, metadata=_channel.add_trace(self._metadata))
        except grpc.RpcError as error:
            raise _channel.convert_call_error(error) from error
        except ValueError as error:
            raise _channel.closed_error() from error
