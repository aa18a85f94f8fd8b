"""The results of the client and its settings: frozen dataclasses with keyword arguments, independent of protobuf.

`str(result)` is the text of a result. `repr` leaves out fields that have their defaults and shortens long texts.
"""

from __future__ import annotations

import reprlib
from dataclasses import MISSING, dataclass, fields
from typing import Any

from latimer.enums import is_warning
from latimer.errors import LatimerError

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxtuple = 3


class _Shown:
    """The base of results. Logs often print them, so `repr` stays short."""

    def __repr__(self) -> str:
        shown = (
            f"{field.name}={_SHORT.repr(value)}"
            for field in fields(self)  # type: ignore[arg-type]
            if (value := getattr(self, field.name)) != field.default or field.default is MISSING
        )
        return f"{type(self).__name__}({', '.join(shown)})"


class _Flagged(_Shown):
    """A result with a text and flags."""

    text: str
    flags: tuple[str, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """The flags that say that the text may be wrong; the other flags are notes."""
        return tuple(flag for flag in self.flags if is_warning(flag))

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, kw_only=True)
class TLS:
    """The TLS settings of a connection. Every field holds PEM bytes.

    `root_certificates`: the trusted roots; None uses those of gRPC. `private_key` and `certificate_chain`: the client's
    certificate; None sends none. `TLS()` suits a server with a public certificate.
    """

    root_certificates: bytes | None = None
    private_key: bytes | None = None
    certificate_chain: bytes | None = None

    def __repr__(self) -> str:
        given = [field.name for field in fields(self) if getattr(self, field.name) is not None]
        return f"TLS({', '.join(f'{name}=...' for name in given)})"


@dataclass(frozen=True, kw_only=True)
class Retry:
    """Which failed requests the client sends again, and when.

    `attempts`: the most tries in a row, the first one included; 1 never retries. `first_delay` and `max_delay`: seconds
    before the second try, and the limit of the delay, which doubles with each try. The server's own delay (RetryInfo)
    is kept if it is longer. `overloaded`: also retries RESOURCE_EXHAUSTED, of a full server or an exhausted quota; by
    default only UNAVAILABLE is retried. No retry begins after the timeout of the call.
    """

    attempts: int = 5
    first_delay: float = 0.2
    max_delay: float = 3.0
    overloaded: bool = False


@dataclass(frozen=True, kw_only=True, repr=False)
class Usage(_Shown):
    """The cost of one request or stream. Results of the same request share it.

    `characters`: code points of the texts times the number of target languages. `segments`: all segments;
    `cached_segments` and `retried_segments` are parts of them. `input_tokens` and `output_tokens`: of the models.
    `queue_seconds`: the mean wait for a batch. `compute_seconds`: from the first to the last batch.
    """

    characters: int = 0
    segments: int = 0
    cached_segments: int = 0
    retried_segments: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    queue_seconds: float = 0.0
    compute_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Span:
    """A half-open range of a text in code points: `text[span.start:span.end]`."""

    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class AlignmentLink:
    """A link between a part of the source and the corresponding part of the translation. `score`: 0 to 1."""

    source_span: Span
    target_span: Span
    score: float


@dataclass(frozen=True, kw_only=True, repr=False)
class Alternative(_Shown):
    """Another translation of a segment. `score`: the mean natural log-probability of its tokens."""

    text: str
    score: float

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, kw_only=True, repr=False)
class Segment(_Flagged):
    """A part of a text that was translated by itself, usually a sentence.

    `score`: the mean natural log-probability of its tokens. `flags`: names without the prefix `FLAG_`. `alignment` and
    `alternatives`: only if requested.
    """

    text: str
    source_span: Span
    target_span: Span
    score: float
    flags: tuple[str, ...]
    alignment: tuple[AlignmentLink, ...] = ()
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True, kw_only=True, repr=False)
class Translation(_Flagged):
    """The translation of a text into one target language.

    `source_language`: the given or the detected language. `flags`: constants of `Flag`. `segments`: only with
    `include_segments=True`. `models`: the models that ran, in order; two for a pivot. `score`: the mean natural
    log-probability of the output tokens; 0 if no model ran. `usage`: the cost of the request, which holds other
    texts of a list as well; None in a stream, which has its own. `error`: the error of this text; `text` is "" in that
    case.
    """

    text: str
    source_language: str
    target_language: str
    flags: tuple[str, ...] = ()
    segments: tuple[Segment, ...] = ()
    models: tuple[str, ...] = ()
    score: float = 0.0
    usage: Usage | None = None
    error: LatimerError | None = None


# An item of `translate_many`: a text, or a pair of a key and a text. The key may be any object.
Item = str | tuple[Any, str]


@dataclass(frozen=True, kw_only=True, repr=False)
class TranslatedItem(_Shown):
    """The result of one item of `translate_many`.

    `index`: the position of the item in the input, from 0. `key`: the key of a pair, else None. `source_text`: the
    given text; "" for an item that is no text. `translations`: one for each target language, in the given order.
    """

    index: int
    key: Any
    source_text: str
    translations: tuple[Translation, ...]

    @property
    def text(self) -> str:
        """The translation into the first target language; "" if it has an error."""
        return self.translations[0].text

    @property
    def error(self) -> LatimerError | None:
        """The first error among the translations; None if there is none."""
        for translation in self.translations:
            if translation.error is not None:
                return translation.error
        return None

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags of all translations, without duplicates."""
        return tuple(dict.fromkeys(flag for translation in self.translations for flag in translation.flags))

    @property
    def warnings(self) -> tuple[str, ...]:
        """The flags that say that a translation may be wrong."""
        return tuple(filter(is_warning, self.flags))

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, kw_only=True, repr=False)
class SummarySentence(_Shown):
    """A sentence of a summary.

    `summary_span`: its position in the summary. `rank_score`: how central its source is among the sentences of the
    text, 0 to 1. `source_spans`: the parts of the text that support it.
    """

    text: str
    summary_span: Span
    rank_score: float
    source_spans: tuple[Span, ...]

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, kw_only=True, repr=False)
class Summary(_Flagged):
    """The summary of a text.

    `flags`: constants of `Flag`. `language`: the language of the summary. `source_language`: the given or the detected
    language of the text. `mode`: a constant of `SummaryMode`. `input_coverage`: the share of the text that was read, 0
    to 1. `usage`: the cost of the request. `error`: the error of this text; `text` is "" in that case.
    """

    text: str
    sentences: tuple[SummarySentence, ...] = ()
    flags: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    language: str = ""
    source_language: str = ""
    mode: str = ""
    input_coverage: float = 0.0
    usage: Usage | None = None
    error: LatimerError | None = None


@dataclass(frozen=True, kw_only=True)
class LanguageCandidate:
    """A possible language of a text, and its probability, 0 to 1."""

    language: str
    confidence: float


@dataclass(frozen=True, kw_only=True)
class Detection:
    """The detected language of a text; `str` gives its code.

    `language`: BCP-47; `und` if the text has no letters. `confidence`: 0 to 1. `candidates`: the likeliest languages,
    best first. `error`: the error of this text.
    """

    language: str
    confidence: float
    reliable: bool
    candidates: tuple[LanguageCandidate, ...] = ()
    error: LatimerError | None = None

    def __str__(self) -> str:
        return self.language


@dataclass(frozen=True, kw_only=True)
class LanguagePair:
    """A language pair that the server translates. `models`: its models in order; two for a pivot."""

    source_language: str
    target_language: str
    models: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model of the server's catalogue. `state` and `task` are constants of `ModelState` and `ModelTask`."""

    name: str
    state: str
    task: str
    family: str
    backend: str
    compute_type: str
    source_languages: tuple[str, ...]
    target_languages: tuple[str, ...]
    max_input_tokens: int
    memory_bytes: int
    revision: str
    sha256: str
    license: str
    attribution: str
    error_message: str

    def __str__(self) -> str:
        return self.name
