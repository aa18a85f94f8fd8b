"""The methods of the clients, without the transport.

Each method is a generator: it yields a `Call`, receives a `Reply` or the call's error, and returns the method's result.
Both clients share these generators and differ only in how they make the calls.

A single text raises its error. For a list, every error of the server, the network or a text is in the results; only a
call that has no list of texts, or options that do not exist, is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from latimer import _convert, _requests, types
from latimer._texts import Chunk, check_texts, plan_contents
from latimer.enums import Health
from latimer.errors import (
    ConnectionFailedError,
    InvalidArgumentError,
    LatimerError,
    NotServedError,
    PermissionDeniedError,
    ServerError,
    UnauthenticatedError,
    UnsupportedError,
)
from latimer.v1 import models_pb2, summarization_pb2, translation_pb2

T = TypeVar("T")

_PAGE_SIZE = 1_000
_HEALTH = (Health.UNKNOWN, Health.SERVING, Health.NOT_SERVING, Health.SERVICE_UNKNOWN)
# After these errors of one request of a list the others are not sent: they would end alike.
_ERRORS_OF_ALL = (
    ConnectionFailedError,
    NotServedError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnsupportedError,
)


@dataclass(frozen=True)
class Call:
    """A unary call: the path of the method, the request and the type of the response."""

    method: str
    request: Message
    response: type[Message]


@dataclass(frozen=True)
class Reply:
    """The response of a call, and the server's id of the call."""

    message: Any
    request_id: str


Steps = Generator[Call, Reply | LatimerError, T]

_TRANSLATION = "/latimer.v1.TranslationService"
_SUMMARIZATION = "/latimer.v1.SummarizationService"
_MODELS = "/latimer.v1.ModelService"


def translate(
    text: str | Iterable[str], target: str | Sequence[str], source: str | None, options: Mapping[str, Any]
) -> Steps[Any]:
    """Translates texts. Returns a translation, or a list for a list of texts or targets, or a list of lists for
    both."""
    targets = _requests.check_targets(target)
    language = _requests.check_language("source", source)
    _requests.check_names(_requests.TRANSLATE, options)

    def call(chunk: Chunk) -> Call:
        request = _requests.build_translate(chunk.contents, targets, language, options)
        return Call(f"{_TRANSLATION}/TranslateText", request, translation_pb2.TranslateTextResponse)

    def read(reply: Reply) -> list[list[types.Translation]]:
        return list(_convert.read_translations(reply.message, language, reply.request_id))

    def fail(error: LatimerError) -> list[types.Translation]:
        return [
            types.Translation(text="", source_language=language, target_language=code, error=error) for code in targets
        ]

    rows = yield from _run_texts(text, call, read, fail)
    if isinstance(text, str):
        for translation in rows[0]:
            if translation.error:
                raise translation.error
    results: list[Any] = [row[0] for row in rows] if isinstance(target, str) else rows
    return results[0] if isinstance(text, str) else results


def summarize(
    text: str | Iterable[str], source: str | None, fields: Mapping[str, Any], options: Mapping[str, Any]
) -> Steps[Any]:
    """Summarizes texts. Returns a summary, or a list for a list of texts. `fields`: the fields that have arguments of
    their own in the client's method."""
    language = _requests.check_language("source", source)
    _requests.check_language("target", fields.get("output_language_code"))
    _requests.check_names(_requests.SUMMARIZE, options)

    def call(chunk: Chunk) -> Call:
        request = _requests.build_summarize(chunk.contents, {**fields, "language_code": source, **options})
        return Call(f"{_SUMMARIZATION}/SummarizeText", request, summarization_pb2.SummarizeTextResponse)

    def read(reply: Reply) -> list[types.Summary]:
        return list(_convert.read_summaries(reply.message, language, reply.request_id))

    summaries = yield from _run_texts(text, call, read, lambda error: types.Summary(text="", error=error))
    return _unwrap(text, summaries)


def detect(text: str | Iterable[str], options: Mapping[str, Any]) -> Steps[Any]:
    """Detects languages. Returns a detection, or a list for a list of texts."""
    _requests.check_names(_requests.DETECT, options)

    def call(chunk: Chunk) -> Call:
        request = translation_pb2.DetectLanguageRequest(contents=chunk.contents)
        _requests.set_options(request, options)
        return Call(f"{_TRANSLATION}/DetectLanguage", request, translation_pb2.DetectLanguageResponse)

    def read(reply: Reply) -> list[types.Detection]:
        return list(_convert.read_detections(reply.message))

    def fail(error: LatimerError) -> types.Detection:
        return types.Detection(language="und", confidence=0.0, reliable=False, error=error)

    found = yield from _run_texts(text, call, read, fail)
    return _unwrap(text, found)


def language_pairs(source: str | None, target: str | None) -> Steps[list[types.LanguagePair]]:
    """Returns the language pairs of all pages."""
    request = translation_pb2.ListLanguagePairsRequest(
        source_language_code=_requests.check_language("source", source),
        target_language_code=_requests.check_language("target", target),
        page_size=_PAGE_SIZE,
    )
    pairs: list[types.LanguagePair] = []
    while True:
        response = yield from _ask(
            Call(f"{_TRANSLATION}/ListLanguagePairs", request, translation_pb2.ListLanguagePairsResponse)
        )
        pairs += _convert.read_pairs(response)
        if not response.next_page_token:
            return pairs
        request.page_token = response.next_page_token


def models(options: Mapping[str, Any]) -> Steps[list[types.Model]]:
    """Returns the models of all pages."""
    _requests.check_names(_requests.MODELS, options)
    request = models_pb2.ListModelsRequest(page_size=_PAGE_SIZE)
    _requests.set_options(request, options)
    found: list[types.Model] = []
    while True:
        response = yield from _ask(Call(f"{_MODELS}/ListModels", request, models_pb2.ListModelsResponse))
        found += [_convert.read_model(model) for model in response.models]
        if not response.next_page_token:
            return found
        request.page_token = response.next_page_token


def get_model(name: str) -> Steps[types.Model]:
    """Returns a model of the catalogue."""
    return _call_model("GetModel", models_pb2.GetModelRequest, models_pb2.GetModelResponse, name)


def load_model(name: str) -> Steps[types.Model]:
    """Loads a model, and returns it."""
    return _call_model("LoadModel", models_pb2.LoadModelRequest, models_pb2.LoadModelResponse, name)


def unload_model(name: str) -> Steps[types.Model]:
    """Unloads a model, and returns it."""
    return _call_model("UnloadModel", models_pb2.UnloadModelRequest, models_pb2.UnloadModelResponse, name)


def _call_model(method: str, request: Callable[..., Message], response: type[Message], name: str) -> Steps[types.Model]:
    if not isinstance(name, str):
        raise InvalidArgumentError(f"name is {type(name).__name__}; it must be the name of a model")
    answer = yield from _ask(Call(f"{_MODELS}/{method}", request(name=name), response))
    return _convert.read_model(answer.model)


def health(service: str) -> Steps[str]:
    """Returns a health status.

    The messages of the health service have the same wire format as StringValue and Int32Value, so the client needs no
    dependency on grpcio-health-checking.
    """
    try:
        response = yield from _ask(Call("/grpc.health.v1.Health/Check", StringValue(value=service), Int32Value))
    except NotServedError:
        return Health.SERVICE_UNKNOWN.value
    return _HEALTH[response.value].value if 0 <= response.value < len(_HEALTH) else str(response.value)


def _ask(call: Call) -> Steps[Any]:
    """Makes a call, and returns the message of its response or raises its error."""
    reply = yield call
    if isinstance(reply, LatimerError):
        raise reply
    return reply.message


def _run_texts(
    text: str | Iterable[str],
    call: Callable[[Chunk], Call],
    read: Callable[[Reply], list[T]],
    fail: Callable[[LatimerError], T],
) -> Steps[list[T]]:
    """Makes the requests of a text or a list, and returns a result for each text. `call` builds a request, `read`
    converts its response, and `fail` makes the result of a text with an error."""
    check_texts(text)
    plan = plan_contents([text] if isinstance(text, str) else text)
    results = [fail(plan.errors[index]) if index in plan.errors else None for index in range(plan.count)]
    failure: LatimerError | None = None
    for chunk in plan.chunks:
        reply: Reply | LatimerError
        if failure is not None:
            reply = failure
        else:
            try:
                reply = yield call(chunk)
            except InvalidArgumentError as error:  # of an option's value
                failure = reply = error.with_traceback(None)
        if isinstance(reply, _ERRORS_OF_ALL):
            failure = reply
        if isinstance(reply, Reply):
            found = read(reply)
            if len(found) == len(chunk.indices):
                for index, result in zip(chunk.indices, found, strict=True):
                    results[index] = result
                continue
            count = f"{len(found)} results for {len(chunk.indices)} texts"
            reply = ServerError(f"the server returned {count}", request_id=reply.request_id)
        for index in chunk.indices:
            results[index] = fail(reply)
    return [result for result in results if result is not None]


def _unwrap(text: str | Iterable[str], results: list[Any]) -> Any:
    if not isinstance(text, str):
        return results
    if results[0].error:
        raise results[0].error
    return results[0]
