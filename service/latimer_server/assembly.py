"""Puts the outputs of segments back into their documents, and says of each what there is to say.

Knows nothing of how outputs are got.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from latimer_server.backends.base import DecodingOptions
from latimer_server.detection import Candidate
from latimer_server.errors import LatimerError
from latimer_server.models.routing import Route
from latimer_server.pieces import Alternative, Output, average_log_prob
from latimer_server.text.checks import Flag, merge_flags
from latimer_server.text.protection.glossary import Glossary
from latimer_server.text.protection.rules import ProtectionRules
from latimer_server.text.protection.shields import Guarded
from latimer_server.text.segmentation import Document, Rebuilt, Splitting, TextSpan, rebuild_text

_log = logging.getLogger(__name__)


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

    @property
    def returns_segments(self) -> bool:
        """Whether segments are returned: alternatives are theirs."""
        return self.include_segments or self.alternative_count > 0


@dataclass(frozen=True)
class SegmentTranslation:
    """A segment: where it stands in the content and in the translation, and what came out."""

    source_span: TextSpan
    target_span: TextSpan
    text: str
    avg_log_prob: float
    flags: tuple[Flag, ...]
    alternatives: tuple[Alternative, ...] = ()


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
class Job:
    """A content on its way into one target language. `segments`: its segments with what is protected in them.
    `outputs`: of those that need a model."""

    document: Document
    segments: tuple[Guarded, ...]
    route: Route
    wanted: tuple[int, ...]
    outputs: dict[int, Output | Exception]


class FlaggedAsError(LatimerError):
    """A flag was raised that the caller turned into an error."""

    reason = "FLAGGED"


def finish(job: Job | Translation, flags: tuple[Flag, ...], options: TranslateOptions) -> Translation:
    """The translation that a job came to, with the flags of its source, or the error that it met."""
    translation = job if isinstance(job, Translation) else _assemble(job, options)
    if translation.error:
        return translation
    merged = merge_flags([translation.flags, flags])
    raised = [flag.name for flag in merged if flag in options.error_flags]
    if raised:
        error = FlaggedAsError(f"raised {', '.join(raised)}, which error_flags makes an error")
        return Translation("", translation.target, error=error)
    return replace(translation, flags=merged)


def _assemble(job: Job, options: TranslateOptions) -> Translation:
    """The translated document, with its segments where they are wanted and what is said about the whole."""
    failed = [output for output in job.outputs.values() if isinstance(output, Exception)]
    if failed:
        return Translation("", job.route.target, error=_name_error(failed[0], job.route))
    done = {index: output for index, output in job.outputs.items() if isinstance(output, Output)}
    document = job.document
    texts = [done[i].text if i in done else segment for i, segment in enumerate(document.segments)]
    rebuilt = rebuild_text(document, texts, join=options.splitting is Splitting.SENTENCES_ACROSS_LINES)
    passing = (Flag.PASSTHROUGH,) if len(done) < len(texts) or not texts else ()
    return Translation(
        rebuilt.text,
        job.route.target,
        avg_log_prob=average_log_prob(done.values()),
        flags=merge_flags([passing, *(output.flags for output in done.values())]),
        segments=_describe_segments(document, rebuilt, done) if options.returns_segments else (),
        models=job.route.models,
    )


def _describe_segments(
    document: Document, rebuilt: Rebuilt, outputs: Mapping[int, Output]
) -> tuple[SegmentTranslation, ...]:
    segments = []
    for index, (source, target) in enumerate(zip(document.spans, rebuilt.spans, strict=True)):
        output = outputs.get(index) or Output(rebuilt.text[target.start : target.end], flags=(Flag.PASSTHROUGH,))
        segments.append(
            SegmentTranslation(
                source,
                target,
                output.text,
                output.avg_log_prob,
                merge_flags([output.flags]),
                _tell_apart(output),
            )
        )
    return tuple(segments)


def _tell_apart(output: Output) -> tuple[Alternative, ...]:
    """The alternatives, those left out that read as the output or a better alternative does: token ids may differ
    where the text does not."""
    first = {other.text: other for other in reversed(output.alternatives)}
    return tuple(other for other in output.alternatives if other.text != output.text and first[other.text] is other)


def _name_error(error: Exception, route: Route) -> LatimerError:
    """An item's error as its caller may see it; a defect of ours goes to the log."""
    if isinstance(error, LatimerError):
        return error
    _log.error("item failed", exc_info=error, extra={"models": "+".join(route.models)})
    return LatimerError("internal error")
