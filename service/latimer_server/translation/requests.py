"""Translation requests and their results, as frozen values.

Each class corresponds to a message of `latimer.v1.translation`, whose comments give defaults and limits.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from latimer_server.core.decoding import DecodingOptions
from latimer_server.core.errors import LatimerError
from latimer_server.core.flags import Flag
from latimer_server.core.spans import TextSpan
from latimer_server.scheduling import Priority
from latimer_server.text.alignment import Link
from latimer_server.text.detection import Candidate
from latimer_server.text.markup import TextFormat
from latimer_server.text.protection.glossary import Glossary
from latimer_server.text.protection.rules import ProtectionRules
from latimer_server.text.segmentation import Splitting
from latimer_server.translation.segment_output import Alternative


@dataclass(frozen=True)
class TranslateOptions:
    """The options of a request. The contract's TranslateOptions documents the meaning and default of each."""

    splitting: Splitting = Splitting.SENTENCES
    reject_overlong: bool = False
    decoding: DecodingOptions = DecodingOptions()
    disable_pivot: bool = False
    candidates: tuple[str, ...] = ()
    fallback: str = ""
    error_flags: frozenset[Flag] = frozenset()
    include_segments: bool = False
    alternative_count: int = 0
    protection: ProtectionRules = ProtectionRules()
    glossary: Glossary | None = None
    text_format: TextFormat | None = None
    ignore_tags: tuple[str, ...] = ()
    include_alignment: bool = False
    translate_attributes: bool = False

    @property
    def returns_segments(self) -> bool:
        """True if the response contains segments; alternatives and alignments are fields of segments."""
        return self.include_segments or self.include_alignment or self.alternative_count > 0

    @property
    def reads_tags(self) -> bool:
        """True if tags around the words of plain texts are read as marks; a caller's patterns may be about tags."""
        return self.text_format is None and self.protection.builtin and not self.protection.patterns

    @property
    def needs_alignment(self) -> bool:
        """True if the model must return alignments. Markup needs them, because tags follow the words they enclose."""
        return self.include_alignment or self.text_format is not None


@dataclass(frozen=True)
class SegmentTranslation:
    """The translation of one segment, with its spans in the content and in the translated content (code points).

    `avg_log_prob` is the mean natural log-probability of the output tokens. The links of `alignment` have spans of the
    content and of the translated content too.
    """

    source_span: TextSpan
    target_span: TextSpan
    text: str
    avg_log_prob: float
    flags: tuple[Flag, ...]
    alternatives: tuple[Alternative, ...] = ()
    alignment: tuple[Link, ...] = ()


@dataclass(frozen=True)
class Translation:
    """The translation of one content into one target language, or the error of the item.

    `target` is a BCP-47 code. `segments` is () unless the options request segments. `models` are the names of the
    models of the route, in order. If `error` is set, `text` is "".
    """

    text: str
    target: str
    avg_log_prob: float = 0.0
    flags: tuple[Flag, ...] = ()
    segments: tuple[SegmentTranslation, ...] = ()
    models: tuple[str, ...] = ()
    error: LatimerError | None = None


@dataclass(frozen=True)
class ItemResult:
    """The translations of one content, in the order of the request's targets.

    `detected` is the detected language; None if the request named the language.
    """

    translations: tuple[Translation, ...]
    detected: Candidate | None = None


@dataclass(frozen=True)
class TranslateRequest:
    """The contents of one request, its languages and its options.

    `source` and `targets` are BCP-47 codes; `source` "" detects the language of each content. `deadline` is a reading
    of the monotonic clock in seconds. Requests with the same `caller` share one turn in the queues; None means a caller
    of its own.
    """

    contents: tuple[str, ...]
    source: str
    targets: tuple[str, ...]
    model: str = ""
    options: TranslateOptions = TranslateOptions()
    priority: Priority = Priority.INTERACTIVE
    deadline: float | None = None
    caller: Hashable = None
    disable_cache: bool = False
