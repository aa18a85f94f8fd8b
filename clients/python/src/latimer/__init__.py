"""The client of Latimer: translation and summarization over gRPC.

    from latimer import Client

    with Client("localhost:50051") as client:
        print(client.translate("Hello, world!", target="pt").text)

`Client` and `AsyncClient` have the same methods. A method that gets one text raises the error of that text. A list
never raises what happens to its texts: the error of each is in the `error` of its result.
"""

from latimer._aio import AsyncClient
from latimer._aio_stream import AsyncTranslationStream
from latimer._client import Client
from latimer._stream import TranslationStream
from latimer.enums import Flag, Health, ModelState, ModelTask, SummaryMode, is_warning
from latimer.errors import (
    CancelledError,
    ConnectionFailedError,
    DeadlineExceededError,
    InvalidArgumentError,
    LatimerError,
    NotServedError,
    OverloadedError,
    PermissionDeniedError,
    ServerError,
    UnauthenticatedError,
    UnsupportedError,
    WrongLoopError,
)
from latimer.language_names import language_name
from latimer.options import (
    DecodingOptions,
    DetectOptions,
    GlossaryTerm,
    ModelFilters,
    SummarizeOptions,
    TranslateOptions,
)
from latimer.types import (
    TLS,
    AlignmentLink,
    Alternative,
    Detection,
    LanguageCandidate,
    LanguagePair,
    Model,
    Retry,
    Segment,
    Span,
    Summary,
    SummarySentence,
    TranslatedItem,
    Translation,
    Usage,
)

__version__ = "0.1.0"

__all__ = [
    "TLS",
    "AlignmentLink",
    "Alternative",
    "AsyncClient",
    "AsyncTranslationStream",
    "CancelledError",
    "Client",
    "ConnectionFailedError",
    "DeadlineExceededError",
    "DecodingOptions",
    "DetectOptions",
    "Detection",
    "Flag",
    "GlossaryTerm",
    "Health",
    "InvalidArgumentError",
    "LanguageCandidate",
    "LanguagePair",
    "LatimerError",
    "Model",
    "ModelFilters",
    "ModelState",
    "ModelTask",
    "NotServedError",
    "OverloadedError",
    "PermissionDeniedError",
    "Retry",
    "Segment",
    "ServerError",
    "Span",
    "SummarizeOptions",
    "Summary",
    "SummaryMode",
    "SummarySentence",
    "TranslateOptions",
    "TranslatedItem",
    "Translation",
    "TranslationStream",
    "UnauthenticatedError",
    "UnsupportedError",
    "Usage",
    "WrongLoopError",
    "is_warning",
    "language_name",
]
