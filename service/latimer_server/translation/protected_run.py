"""Takes guarded segments through one model so that what is protected comes out: hidden behind symbols, looked for,
tried with other symbols, and at last translated in parts around it.

Knows a loaded model and text; nothing of documents, routes or languages' names.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

from latimer_server.core.decoding import LanguagePair
from latimer_server.core.flags import Flag
from latimer_server.core.spans import TextSpan
from latimer_server.core.usage import Usage
from latimer_server.models.pool.loaded_model import LoadedGenerator
from latimer_server.scheduling import InflightLimit, estimate_text_work, run_off_loop
from latimer_server.text.alignment import Link, Move, map_span, split_link
from latimer_server.text.casing import Casing, find_casing, lower_text, style_text
from latimer_server.text.normalization import Normalized, find_quotes, normalize_text, restore_quotes
from latimer_server.text.protection.masking import (
    MASK_FORMS,
    MaskedText,
    ProtectedText,
    UnmaskedText,
    list_unprotected,
    mask_spans,
    strip_edge_signs,
    unmask_spans,
)
from latimer_server.text.segmentation import Document, Splitting, needs_translation, rebuild_text, segment_text
from latimer_server.translation.model_run import ModelRunOptions, run_model
from latimer_server.translation.segment_output import Alternative, SegmentOutput

_REPLACEMENT = "\ufffd"
_PENDING = SegmentOutput("")
# Among more symbols a model loses its way.
_MOST_SYMBOLS = 12


@dataclass(frozen=True)
class _SegmentTask:
    """A segment on its way through the model. `written`: as it came; `known`: as the model can read it, in the casing
    that it reads best; `place`: what of that it shall read, which is `core`."""

    index: int
    written: str
    known: Normalized
    place: TextSpan
    core: ProtectedText
    casing: Casing
    target: str
    flags: tuple[Flag, ...] = ()

    def finish_translation(
        self,
        output: SegmentOutput,
        restored: UnmaskedText,
        sources: Sequence[Move],
        alternatives: Sequence[tuple[UnmaskedText, float]] = (),
    ) -> SegmentOutput:
        """The output in the casing of its source, with what was taken off at the edges. `sources`: the moves from what
        the model read to the core; `restored` has those from what it wrote."""
        styled = self._style(restored.guarded)
        links = output.links
        if links is not None:
            kept = len(styled.text) == len(restored.guarded.text)
            parts = (part for link in links for part in split_link(link, sources, restored.moves))
            links = tuple(self._return(part, sources, restored.moves) for part in parts) if kept else None
        return SegmentOutput(
            self._surround(styled.text),
            output.log_prob,
            output.token_count,
            self.flags + output.flags,
            tuple(Alternative(self._surround(self._style(other.guarded).text), score) for other, score in alternatives),
            tuple(self._locate(span, styled) for span in self.known.spans),
            links,
        )

    def _style(self, restored: ProtectedText) -> ProtectedText:
        if restored.text == self.core.text and not self.known.moves:
            # The model changed nothing, and neither do we.
            return ProtectedText(self.written[self.place.start : self.place.end], restored.spans)
        quotes = find_quotes(self.written, self.place, self.known) if self.known.moves else ""
        return style_text(restore_quotes(restored, quotes), self.casing, self.target)

    def _surround(self, text: str) -> str:
        whole = self.known.guarded.text
        return whole[: self.place.start] + text + whole[self.place.end :]

    def _locate(self, span: TextSpan, styled: ProtectedText) -> TextSpan:
        """Where a protected span of the segment stands in the output."""
        if span.end <= self.place.start:
            return span
        if span.start >= self.place.end:
            shift = len(styled.text) - (self.place.end - self.place.start)
            return TextSpan(span.start + shift, span.end + shift)
        inner = TextSpan(span.start - self.place.start, span.end - self.place.start)
        number = bisect_right(self.core.spans, inner.start, key=lambda one: one.start) - 1
        old, new = self.core.spans[number], styled.spans[number]
        if self.core.replacements and self.core.replacements[number] is not None:
            inner = TextSpan(0, new.end - new.start)
        else:
            inner = TextSpan(inner.start - old.start, inner.end - old.start)
        start = self.place.start + new.start
        return TextSpan(start + inner.start, start + inner.end)

    def _return(self, link: Link, sources: Sequence[Move], targets: Sequence[Move]) -> Link:
        """A link between what the model read and wrote, as one between the segment and its output."""
        source = _shift(map_span(sources, link.source), self.place.start)
        return Link(
            map_span(self.known.moves, source), _shift(map_span(targets, link.target), self.place.start), link.score
        )


async def run_protected(
    model: LoadedGenerator,
    segments: Sequence[ProtectedText],
    options: ModelRunOptions,
    inflight: InflightLimit,
    usage: Usage,
) -> list[SegmentOutput | Exception]:
    """For each segment, in order, its output with every protected span in it exactly once, or what went wrong with
    it alone. Raises as `run_model` does."""
    work = estimate_text_work([segment.text for segment in segments])
    languages = options.languages
    waiting = await run_off_loop(work, lambda: [_prepare(model, languages, *pair) for pair in enumerate(segments)])
    needy = [task.core.needs_model() for task in waiting]
    results: list[SegmentOutput | Exception] = [
        # What becomes of the others is put in its place.
        _PENDING if needs else _keep(segment)
        for segment, needs in zip(segments, needy, strict=True)
    ]
    waiting = [task for task, needs in zip(waiting, needy, strict=True) if needs]
    for form in MASK_FORMS:
        fits = [task for task in waiting if len(task.core.spans) <= _MOST_SYMBOLS]
        if not fits:
            break
        shielded = [mask_spans(task.core, form) for task in fits]
        outputs = await run_model(model, [one.text for one in shielded], options, inflight, usage)
        restored = await run_off_loop(work, lambda all_of=(fits, shielded, outputs): _restore_all(*all_of))  # type: ignore[misc]
        results = [restored.get(index) or result for index, result in enumerate(results)]
        waiting = [task for task in waiting if task.index not in restored]
    divided = await _run_divided(model, waiting, options, inflight, usage)
    for task, result in zip(waiting, divided, strict=True):
        results[task.index] = result
    return results


def _keep(segment: ProtectedText) -> SegmentOutput:
    """What comes of a segment that has nothing for a model."""
    kept = _replace_spans(segment)
    return SegmentOutput(kept.text, protected=kept.spans)


def _prepare(model: LoadedGenerator, languages: LanguagePair, index: int, segment: ProtectedText) -> _SegmentTask:
    coverage = model.coverage
    casing = find_casing(segment)
    # First: vocabularies have more small letters than capitals.
    lowered = lower_text(segment, casing)
    known = Normalized(lowered, (), segment.spans)
    if not coverage.covers_all(lowered.text, languages):
        known = normalize_text(lowered, lambda character: coverage.covers(character, languages))
    place, core = strip_edge_signs(known.guarded)
    # What was lost before it came to us comes out as it is, and is said.
    flags = (Flag.UNKNOWN_TOKENS,) if _REPLACEMENT in segment.text else ()
    return _SegmentTask(index, segment.text, known, place, core, casing, languages.target, flags)


def _restore_all(
    tasks: Sequence[_SegmentTask], shielded: Sequence[MaskedText], outputs: Sequence[SegmentOutput | Exception]
) -> dict[int, SegmentOutput | Exception]:
    """The outputs with their spans in their places, by the segment; those left out where one did not come out
    exactly once."""
    found: dict[int, SegmentOutput | Exception] = {}
    for task, hidden, output in zip(tasks, shielded, outputs, strict=True):
        if isinstance(output, Exception):
            found[task.index] = output
        elif (restored := unmask_spans(output.text, hidden)) is not None:
            others = [(unmask_spans(other.text, hidden), other.avg_log_prob) for other in output.alternatives]
            whole = [(other, score) for other, score in others if other is not None]
            found[task.index] = task.finish_translation(output, restored, hidden.moves, whole)
    return found


async def _run_divided(
    model: LoadedGenerator,
    tasks: Sequence[_SegmentTask],
    options: ModelRunOptions,
    inflight: InflightLimit,
    usage: Usage,
) -> list[SegmentOutput | Exception]:
    """Segments of which the model loses a span whatever it is hidden behind: each part between the spans by itself."""
    if not tasks:
        return []
    documents = [_divide(task.core) for task in tasks]
    decoding = replace(options.decoding, hypothesis_count=1, alignment=False)
    texts = [text for document in documents for text in document.segments]
    outputs = iter(await run_model(model, texts, replace(options, decoding=decoding), inflight, usage))
    results: list[SegmentOutput | Exception] = []
    for task, document in zip(tasks, documents, strict=True):
        mine = [next(outputs) for _ in document.spans]
        failed = next((output for output in mine if isinstance(output, Exception)), None)
        results.append(
            failed or _join(task, document, [output for output in mine if isinstance(output, SegmentOutput)])
        )
    return results


def _divide(guarded: ProtectedText) -> Document:
    """The parts between the spans that there is something to translate in."""
    wanted: list[TextSpan] = []
    for part in list_unprotected(guarded):
        text = guarded.text[part.start : part.end]
        if needs_translation(text):
            wanted += [_shift(span, part.start) for span in segment_text(text, Splitting.NONE, "").spans]
    return Document(guarded.text, tuple(wanted))


def _join(task: _SegmentTask, document: Document, outputs: Sequence[SegmentOutput]) -> SegmentOutput:
    rebuilt = rebuild_text(document, [output.text for output in outputs])
    moves = list(zip(document.spans, rebuilt.spans, strict=True))
    moved = tuple(map_span(moves, span) for span in task.core.spans)
    whole = SegmentOutput(
        "",
        sum(output.log_prob for output in outputs),
        sum(output.token_count for output in outputs),
        # Shown as cached would be what was computed too: this segment was tried whole before.
        tuple(flag for output in outputs for flag in output.flags if flag is not Flag.CACHED),
    )
    return task.finish_translation(
        whole, UnmaskedText(_replace_spans(ProtectedText(rebuilt.text, moved, task.core.replacements))), ()
    )


def _replace_spans(guarded: ProtectedText) -> ProtectedText:
    """The text with what is to come out in the place of its spans."""
    rebuilt = rebuild_text(Document(guarded.text, guarded.spans), guarded.wanted)
    return ProtectedText(rebuilt.text, rebuilt.spans)


def _shift(span: TextSpan, offset: int) -> TextSpan:
    return TextSpan(span.start + offset, span.end + offset)
