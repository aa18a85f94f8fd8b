"""The results of the client: frozen dataclasses that do not depend on protobuf."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from latimer.errors import LatimerError


@dataclass(frozen=True)
class TLS:
    """The TLS settings of a connection. Every field holds PEM bytes.

    `root_certificates`: the trusted roots; None uses those of gRPC. `private_key` and `certificate_chain`: the client's
    certificate; None sends none. `TLS()` suits a server with a public certificate.
    """

    root_certificates: bytes | None = None
    private_key: bytes | None = None
    certificate_chain: bytes | None = None


@dataclass(frozen=True)
class Span:
    """A half-open range of a text in code points: `text[span.start:span.end]`."""

    start: int
    end: int


@dataclass(frozen=True)
class AlignmentLink:
    """A link between a part of the source and the corresponding part of the translation. `score`: 0 to 1."""

    source_span: Span
    target_span: Span
    score: float


@dataclass(frozen=True)
class Alternative:
    """Another translation of a segment. `score`: the mean natural log-probability of its tokens."""

    text: str
    score: float


@dataclass(frozen=True)
class Segment:
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


@dataclass(frozen=True)
class Translation:
    """The translation of a text into one target language.

    `source_language`: the given or the detected language. `flags`: names without the prefix `FLAG_`. `segments`: only
    with `include_segments=True`. `models`: the models that ran, in order; two for a pivot. `score`: the mean
    natural log-probability of the output tokens; 0 if no model ran. `error`: the error of this item; `text` is "" in
    that case.
    """

    text: str
    source_language: str
    target_language: str
    flags: tuple[str, ...] = ()
    segments: tuple[Segment, ...] = ()
    models: tuple[str, ...] = ()
    score: float = 0.0
    error: LatimerError | None = None


# An item of `translate_many`: a text, or a pair of a key and a text. The key may be any object.
Item = str | tuple[Any, str]


@dataclass(frozen=True)
class TranslatedItem:
    """The result of one item of `translate_many`.

    `index`: the position of the item in the input, from 0. `key`: the key of a pair, else None. `translations`: one for
    each target language, in the given order.
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
        return next((translation.error for translation in self.translations if translation.error), None)


@dataclass(frozen=True)
class SummarySentence:
    """A sentence of a summary.

    `summary_span`: its position in the summary. `rank_score`: how central its source is among the sentences of the
    text, 0 to 1. `source_spans`: the parts of the text that support it.
    """

    text: str
    summary_span: Span
    rank_score: float
    source_spans: tuple[Span, ...]


@dataclass(frozen=True)
class Summary:
    """The summary of a text.

    `flags`: names without the prefix `FLAG_`. `language`: the language of the summary. `mode`: EXTRACTIVE, ABSTRACTIVE
    or HYBRID. `input_coverage`: the share of the text that was read, 0 to 1. `error`: the error of this item; `text` is
    "" in that case.
    """

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
    """A possible language of a text, and its probability, 0 to 1."""

    language: str
    confidence: float


@dataclass(frozen=True)
class Detection:
    """The detected language of a text.

    `language`: BCP-47; `und` if the text has no letters. `confidence`: 0 to 1. `candidates`: the likeliest languages,
    best first. `error`: the error of this item.
    """

    language: str
    confidence: float
    reliable: bool
    candidates: tuple[LanguageCandidate, ...] = ()
    error: LatimerError | None = None


@dataclass(frozen=True)
class LanguagePair:
    """A language pair that the server translates. `models`: its models in order; two for a pivot."""

    source_language: str
    target_language: str
    models: tuple[str, ...]


@dataclass(frozen=True)
class Model:
    """A model of the server's catalogue. `state` and `task` are names without a prefix, such as READY and
    TRANSLATION."""

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
