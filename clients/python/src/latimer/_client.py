"""The synchronous client: makes the calls that `_calls` describes.

`_aio` is the asynchronous counterpart. A test compares their methods.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, overload

from latimer import _calls, _channel, types
from latimer._client_base import ClientBase
from latimer._ledger import Ledger
from latimer._stream import TranslationStream, run_stream
from latimer._transport import Transport
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


class Client(ClientBase[Transport]):
    """Connections to one or more servers. Use it as a context manager, or call `close`. Thread-safe.

    The constructor has the arguments of `ClientBase`. Errors are subclasses of `LatimerError`.
    """

    def _make_transport(self) -> Transport:
        return Transport(self._connection)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections and cancels calls in flight."""
        self._transport.close()

    @overload
    def translate(  # type: ignore[overload-overlap]  # a str is an iterable of str
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
    def translate(  # type: ignore[overload-overlap]  # a str is an iterable of str
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
    def translate(  # type: ignore[overload-overlap]  # a str is an iterable of str
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
    def translate(
        self,
        text: Iterable[str],
        *,
        target: Sequence[str],
        source: str | None = None,
        timeout: float | None = None,
        retry: types.Retry | None = None,
        **options: Unpack[TranslateOptions],
    ) -> list[list[types.Translation]]: ...
    def translate(
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
        return self._transport.run(_calls.translate(text, target, source, options), timeout, retry)

    def translate_many(
        self,
        items: Iterable[types.Item],
        *,
        target: str | Sequence[str],
        source: str | None = None,
        ordered: bool = True,
        raise_errors: bool = False,
        timeout: float | None = None,
        retry: types.Retry | None = None,
        **options: Unpack[TranslateOptions],
    ) -> TranslationStream:
        """Translates any number of items in one stream, and yields one `TranslatedItem` for each.

        An item is a text, or a pair of a key and a text. `items` is read at most 2,048 items and about 1,000,000
        characters ahead of the results that were taken, in a thread of its own. Results come in the order of the items,
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
        results = run_stream(lambda requests: self._transport.open_stream(requests, trace), items, ledger, seconds)
        return TranslationStream(results, ledger)

    @overload
    def summarize(  # type: ignore[overload-overlap]  # a str is an iterable of str
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
    def summarize(
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
    def summarize(
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
        summaries: types.Summary | list[types.Summary] = self._transport.run(
            _calls.summarize(text, source, fields, options), timeout, retry
        )
        return summaries

    @overload
    def detect(  # type: ignore[overload-overlap]  # a str is an iterable of str
        self,
        text: str,
        *,
        timeout: float | None = None,
        retry: types.Retry | None = None,
        **options: Unpack[DetectOptions],
    ) -> types.Detection: ...
    @overload
    def detect(
        self,
        text: Iterable[str],
        *,
        timeout: float | None = None,
        retry: types.Retry | None = None,
        **options: Unpack[DetectOptions],
    ) -> list[types.Detection]: ...
    def detect(
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
        found: types.Detection | list[types.Detection] = self._transport.run(
            _calls.detect(text, options), timeout, retry
        )
        return found

    def language_pairs(
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
        return self._transport.run(_calls.language_pairs(source, target), timeout, retry)

    def models(
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
        return self._transport.run(_calls.models(options), timeout, retry)

    def get_model(self, name: str, *, timeout: float | None = None, retry: types.Retry | None = None) -> types.Model:
        """Returns a model of the catalogue. Raises `NotServedError` if there is none of this name."""
        return self._transport.run(_calls.get_model(name), timeout, retry)

    def load_model(self, name: str, *, timeout: float | None = None, retry: types.Retry | None = None) -> types.Model:
        """Loads a model, and returns it in the state READY. Raises `PermissionDeniedError` without the right to."""
        return self._transport.run(_calls.load_model(name), timeout, retry)

    def unload_model(self, name: str, *, timeout: float | None = None, retry: types.Retry | None = None) -> types.Model:
        """Unloads a model when its batches are finished, and returns it in the state DRAINING or AVAILABLE."""
        return self._transport.run(_calls.unload_model(name), timeout, retry)

    def health(self, service: str = "", *, timeout: float | None = None, retry: types.Retry | None = None) -> str:
        """Returns the health, a constant of `Health`, such as "SERVING".

        `service`: "" for the whole server, the full name of a gRPC service, or `model:NAME`.
        """
        return self._transport.run(_calls.health(service), timeout, retry)
