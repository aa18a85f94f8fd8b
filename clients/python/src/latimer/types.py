"""What the client returns: plain frozen values, without protobuf. Knows nothing of the wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from latimer.errors import LatimerError


@dataclass(frozen=True)
class TLS:
    """How to encrypt. PEM bytes; None takes gRPC's own trusted roots and sends no certificate.

    `TLS()` is what a public certificate needs.
    """

    root_certificates: bytes | None = None
    private_key: bytes | None = None
    certificate_chain: bytes | None = None


@dataclass(frozen=True)
class Span:
    """A range of a text in code points, half-open: `text[span.start:span.end]`."""

    start: int
    end: int


@dataclass(frozen=True)
class AlignmentLink:
    """A part of the source and the part of the translation that answers it; `score` 0 to 1."""

    source_span: Span
    target_span: Span
    score: float


@dataclass(frozen=True)
class Alternative:
    """Another translation of a segment; `score` is its mean log-probability."""

    text: str
    score: float


@dataclass(frozen=True)
class Segment:
    """A part of a text that was translated by itself; `flags` are names without prefix."""

    text: str
    source_span: Span
    target_span: Span
    score: float
    flags: tuple[str, ...]
    alignment: tuple[AlignmentLink, ...] = ()
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True)
class Translation:
    """A text in one target language.

    `source_language`: as given, or as detected. `score`: mean natural log-probability of the tokens; 0
    where no model ran. `segments`: with `include_segments=True`. `models`: two or more: a pivot.
    `error`: why there is none; `text` then is "".
    """

    text: str
    source_language: str
    target_language: str
    flags: tuple[str, ...] = ()
    segments: tuple[Segment, ...] = ()
    models: tuple[str, ...] = ()
    score: float = 0.0
    error: LatimerError | None = None


# What `translate_many` takes: a text, or a pair of anything that the caller knows it by and the text.
Item = str | tuple[Any, str]


@dataclass(frozen=True)
class TranslatedItem:
    """What `translate_many` made of an item.

    `index`: its place in what was given, from 0. `key`: what came with its text in a pair, else None.
    `translations`: one for each target language, in their order.
    """

    index: int
    key: Any
    source_text: str
    translations: tuple[Translation, ...]

    @property
    def text(self) -> str:
        """The translation into the first target language; "" where there is an error."""
        return self.translations[0].text

    @property
    def error(self) -> LatimerError | None:
        """The first error of its translations, if one has any."""
        return next((translation.error for translation in self.translations if translation.error), None)


@dataclass(frozen=True)
class SummarySentence:
    """A sentence of a summary, where it stands there, and what supports it in the text."""

    text: str
    summary_span: Span
    rank_score: float
    source_spans: tuple[Span, ...]


@dataclass(frozen=True)
class Summary:
    """The summary of a text. `error`: why there is none; `text` then is ""."""

    text: str
    sentences: tuple[SummarySentence, ...] = ()
    flags: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    language: str = ""
    mode: str = ""
    input_coverage: float = 0.0
    error: LatimerError | None = None


@dataclass(frozen=True)
class LanguageCandidate:
    """A language that a text may be in, and how likely, 0 to 1."""

    language: str
    confidence: float


@dataclass(frozen=True)
class Detection:
    """The language of a text: `und` where there is nothing to tell it by."""

    language: str
    confidence: float
    reliable: bool
    candidates: tuple[LanguageCandidate, ...] = ()
    error: LatimerError | None = None


@dataclass(frozen=True)
class LanguagePair:
    """A pair that is served, and by which models; two or more: a pivot."""

    source_language: str
    target_language: str
    models: tuple[str, ...]


@dataclass(frozen=True)
class Model:
    """A model of the server's catalogue; `state` and `task` are names without prefix."""

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
