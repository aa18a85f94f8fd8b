"""The methods of the clients, without the transport.

Each method is a generator: it yields a `Call`, receives the response and returns the method's result. Both clients
share these generators and differ only in how they make the calls.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from latimer import _convert, types
from latimer.errors import LatimerError, NotServedError
from latimer.v1 import models_pb2, summarization_pb2, translation_pb2

T = TypeVar("T")

_PAGE_SIZE = 1_000
_HEALTH_STATUSES = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")


@dataclass(frozen=True)
class Call:
    """A unary call: the path of the method, the request and the type of the response."""

    method: str
    request: Message
    response: type[Message]


Steps = Generator[Call, Any, T]

_TRANSLATION = "/latimer.v1.TranslationService"
_SUMMARIZATION = "/latimer.v1.SummarizationService"
_MODELS = "/latimer.v1.ModelService"


def translate(
    text: str | Iterable[str], target: str | Sequence[str], source: str | None, options: Mapping[str, Any]
) -> Steps[Any]:
    """Translates texts. Returns a translation, or a list for a list of texts or targets, or a list of lists for
    both."""
    targets = [target] if isinstance(target, str) else list(target)
    plan = _convert.plan_contents([text] if isinstance(text, str) else text)
    rows: list[list[types.Translation]] = [[] for _ in range(plan.count)]
    for index, error in plan.errors.items():
        rows[index] = [types.Translation("", source or "", code, error=error) for code in targets]
    for chunk in plan.chunks:
        request = _convert.build_translate(chunk.contents, targets, source, options)
        try:
            response = yield Call(f"{_TRANSLATION}/TranslateText", request, translation_pb2.TranslateTextResponse)
        except LatimerError as error:
            _raise_if_first(chunk, plan, error)
            for index in chunk.indices:
                rows[index] = [types.Translation("", source or "", code, error=error) for code in targets]
            continue
        for index, row in zip(chunk.indices, _convert.read_translations(response, source), strict=True):
            rows[index] = row
    if isinstance(text, str):
        for translation in rows[0]:
            _raise(translation.error)
    results: list[Any] = [row[0] for row in rows] if isinstance(target, str) else list(rows)
    return results[0] if isinstance(text, str) else results


def summarize(text: str | Iterable[str], fields: Mapping[str, Any], options: Mapping[str, Any]) -> Steps[Any]:
    """Summarizes texts. Returns a summary, or a list for a list of texts. `fields`: the fields that have arguments of
    their own in the client's method."""
    plan = _convert.plan_contents([text] if isinstance(text, str) else text)
    summaries = [types.Summary("", error=plan.errors.get(index)) for index in range(plan.count)]
    for chunk in plan.chunks:
        request = _convert.build_summarize(chunk.contents, {**fields, **options})
        try:
            response = yield Call(f"{_SUMMARIZATION}/SummarizeText", request, summarization_pb2.SummarizeTextResponse)
        except LatimerError as error:
            _raise_if_first(chunk, plan, error)
            for index in chunk.indices:
                summaries[index] = types.Summary("", error=error)
            continue
        for index, summary in zip(chunk.indices, _convert.read_summaries(response), strict=True):
            summaries[index] = summary
    return _unwrap(text, summaries)


def detect(text: str | Iterable[str], options: Mapping[str, Any]) -> Steps[Any]:
    """Detects languages. Returns a detection, or a list for a list of texts."""
    plan = _convert.plan_contents([text] if isinstance(text, str) else text)
    found = [types.Detection("und", 0.0, reliable=False, error=plan.errors.get(i)) for i in range(plan.count)]
    for chunk in plan.chunks:
        request = translation_pb2.DetectLanguageRequest(contents=chunk.contents)
        _convert.set_options(request, options, ())
        try:
            response = yield Call(f"{_TRANSLATION}/DetectLanguage", request, translation_pb2.DetectLanguageResponse)
        except LatimerError as error:
            _raise_if_first(chunk, plan, error)
            for index in chunk.indices:
                found[index] = types.Detection("und", 0.0, reliable=False, error=error)
            continue
        for index, detection in zip(chunk.indices, _convert.read_detections(response), strict=True):
            found[index] = detection
    return _unwrap(text, found)


def language_pairs(source: str | None, target: str | None) -> Steps[list[types.LanguagePair]]:
    """Returns the language pairs of all pages."""
    request = translation_pb2.ListLanguagePairsRequest(
        source_language_code=source or "", target_language_code=target or "", page_size=_PAGE_SIZE
    )
    pairs: list[types.LanguagePair] = []
    while True:
        response = yield Call(f"{_TRANSLATION}/ListLanguagePairs", request, translation_pb2.ListLanguagePairsResponse)
        pairs += _convert.read_pairs(response)
        if not response.next_page_token:
            return pairs
        request.page_token = response.next_page_token


def models(options: Mapping[str, Any]) -> Steps[list[types.Model]]:
    """Returns the models of all pages."""
    request = models_pb2.ListModelsRequest(page_size=_PAGE_SIZE)
    _convert.set_options(request, options, ())
    found: list[types.Model] = []
    while True:
        response = yield Call(f"{_MODELS}/ListModels", request, models_pb2.ListModelsResponse)
        found += _convert.read_models(response)
        if not response.next_page_token:
            return found
        request.page_token = response.next_page_token


def health(service: str) -> Steps[str]:
    """Returns the name of a health status.

    The messages of the health service have the same wire format as StringValue and Int32Value, so the client needs no
    dependency on grpcio-health-checking.
    """
    try:
        response = yield Call("/grpc.health.v1.Health/Check", StringValue(value=service), Int32Value)
    except NotServedError:
        return "SERVICE_UNKNOWN"
    return _HEALTH_STATUSES[response.value] if 0 <= response.value < len(_HEALTH_STATUSES) else "UNKNOWN"


def _raise_if_first(chunk: _convert.Chunk, plan: _convert.Plan, error: LatimerError) -> None:
    """Raises the error of a list's first request. The error of a later request becomes the error of its items, so that
    the results of earlier requests are kept."""
    if chunk is plan.chunks[0]:
        raise error


def _unwrap(text: str | Iterable[str], results: list[Any]) -> Any:
    if not isinstance(text, str):
        return results
    _raise(results[0].error)
    return results[0]


def _raise(error: LatimerError | None) -> None:
    if error:
        raise error
