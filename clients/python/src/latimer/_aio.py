"""The asynchronous client: makes the calls that `_calls` describes.

`_client` is the synchronous counterpart. A test compares their methods.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, overload

from latimer import _calls, _channel, types
from latimer._aio_stream import AsyncTranslationStream, run_stream
from latimer._aio_transport import AsyncTransport
from latimer._client_base import ClientBase
from latimer._ledger import Ledger
from latimer.options import (
    DetectOptions,
    Mode,
    ModelFilters,
    SummarizeOptions,
    SummaryLengthName,
    TranslateOptions,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack


class AsyncClient(ClientBase[AsyncTransport]):
    """Connections to one or more servers. Use it as a context manager, or call `close`. It belongs to the event loop of
    its first call.

    The constructor has the arguments of `ClientBase`. Errors are subclasses of `LatimerError`.
    """

    def _make_transport(self) -> AsyncTransport:
        return AsyncTransport(self._connection)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections and cancels calls in flight."""
        await self._transport.close()

    @overload
    async def translate(  # type: ignore[overload-overlap]  # a str is an iterable of str
        self,
        text: str,
        *,
        target: str,
        source: str | None = None,
        timeout: float | None = None,
        retry: types.Retry | None = None,
        **options: Unpack[TranslateOptions],
    ) -> types.Translation: ...
    @overload
    async def translate(  # type: ignore[overload-overlap]  # a str is an iterable of str
        self,
        text: str,
        *,
        target: Sequence[str],
        source: str | None = None,
        timeout: float | None = None,
        retry: types.Retry | None = None,
        **options: Unpack[TranslateOptions],
    ) -> list[types.Translation]: ...
    @overload
    async def translate(  # type: ignore[overload-overlap]  # a str is an iterable of str
        self,
        text: Iterable[str],
        *,
        target: str,
        source: str | None = None,
        timeout: float | None = None,
        retry: types.Retry | None = None,
        **options: Unpack[TranslateOptions],
    ) -> list[types.Translation]: ...
    @overload
    async def translate(
        self,
        text: Iterable[str],
        *,
        target: Sequence[str],
        source: str | None = None,
        timeout: float | None = None,
        retry: types.Retry | None = None,
        **options: Unpack[TranslateOptions],
    ) -> list[list[types.Translation]]: ...
    async def translate(
        self,
        text: str | Iterable[str],
        *,
        target: str | Sequence[str],
        source: str | None = None,
        timeout: float | None = None,
        retry: types.Retry | None = None,
        **options: Unpack[TranslateOptions],
    ) -> Any:
        """Translates a text, or each text of a list.

        `target`: a language code (BCP-47), or a list of codes, which gives a list of translations for each text.
        `source`: the language of the texts; None detects it for each text. `timeout`: seconds for this call with all
        its requests and retries; None means the client's. `retry`: None means the client's. `options`: see
        `latimer.options.TranslateOptions`.

        The error of a single text is raised. A list never raises what happens to its texts: the error of each is in its
        `error`, also if the server cannot be reached. Arguments that are no texts, no language or no option raise
        `InvalidArgumentError`.
        """
        return await self._transport.run(_calls.translate(text, target, source, options), timeout, retry)

    def translate_many(
        self,
        items: Iterable[types.Item] | AsyncIterable[types.Item],
        *,
        target: str | Sequence[str],
        source: str | None = None,
        ordered: bool = True,
        raise_errors: bool = False,
        timeout: float | None = None,
        retry: types.Retry | None = None,
        **options: Unpack[TranslateOptions],
    ) -> AsyncTranslationStream:
        """Translates any number of items in one stream, and yields one `TranslatedItem` for each.

        An item is a text, or a pair of a key and a text. `items` is read at most 2,048 items and about 1,000,000
        characters ahead of the results that were taken. Results come in the order of the items,
        or with `ordered=False` each as soon as it is ready. `target`, `source` and `options` are as in `translate`.

        The error of an item is in its `error`, or is raised if `raise_errors` is true. An error of the whole stream is
        raised. An exception of `items` is raised after the results of the items before it. If the server becomes
        unavailable, the client sends the items without a result again, up to seven times in a row, or as `retry` says.
        It also tries again if the server is overloaded after it returns. No result is lost and none comes twice.
        `timeout` (None means the client's) limits the wait for the next result, not the whole stream. Streams are bulk
        work: calls of `translate` go first. Close the stream to end it early. Its `usage` is the cost, at the end.
        """
        Ledger.check_items(items)
        ledger = Ledger(
            target,
            source,
            options,
            ordered=ordered,
            raise_errors=raise_errors,
            retry=_channel.check_retry(retry) or self._stream_retry,
        )
        seconds = _channel.check_timeout(timeout) or self._connection.timeout
        trace = _channel.trace_metadata()
        results = run_stream(lambda: self._transport.open_stream(trace), items, ledger, seconds)
        return AsyncTranslationStream(results, ledger)

    @overload
    async def summarize(  # type: ignore[overload-overlap]  # a str is an iterable of str
        self,
        text: str,
        *,
        sentences: int | None = None,
        length: SummaryLengthName | None = None,
        target: str | None = None,
        mode: Mode | None = None,
        source: str | None = None,
        timeout: float | None = None,
        retry: types.Retry | None = None,
        **options: Unpack[SummarizeOptions],
    ) -> types.Summary: ...
    @overload
    async def summarize(
        self,
        text: Iterable[str],
        *,
        sentences: int | None = None,
        length: SummaryLengthName | None = None,
        target: str | None = None,
        mode: Mode | None = None,
        source: str | None = None,
        timeout: float | None = None,
        retry: types.Retry | None = None,
        **options: Unpack[SummarizeOptions],
    ) -> list[types.Summary]: ...
    async def summarize(
        self,
        text: str | Iterable[str],
        *,
        sentences: int | None = None,
        length: SummaryLengthName | None = None,
        target: str | None = None,
        mode: Mode | None = None,
        source: str | None = None,
        timeout: float | None = None,
        retry: types.Retry | None = None,
        **options: Unpack[SummarizeOptions],
    ) -> types.Summary | list[types.Summary]:
        """Summarizes a text, or each text of a list.

        `target`: the language of the summary; None means that of the text. `source`: the language of the text; None
        detects it. `mode`: "extractive", "abstractive" or "hybrid"; None means the server's default. At most one of
        `sentences`, `length` ("short", "medium" or "long"), `max_words=` and `ratio=` may be given; the default is
        "medium". `options`: see `latimer.options.SummarizeOptions`. `timeout`, `retry` and errors are as in
        `translate`.
        """
        fields = {"sentence_count": sentences, "length": length, "output_language_code": target, "mode": mode}
        summaries: types.Summary | list[types.Summary] = await self._transport.run(
            _calls.summarize(text, source, fields, options), timeout, retry
        )
        return summaries

    @overload
    async def detect(  # type: ignore[overload-overlap]  # a str is an iterable of str
        self,
        text: str,
        *,
        timeout: float | None = None,
        retry: types.Retry | None = None,
        **options: Unpack[DetectOptions],
    ) -> types.Detection: ...
    @overload
    async def detect(
        self,
        text: Iterable[str],
        *,
        timeout: float | None = None,
        retry: types.Retry | None = None,
        **options: Unpack[DetectOptions],
    ) -> list[types.Detection]: ...
    async def detect(
        self,
        text: str | Iterable[str],
        *,
        timeout: float | None = None,
        retry: types.Retry | None = None,
        **options: Unpack[DetectOptions],
    ) -> types.Detection | list[types.Detection]:
        """Detects the language of a text, or of each text of a list.

        `candidate_language_codes=`: the languages to choose from; all by default. `timeout`, `retry` and errors are as
        in `translate`.
        """
        found: types.Detection | list[types.Detection] = await self._transport.run(
            _calls.detect(text, options), timeout, retry
        )
        return found

    async def language_pairs(
        self,
        *,
        source: str | None = None,
        target: str | None = None,
        timeout: float | None = None,
        retry: types.Retry | None = None,
    ) -> list[types.LanguagePair]:
        """Returns the language pairs that the server translates, directly or through a pivot.

        `source` and `target`: only pairs from or into this language.
        """
        return await self._transport.run(_calls.language_pairs(source, target), timeout, retry)

    async def models(
        self,
        *,
        timeout: float | None = None,
        retry: types.Retry | None = None,
        **options: Unpack[ModelFilters],
    ) -> list[types.Model]:
        """Returns the models of the server's catalogue.

        `options`: filters, such as `task="translation"`, `state="ready"`, `source_language_code=` and
        `target_language_code=`.
        """
        return await self._transport.run(_calls.models(options), timeout, retry)

    async def get_model(
        self, name: str, *, timeout: float | None = None, retry: types.Retry | None = None
    ) -> types.Model:
        """Returns a model of the catalogue. Raises `NotServedError` if there is none of this name."""
        return await self._transport.run(_calls.get_model(name), timeout, retry)

    async def load_model(
        self, name: str, *, timeout: float | None = None, retry: types.Retry | None = None
    ) -> types.Model:
        """Loads a model, and returns it in the state READY. Raises `PermissionDeniedError` without the right to."""
        return await self._transport.run(_calls.load_model(name), timeout, retry)

    async def unload_model(
        self, name: str, *, timeout: float | None = None, retry: types.Retry | None = None
    ) -> types.Model:
        """Unloads a model when its batches are finished, and returns it in the state DRAINING or AVAILABLE."""
        return await self._transport.run(_calls.unload_model(name), timeout, retry)

    async def health(self, service: str = "", *, timeout: float | None = None, retry: types.Retry | None = None) -> str:
        """Returns the health, a constant of `Health`, such as "SERVING".

        `service`: "" for the whole server, the full name of a gRPC service, or `model:NAME`.
        """
        return await self._transport.run(_calls.health(service), timeout, retry)
