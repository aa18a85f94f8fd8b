"""Puts the outputs of segments back into their documents, and says of each what there is to say.

Knows nothing of how outputs are got.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from latimer_server.core.errors import FlaggedAsError, LatimerError
from latimer_server.core.flags import Flag, merge_flags
from latimer_server.core.spans import TextSpan
from latimer_server.models.routing import Route
from latimer_server.text.alignment import Link, map_span, shift_link
from latimer_server.text.markup import OBJECT, Block, PlacedBlock, place_marks, render
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.segmentation import Rebuilt, Splitting, rebuild_text
from latimer_server.translation.requests import SegmentTranslation, TranslateOptions, Translation
from latimer_server.translation.segment_output import Alternative, SegmentOutput, average_log_prob
from latimer_server.translation.segmenting import ContentPart, ParsedContent

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ContentJob:
    """A content on its way into one target language. `segments`: those of all parts, in order; `wanted`: which of
    them need a model; `outputs`: what became of those."""

    parsed: ParsedContent
    parts: tuple[ContentPart, ...]
    route: Route
    segments: Sequence[ProtectedText]
    wanted: tuple[int, ...]
    outputs: dict[int, SegmentOutput | Exception]


def finish_translation(
    job: ContentJob | Translation, flags: tuple[Flag, ...], options: TranslateOptions
) -> Translation:
    """The translation that a job came to, with the flags of its source, or the error that it met."""
    translation = job if isinstance(job, Translation) else _assemble(job, options)
    if translation.error:
        return translation
    merged = merge_flags([translation.flags, flags])
    raised = [flag.name for flag in merged if flag in options.error_flags]
    if raised:
        error = FlaggedAsError(f"raised {', '.join(raised)}, which error_flags makes an error")
        return Translation("", translation.target, error=error)
    return translation if merged == translation.flags else replace(translation, flags=merged)


def _assemble(job: ContentJob, options: TranslateOptions) -> Translation:
    """The translated content, with its segments where they are wanted and what is said about the whole."""
    failed = [output for output in job.outputs.values() if isinstance(output, Exception)]
    if failed:
        return Translation("", job.route.target, error=_name_error(failed[0], job.route))
    done = {index: output for index, output in job.outputs.items() if isinstance(output, SegmentOutput)}
    first, built = 0, []
    for part in job.parts:
        outputs = [done.get(index) for index in range(first, first + len(part.segments))]
        built.append(_build(part, outputs, options))
        first += len(part.segments)
    passing = (Flag.PASSTHROUGH,) if len(done) < first or not first else ()
    repaired = (Flag.MARKUP_REPAIRED,) if any(one.placed and one.placed.repaired for one in built) else ()
    if job.parsed.markup is None:
        text, starts = built[0].rebuilt.text, [0]
    else:
        rendered = render(job.parsed.markup, [one.placed.text for one in built if one.placed])
        text, starts = rendered.text, [span.start for span in rendered.spans]
    segments = (
        tuple(segment for one, start in zip(built, starts, strict=True) for segment in one.describe(start, options))
        if options.returns_segments
        else ()
    )
    return Translation(
        text,
        job.route.target,
        avg_log_prob=average_log_prob(done.values()),
        flags=merge_flags([passing, repaired, *(output.flags for output in done.values())]),
        segments=segments,
        models=job.route.models,
    )


@dataclass(frozen=True)
class _AssembledPart:
    """A part with the outputs of its segments in their places. `placed`: with its markup, where it has any."""

    part: ContentPart
    outputs: tuple[SegmentOutput, ...]
    rebuilt: Rebuilt
    placed: PlacedBlock | None

    def describe(self, start: int, options: TranslateOptions) -> list[SegmentTranslation]:
        """The segments of the part, which stands at `start` in the translation."""
        segments = []
        places = zip(self.part.document.spans, self.rebuilt.spans, self.outputs, self.part.segments, strict=True)
        for source, target, output, segment in places:
            links = _place_links(segment, output, source, target) or () if options.include_alignment else ()
            segments.append(
                SegmentTranslation(
                    self._locate_source(source),
                    self._locate_target(target, start),
                    self._write(target, output),
                    output.avg_log_prob,
                    merge_flags([output.flags]),
                    _tell_apart(output, plain=self.placed is None),
                    tuple(
                        Link(self._locate_source(link.source), self._locate_target(link.target, start), link.score)
                        for link in links
                    ),
                )
            )
        return segments

    def _write(self, target: TextSpan, output: SegmentOutput) -> str:
        """A segment as it stands in the translation, tags and all."""
        if self.placed is None:
            return output.text
        inner = self.placed.locate(target)
        return self.placed.text[inner.start : inner.end]

    def _locate_source(self, span: TextSpan) -> TextSpan:
        return self.part.block.locate(span) if self.part.block else span

    def _locate_target(self, span: TextSpan, start: int) -> TextSpan:
        inner = self.placed.locate(span) if self.placed else span
        return TextSpan(start + inner.start, start + inner.end)


def _build(part: ContentPart, outputs: Sequence[SegmentOutput | None], options: TranslateOptions) -> _AssembledPart:
    texts = part.document.segments
    finished = tuple(
        _keep_lines(output, segment, text, part.block) if output else SegmentOutput(text, flags=(Flag.PASSTHROUGH,))
        for output, segment, text in zip(outputs, part.segments, texts, strict=True)
    )
    join = options.splitting is Splitting.SENTENCES_ACROSS_LINES and part.block is None
    rebuilt = rebuild_text(part.document, [output.text for output in finished], join=join)
    if part.block is None:
        return _AssembledPart(part, finished, rebuilt, None)
    atoms = list(_find_atoms(part, outputs, finished, rebuilt))
    placed = place_marks(part.block, rebuilt.text, atoms, _link_block(part, outputs, finished, rebuilt))
    return _AssembledPart(part, finished, rebuilt, placed)


def _keep_lines(output: SegmentOutput, segment: ProtectedText, text: str, block: Block | None) -> SegmentOutput:
    """In markup, where line breaks say nothing, a segment that a model did not change as it stood."""
    if block is None or not segment.moves or output.text != segment.text or segment.replacements:
        return output
    return replace(output, text=text, protected=tuple(map_span(segment.moves, span) for span in output.protected))


def _find_atoms(
    part: ContentPart, outputs: Sequence[SegmentOutput | None], finished: Sequence[SegmentOutput], rebuilt: Rebuilt
) -> Iterator[TextSpan]:
    """Where the objects of a block stand in its translation, in the order of the block."""
    before = after = 0
    document = part.document
    for index, (source, target) in enumerate(zip(document.spans, rebuilt.spans, strict=True)):
        yield from _find_objects(document.text, before, source.start, after - before)
        segment, output = part.segments[index], finished[index]
        if outputs[index] is None:
            yield from _find_objects(document.text, source.start, source.end, target.start - source.start)
        else:
            for old, new in zip(segment.spans, output.protected, strict=True):
                yield from _find_objects(segment.text, old.start, old.end, target.start + new.start - old.start)
        before, after = source.end, target.end
    yield from _find_objects(document.text, before, len(document.text), after - before)


def _find_objects(text: str, start: int, end: int, shift: int) -> Iterator[TextSpan]:
    position = text.find(OBJECT, start, end)
    while position >= 0:
        yield TextSpan(position + shift, position + shift + 1)
        position = text.find(OBJECT, position + 1, end)


def _link_block(
    part: ContentPart, outputs: Sequence[SegmentOutput | None], finished: Sequence[SegmentOutput], rebuilt: Rebuilt
) -> list[Link] | None:
    """The links of a block's segments; None where no model has any. A segment without is linked as a whole."""
    if not any(output and output.links is not None for output in outputs) and any(outputs):
        return None
    links: list[Link] = []
    for index, (source, target) in enumerate(zip(part.document.spans, rebuilt.spans, strict=True)):
        mine = _place_links(part.segments[index], finished[index], source, target) if outputs[index] else None
        links += [Link(source, target, 1.0)] if mine is None else mine
    return links


def _place_links(
    segment: ProtectedText, output: SegmentOutput, source: TextSpan, target: TextSpan
) -> list[Link] | None:
    """The links of a segment as those between the texts that it and its output stand in."""
    if output.links is None:
        return None
    linked = [replace(link, source=map_span(segment.moves, link.source)) for link in output.links]
    return [shift_link(link, source.start, target.start) for link in linked]


def _tell_apart(output: SegmentOutput, *, plain: bool) -> tuple[Alternative, ...]:
    """The alternatives, those left out that read as the output or a better alternative does: token ids may differ
    where the text does not. Where there is markup they are its words only, those with marks within left out."""
    others = [other for other in output.alternatives if plain or OBJECT not in other.text]
    first = {other.text: other for other in reversed(others)}
    return tuple(other for other in others if other.text != output.text and first[other.text] is other)


def _name_error(error: Exception, route: Route) -> LatimerError:
    """An item's error as its caller may see it; a defect of ours goes to the log."""
    if isinstance(error, LatimerError):
        return error
    _log.error("item failed", exc_info=error, extra={"models": "+".join(route.models)})
    return LatimerError("internal error")
