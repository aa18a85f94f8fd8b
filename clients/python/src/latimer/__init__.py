"""The client of Latimer: translation and summarization over gRPC.

    from latimer import Client

    with Client("localhost:50051") as client:
        print(client.translate("Hello, world!", target="pt").text)

`Client` and `AsyncClient` have the same methods. A method that gets one text raises the error of that text. For
a list, and in `translate_many`, the error of a text is in the `error` of its result.
"""

from latimer._aio import AsyncClient
from latimer._client import Client
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
)
from latimer.types import (
    TLS,
    AlignmentLink,
    Alternative,
    Detection,
    LanguageCandidate,
    LanguagePair,
    Model,
    Segment,
    Span,
    Summary,
    SummarySentence,
    TranslatedItem,
    Translation,
)

__version__ = "0.1.0"

__all__ = [
    "TLS",
    "AlignmentLink",
    "Alternative",
    "AsyncClient",
    "CancelledError",
    "Client",
    "ConnectionFailedError",
    "DeadlineExceededError",
    "Detection",
    "InvalidArgumentError",
    "LanguageCandidate",
    "LanguagePair",
    "LatimerError",
    "Model",
    "NotServedError",
    "OverloadedError",
    "PermissionDeniedError",
    "Segment",
    "ServerError",
    "Span",
    "Summary",
    "SummarySentence",
    "TranslatedItem",
    "Translation",
    "UnauthenticatedError",
    "UnsupportedError",
]
