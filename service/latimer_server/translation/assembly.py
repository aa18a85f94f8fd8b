"""Assembly: puts the outputs of segments back into their contents and collects flags, scores and spans."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

from latimer_server.core.abandonment import require_wanted
from latimer_server.core.errors import FlaggedAsError, LatimerError
from latimer_server.core.flags import Flag, merge_flags
from latimer_server.core.spans import TextSpan
from latimer_server.models.routing import Route
from latimer_server.text.alignment import Link, map_span
from latimer_server.text.figures.cells import convert_cells
from latimer_server.text.markup import OBJECT, PlacedBlock, TextFormat, find_attributes, render, write_value
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.rewriting import Edit, apply_edits
from latimer_server.text.segmentation import Rebuilt, Splitting, rebuild_text
from latimer_server.translation.block_assembly import place_block, place_links
from latimer_server.translation.requests import SegmentTranslation, TranslateOptions, Translation
from latimer_server.translation.segment_form import finish_output
from latimer_server.translation.segment_output import Alternative, SegmentOutput, average_log_prob
from latimer_server.translation.segmenting import ContentPart, ParsedContent

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ContentJob:
    """The work on one content for one target language.

    `segments` are the segments of all parts, in order. `to_translate` are the indices of those that need a model.
    `outputs` is empty at first, and maps each of these indices to an output or an error once the models have run.
    `characters` are the code points of the different segments that need a model.
    """

    parsed: ParsedContent
    parts: tuple[ContentPart, ...]
    route: Route
    segments: Sequence[ProtectedText]
    to_translate: tuple[int, ...]
    outputs: dict[int, SegmentOutput | Exception]
    characters: int

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(len(part.segments) for part in self.parts))

    def find_part(self, index: int) -> tuple[ContentPart, int]:
        """Returns the part of the segment at an index, and the index of the segment in it."""
        number = bisect_right(self._ends, index)
        return self.parts[number], index - (self._ends[number - 1] if number else 0)


def finish_translation(
    job: ContentJob | Translation, flags: tuple[Flag, ...], options: TranslateOptions
) -> Translation:
    """Returns the translation of a finished job, with `flags` of its source language added.

    The translation carries an error instead of text if a segment failed or a flag is one of `options.error_flags`. A
    `job` that is a translation already is treated in the same way.
    """
    translation = job if isinstance(job, Translation) else _assemble(job, options)
    if translation.error:
        return translation
    merged = merge_flags([translation.flags, flags])
    raised = [flag.name for flag in merged if flag in options.error_flags]
    if raised:
        error = FlaggedAsError(f"the translation raised {', '.join(raised)}, which error_flags turns into an error")
        return Translation("", translation.target, error=error)
    return translation if merged == translation.flags else replace(translation, flags=merged)


def _assemble(job: ContentJob, options: TranslateOptions) -> Translation:
    """Builds the translated content, with its segments if the options request them, or the first error."""
    errors = [output for output in job.outputs.values() if isinstance(output, Exception)]
    if errors:
        return Translation("", job.route.target, error=_convert_error(errors[0], job.route))
    translated = {index: output for index, output in job.outputs.items() if isinstance(output, SegmentOutput)}
    first, assembled = 0, []
    for part in job.parts:
        require_wanted()
        outputs = [translated.get(index) for index in range(first, first + len(part.segments))]
        assembled.append(_build(part, outputs, options, (job.route.source, job.route.target)))
        first += len(part.segments)
    passthrough = (Flag.PASSTHROUGH,) if len(translated) < first or not first else ()
    repaired = (Flag.MARKUP_REPAIRED,) if any(part.placed and part.placed.repaired for part in assembled) else ()
    attributes = [part for part in assembled if part.part.attribute is not None]
    body = assembled[: len(assembled) - len(attributes)]
    require_wanted()
    if job.parsed.markup is None:
        text, starts = body[0].rebuilt.text, [0]
    else:
        rendered = render(job.parsed.markup, [part.placed.text for part in body if part.placed])
        text, starts = rendered.text, [span.start for span in rendered.spans]
    described: list[SegmentTranslation] = []
    if options.returns_segments:
        for part_of_body, start in zip(body, starts, strict=True):
            require_wanted()
            described += part_of_body.describe(start, options)
    segments: Sequence[SegmentTranslation] = described
    require_wanted()
    if attributes:
        values = {
            part.part.attribute.written: write_value(part.part.attribute, part.rebuilt.text)
            for part in attributes
            if part.part.attribute is not None
        }
        text, segments = _write_attributes(text, values, segments, options)
    return Translation(
        text,
        job.route.target,
        avg_log_prob=average_log_prob(translated.values()),
        flags=merge_flags([passthrough, repaired, *(output.flags for part in assembled for output in part.outputs)]),
        segments=tuple(segments),
        models=job.route.models,
    )


def _write_attributes(
    text: str, values: Mapping[str, str], segments: Sequence[SegmentTranslation], options: TranslateOptions
) -> tuple[str, Sequence[SegmentTranslation]]:
    """Returns a translated document with its attributes translated, and its segments moved.

    `values`: the translation of each value, both as they are written, with quotation marks.
    """
    text_format = options.text_format or TextFormat.PLAIN
    edits = [
        Edit(attribute.span.start, attribute.span.end, values[attribute.written])
        for attribute in find_attributes(text, text_format, options.ignore_tags)
        if attribute.written in values
    ]
    written, moves = apply_edits(text, edits)
    back = [(old, new) for new, old in moves]
    moved = []
    for segment in segments:
        span = map_span(back, segment.target_span)
        links = tuple(Link(link.source, map_span(back, link.target), link.score) for link in segment.alignment)
        moved.append(replace(segment, target_span=span, text=written[span.start : span.end], alignment=links))
    return written, moved


@dataclass(frozen=True)
class _AssembledPart:
    """A part with the outputs of its segments. `placed` is its translation with the markup; None for plain text."""

    part: ContentPart
    outputs: tuple[SegmentOutput, ...]
    rebuilt: Rebuilt
    placed: PlacedBlock | None

    def describe(self, start: int, options: TranslateOptions) -> list[SegmentTranslation]:
        """Returns the segments of the part for the response.

        `start` is the position of the part in the translated content, in code points.
        """
        segments = []
        rows = zip(self.part.document.spans, self.rebuilt.spans, self.outputs, self.part.segments, strict=True)
        for source, target, output, segment in rows:
            links = place_links(segment, output, source, target) or () if options.include_alignment else ()
            segments.append(
                SegmentTranslation(
                    self._locate_source(source),
                    self._locate_target(target, start),
                    self._extract_text(target, output),
                    output.avg_log_prob,
                    merge_flags([output.flags]),
                    _list_alternatives(output, plain=self.placed is None),
                    tuple(
                        Link(self._locate_source(link.source), self._locate_target(link.target, start), link.score)
                        for link in links
                    ),
                )
            )
        return segments

    def _extract_text(self, target: TextSpan, output: SegmentOutput) -> str:
        """Returns the text of a segment as it stands in the translation, including tags."""
        if self.placed is None:
            return output.text
        inner = self.placed.locate(target)
        return self.placed.text[inner.start : inner.end]

    def _locate_source(self, span: TextSpan) -> TextSpan:
        return self.part.block.locate(span) if self.part.block else span

    def _locate_target(self, span: TextSpan, start: int) -> TextSpan:
        inner = self.placed.locate(span) if self.placed else span
        return TextSpan(start + inner.start, start + inner.end)


def _build(
    part: ContentPart, outputs: Sequence[SegmentOutput | None], options: TranslateOptions, languages: tuple[str, str]
) -> _AssembledPart:
    texts = part.document.segments
    cells = _convert_cells(part, outputs, languages)
    keeps_lines = part.is_plain and options.splitting is not Splitting.SENTENCES_ACROSS_LINES
    finished = tuple(
        _finish(output, segment, text, part, keeps_lines=keeps_lines)
        if output
        else SegmentOutput(cells.get(index, text), flags=() if index in cells else (Flag.PASSTHROUGH,))
        for index, (output, segment, text) in enumerate(zip(outputs, part.segments, texts, strict=True))
    )
    join = options.splitting is Splitting.SENTENCES_ACROSS_LINES and part.is_plain
    rebuilt = rebuild_text(part.document, [output.text for output in finished], join=join)
    if part.block is None:
        return _AssembledPart(part, finished, rebuilt, None)
    placed = place_block(part, part.block, outputs, finished, rebuilt)
    return _AssembledPart(part, finished, rebuilt, placed)


def _convert_cells(
    part: ContentPart, outputs: Sequence[SegmentOutput | None], languages: tuple[str, str]
) -> dict[int, str]:
    """Returns the figures that stand alone in segments without an output, in the notation of the target language."""
    alone = [index for index, output in enumerate(outputs) if output is None and not part.segments[index].list_kept()]
    return convert_cells(part.document.segments, alone, languages) if alone else {}


def _finish(
    output: SegmentOutput, segment: ProtectedText, text: str, part: ContentPart, *, keeps_lines: bool
) -> SegmentOutput:
    """Returns the output of a segment in the form of its source, see `segment_form`. `text`: the segment as written.

    An unchanged segment in markup keeps its line breaks, which have no meaning there.
    """
    if part.is_plain or not segment.moves or output.text != segment.text or segment.replacements:
        return finish_output(text, segment, output, keeps_lines=keeps_lines)
    return replace(output, text=text, protected=tuple(map_span(segment.moves, span) for span in output.protected))


def _list_alternatives(output: SegmentOutput, *, plain: bool) -> tuple[Alternative, ...]:
    """Returns the alternatives whose text differs from the output and from better alternatives.

    Different token ids may decode to the same text. In markup (`plain` False) alternatives carry no tags, and those
    that contain an object are left out.
    """
    others = [other for other in output.alternatives if plain or OBJECT not in other.text]
    first = {other.text: other for other in reversed(others)}
    return tuple(other for other in others if other.text != output.text and first[other.text] is other)


def _convert_error(error: Exception, route: Route) -> LatimerError:
    """Returns the error that the caller gets. An unexpected error is logged and becomes an internal error."""
    if isinstance(error, LatimerError):
        return error
    _log.error("item failed", exc_info=error, extra={"models": "+".join(route.models)})
    return LatimerError("internal error")
