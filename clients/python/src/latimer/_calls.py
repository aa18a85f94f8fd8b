"""What each method of the clients asks and makes of the answers, without doing the asking.

Each is a generator that yields `Call`s, is sent their responses, and returns the method's result: the
two clients differ only in how they run it. Knows no channels.
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
    """One call: the method's path, the request, and the type of the response."""

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
    """A translation, or lists of them, as the shapes of `text` and `target` ask."""
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
            _keep_earlier(chunk, plan, error)
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
    """A summary, or one for each text. `fields` are those of the method's own arguments."""
    plan = _convert.plan_contents([text] if isinstance(text, str) else text)
    summaries = [types.Summary("", error=plan.errors.get(index)) for index in range(plan.count)]
    for chunk in plan.chunks:
        request = _convert.build_summarize(chunk.contents, {**fields, **options})
        try:
            response = yield Call(f"{_SUMMARIZATION}/SummarizeText", request, summarization_pb2.SummarizeTextResponse)
        except LatimerError as error:
            _keep_earlier(chunk, plan, error)
            for index in chunk.indices:
                summaries[index] = types.Summary("", error=error)
            continue
        for index, summary in zip(chunk.indices, _convert.read_summaries(response), strict=True):
            summaries[index] = summary
    return _unwrap(text, summaries)


def detect(text: str | Iterable[str], options: Mapping[str, Any]) -> Steps[Any]:
    """A detection, or one for each text."""
    plan = _convert.plan_contents([text] if isinstance(text, str) else text)
    found = [types.Detection("und", 0.0, reliable=False, error=plan.errors.get(i)) for i in range(plan.count)]
    for chunk in plan.chunks:
        request = translation_pb2.DetectLanguageRequest(contents=chunk.contents)
        _convert.set_options(request, options, ())
        try:
            response = yield Call(f"{_TRANSLATION}/DetectLanguage", request, translation_pb2.DetectLanguageResponse)
        except LatimerError as error:
            _keep_earlier(chunk, plan, error)
            for index in chunk.indices:
                found[index] = types.Detection("und", 0.0, reliable=False, error=error)
            continue
        for index, detection in zip(chunk.indices, _convert.read_detections(response), strict=True):
            found[index] = detection
    return _unwrap(text, found)


def language_pairs(source: str | None, target: str | None) -> Steps[list[types.LanguagePair]]:
    """All pages of the pairs."""
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
    """All pages of the models."""
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
    """The status' name. Health's two messages have the wire form of a string and an integer in a wrapper,
    which spares the client a dependency."""
    try:
        response = yield Call("/grpc.health.v1.Health/Check", StringValue(value=service), Int32Value)
    except NotServedError:
        return "SERVICE_UNKNOWN"
    return _HEALTH_STATUSES[response.value] if 0 <= response.value < len(_HEALTH_STATUSES) else "UNKNOWN"


def _keep_earlier(chunk: _convert.Chunk, plan: _convert.Plan, error: LatimerError) -> None:
    """Raises what went wrong with the first request of a list; what goes wrong with a later one is its items'
    error, for the work on the others is done."""
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
