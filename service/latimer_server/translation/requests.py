"""Requests of translations and their results, as frozen values.

Each corresponds to a message of `latimer.v1.translation`, whose comments give defaults and limits.
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
    """How to translate; the contract's TranslateOptions says what each means and defaults to."""

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

    @property
    def returns_segments(self) -> bool:
        """Whether segments are returned: alternatives and alignments are theirs."""
        return self.include_segments or self.include_alignment or self.alternative_count > 0

    @property
    def needs_alignment(self) -> bool:
        """Whether a model must say which words answer which: tags follow their words."""
        return self.include_alignment or self.text_format is not None


@dataclass(frozen=True)
class SegmentTranslation:
    """A segment: where it stands in the content and in the translation, and what came out."""

    source_span: TextSpan
    target_span: TextSpan
    text: str
    avg_log_prob: float
    flags: tuple[Flag, ...]
    alternatives: tuple[Alternative, ...] = ()
    alignment: tuple[Link, ...] = ()


@dataclass(frozen=True)
class Translation:
    """One content in one target language, or the error that it met."""

    text: str
    target: str
    avg_log_prob: float = 0.0
    flags: tuple[Flag, ...] = ()
    segments: tuple[SegmentTranslation, ...] = ()
    models: tuple[str, ...] = ()
    error: LatimerError | None = None


@dataclass(frozen=True)
class ItemResult:
    """What became of one content. `detected` is None when the request gave the language."""

    translations: tuple[Translation, ...]
    detected: Candidate | None = None


@dataclass(frozen=True)
class TranslateRequest:
    """Texts and what to make of them. `source` "" detects; `deadline` is a reading of the monotonic clock;
    `caller`: with whom its pieces share a turn in the queues, None: with nobody."""

    contents: tuple[str, ...]
    source: str
    targets: tuple[str, ...]
    model: str = ""
    options: TranslateOptions = TranslateOptions()
    priority: Priority = Priority.INTERACTIVE
    deadline: float | None = None
    caller: Hashable = None
    disable_cache: bool = False
