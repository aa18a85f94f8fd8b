"""Protected run: takes segments with protected spans through one model so that every span appears in the output.

Masks the spans and looks for the masks in the output. If one is missing, tries other forms of masks. At last translates
the parts before, between and after the spans by themselves, and puts the spans back between them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from latimer_server.core.decoding import LanguagePair
from latimer_server.core.flags import Flag
from latimer_server.core.languages import primary_subtag
from latimer_server.core.spans import TextSpan
from latimer_server.core.usage import Usage
from latimer_server.models.pool.loaded_model import LoadedGenerator
from latimer_server.scheduling import InflightLimit, estimate_text_work
from latimer_server.text.alignment import Link, Move, map_span, split_link
from latimer_server.text.casing import Casing, style_text
from latimer_server.text.dashes import collect_dashes, has_double_hyphen, restore_dashes
from latimer_server.text.hyphenation import JOINT, join_words
from latimer_server.text.normalization import (
    Normalized,
    begins_with_small_capital,
    capitalize_first,
    find_quotes,
    lower_capitals,
    normalize_text,
    restore_quotes,
)
from latimer_server.text.protection.mask_forms import MASK_FORMS
from latimer_server.text.protection.masking import (
    MaskedText,
    ProtectedText,
    UnmaskedText,
    list_unprotected,
    mask_spans,
    show_spans,
    strip_edge_signs,
    unmask_spans,
)
from latimer_server.text.readings import Reading
from latimer_server.text.segmentation import Document, Splitting, needs_translation, rebuild_text, segment_text
from latimer_server.translation.model_run import ModelRunOptions, run_model
from latimer_server.translation.segment_output import Alternative, SegmentOutput

# A segment that contains U+FFFD REPLACEMENT CHARACTER gets the UNKNOWN_TOKENS flag, because the character marks text
# that was damaged before it reached the server.
_REPLACEMENT_CHARACTER = "\ufffd"
_PENDING = SegmentOutput("")
# A segment with more protected spans is not masked, because models lose masks when there are many. Its unprotected
# parts are translated by themselves.
_MAX_MASKS = 12


@dataclass(frozen=True)
class _SegmentTask:
    """A segment that is prepared for the model.

    `index` is its index among the segments of one `run_protected` call. `original` is its text before preparation.
    `normalized` is the text with the casing and the characters that suit the model. `core` is the part of the
    normalized text that the model reads, which leaves out protected signs at the edges such as emoji; `place` is its
    span in the normalized text. `target` is the target language. `shown` is the core with its spans as they are; None
    if the model cannot copy them.
    """

    index: int
    original: str
    normalized: Normalized
    place: TextSpan
    core: ProtectedText
    casing: Casing
    target: str
    flags: tuple[Flag, ...] = ()
    shown: MaskedText | None = None

    def finish_output(
        self,
        output: SegmentOutput,
        restored: UnmaskedText,
        sources: Sequence[Move],
        alternatives: Sequence[tuple[UnmaskedText, float]] = (),
    ) -> SegmentOutput:
        """Returns the output of the segment: with the casing of its source and the text around the core.

        `output` is the output of the model for the core, and `restored` its text with the masks replaced by the
        protected spans. `sources` are the moves from the model input to the core; `restored.moves` are those from the
        model output. `alternatives` are further outputs, restored in the same way, each with its mean log-probability.
        Links are dropped if the casing changes the length of the text.
        """
        dashed, moves = self._restore_dashes(restored.guarded)
        styled = self._style(dashed)
        links = output.links
        if links is not None:
            same_length = len(styled.text) == len(dashed.text)
            parts = (part for link in links for part in split_link(link, sources, restored.moves))
            targets = (restored.moves, moves)
            links = tuple(self._restore_link(part, sources, targets) for part in parts) if same_length else None
        return SegmentOutput(
            self._surround(styled.text),
            output.log_prob,
            output.token_count,
            self.flags + output.flags,
            tuple(
                Alternative(self._surround(self._style(self._restore_dashes(other.guarded)[0]).text), score)
                for other, score in alternatives
            ),
            tuple(self._locate(span, styled) for span in self.normalized.spans),
            links,
        )

    def _restore_dashes(self, restored: ProtectedText) -> tuple[ProtectedText, tuple[Move, ...]]:
        """Returns an output with the dashes of the source, and the replaced parts."""
        moves = self.normalized.moves
        if not moves:
            return restored, ()
        dashes = collect_dashes(self.original, self.normalized.guarded, moves, self.place)
        return restore_dashes(restored, dashes)

    def _style(self, restored: ProtectedText) -> ProtectedText:
        if restored.text == self.core.text and not self.normalized.moves:
            # The model changed nothing, so the original casing is kept too.
            return ProtectedText(self.original[self.place.start : self.place.end], restored.spans)
        quotes = find_quotes(self.original, self.place, self.normalized) if self.normalized.moves else ""
        styled = style_text(restore_quotes(restored, quotes), self.casing, self.target)
        if self.normalized.moves and begins_with_small_capital(self.original, self.normalized):
            return capitalize_first(styled)
        return styled

    def _surround(self, text: str) -> str:
        whole = self.normalized.guarded.text
        return whole[: self.place.start] + text + whole[self.place.end :]

    def _locate(self, span: TextSpan, styled: ProtectedText) -> TextSpan:
        """Converts a protected span of the normalized text into its span in the output of the segment."""
        if span.end <= self.place.start:
            return span
        if span.start >= self.place.end:
            shift = len(styled.text) - (self.place.end - self.place.start)
            return TextSpan(span.start + shift, span.end + shift)
        inner = TextSpan(span.start - self.place.start, span.end - self.place.start)
        number = bisect_right(self.core.spans, inner.start, key=lambda core_span: core_span.start) - 1
        old, new = self.core.spans[number], styled.spans[number]
        if self.core.replacements and self.core.replacements[number] is not None:
            inner = TextSpan(0, new.end - new.start)
        else:
            inner = TextSpan(inner.start - old.start, inner.end - old.start)
        start = self.place.start + new.start
        return TextSpan(start + inner.start, start + inner.end)

    def _restore_link(self, link: Link, sources: Sequence[Move], targets: Sequence[Sequence[Move]]) -> Link:
        """Converts a link between model input and model output into one between the segment and its output.

        `targets`: the moves from the model output to the segment's output, one sequence for each step.
        """
        source = _shift(map_span(sources, link.source), self.place.start)
        target = link.target
        for moves in targets:
            target = map_span(moves, target)
        return Link(map_span(self.normalized.moves, source), _shift(target, self.place.start), link.score)


async def run_protected(
    model: LoadedGenerator,
    segments: Sequence[ProtectedText],
    readings: Sequence[Reading],
    options: ModelRunOptions,
    inflight: InflightLimit,
    usage: Usage,
) -> list[SegmentOutput | Exception]:
    """Returns for each segment, in order, its output with every protected span exactly once, or the segment's error.

    `readings`: the capitals with which the model reads each segment. Raises what `run_model` raises.
    """
    work = estimate_text_work([segment.text for segment in segments])
    languages = options.languages
    tasks = await options.text.run(
        work,
        lambda: [
            _prepare(model, languages, index, *pair) for index, pair in enumerate(zip(segments, readings, strict=True))
        ],
    )
    need_model = await options.text.run(work, lambda: [task.core.needs_model() for task in tasks])
    results: list[SegmentOutput | Exception] = [
        # `_PENDING` is replaced when the output of the segment arrives.
        _PENDING if needs else _keep(segment)
        for segment, needs in zip(segments, need_model, strict=True)
    ]
    pending = [task for task, needs in zip(tasks, need_model, strict=True) if needs]
    shown = {task.index: task.shown for task in pending if task.shown is not None}
    # Names that the model did not copy get the first form of masks in the second turn, as the other spans did before.
    for turn, form in enumerate((MASK_FORMS[0], *MASK_FORMS)):
        maskable = [
            task for task in pending if len(task.core.spans) <= _MAX_MASKS and (turn != 1 or task.index in shown)
        ]
        if not maskable:
            continue
        masked = [
            shown[task.index] if not turn and task.index in shown else mask_spans(task.core, form) for task in maskable
        ]
        outputs = await run_model(model, [text.text for text in masked], options, inflight, usage)
        restored = await options.text.run(work, lambda args=(maskable, masked, outputs): _restore_all(*args))  # type: ignore[misc]
        results = [restored.get(index) or result for index, result in enumerate(results)]
        pending = [task for task in pending if task.index not in restored]
    divided = await _run_divided(model, pending, options, inflight, usage)
    for task, result in zip(pending, divided, strict=True):
        results[task.index] = result
    return results


def _keep(segment: ProtectedText) -> SegmentOutput:
    """Returns the output of a segment without letters outside its spans: its own text, with glossary terms replaced."""
    kept = _replace_spans(segment)
    return SegmentOutput(kept.text, protected=kept.spans)


def _prepare(
    model: LoadedGenerator, languages: LanguagePair, index: int, segment: ProtectedText, reading: Reading
) -> _SegmentTask:
    coverage = model.coverage
    # Casing comes before normalization, because vocabularies cover more small letters than capitals.
    lowered = reading.text
    if JOINT in lowered.text:
        joined = join_words(lowered.text, lambda word: len(model.backend.token_starts(word)))
        lowered = replace(lowered, text=joined)
    # English words with such capitals are names of other languages, which stay as they are.
    respells_capitals = primary_subtag(languages.source) != "en"

    def is_known(character: str) -> bool:
        return coverage.covers(character, languages)

    uncovered = not coverage.covers_all(lowered.text, languages)
    if uncovered and respells_capitals:
        lowered = lower_capitals(lowered, is_known)
    normalized = Normalized(lowered, (), segment.spans)
    if uncovered or JOINT in segment.text or has_double_hyphen(lowered.text):
        normalized = normalize_text(lowered, is_known, respells_capitals=respells_capitals)
    place, core = strip_edge_signs(normalized.guarded)
    flags = (Flag.UNKNOWN_TOKENS,) if _REPLACEMENT_CHARACTER in segment.text else ()
    shown = None
    if core.spans and reading.casing is Casing.NORMAL and coverage.covers_all("".join(core.wanted), languages):
        shown = show_spans(core)
    return _SegmentTask(index, segment.text, normalized, place, core, reading.casing, languages.target, flags, shown)


def _restore_all(
    tasks: Sequence[_SegmentTask], masked: Sequence[MaskedText], outputs: Sequence[SegmentOutput | Exception]
) -> dict[int, SegmentOutput | Exception]:
    """Puts the protected spans back into model outputs in the place of their masks.

    Returns the finished output, or the model's error, by the index of the segment. Leaves out segments in whose output
    a mask does not occur exactly once.
    """
    results: dict[int, SegmentOutput | Exception] = {}
    for task, masked_text, output in zip(tasks, masked, outputs, strict=True):
        if isinstance(output, Exception):
            results[task.index] = output
        elif (restored := unmask_spans(output.text, masked_text)) is not None:
            alternatives = [
                (unmask_spans(other.text, masked_text), other.avg_log_prob) for other in output.alternatives
            ]
            complete = [(other, score) for other, score in alternatives if other is not None]
            results[task.index] = task.finish_output(output, restored, masked_text.moves, complete)
    return results


async def _run_divided(
    model: LoadedGenerator,
    tasks: Sequence[_SegmentTask],
    options: ModelRunOptions,
    inflight: InflightLimit,
    usage: Usage,
) -> list[SegmentOutput | Exception]:
    """Translates the parts before, between and after the protected spans by themselves, and joins them with the spans.

    Used for segments whose masks the model loses or that have too many spans. Returns for each task, in order, the
    output of its segment or its first error.
    """
    if not tasks:
        return []
    work = estimate_text_work([task.core.text for task in tasks])
    documents = await options.text.run(work, lambda: [_divide(task.core) for task in tasks])
    decoding = replace(options.decoding, hypothesis_count=1, alignment=False)
    texts = [text for document in documents for text in document.segments]
    outputs = iter(await run_model(model, texts, replace(options, decoding=decoding), inflight, usage))
    return await options.text.run(
        work, lambda: [_join_all(*pair, outputs) for pair in zip(tasks, documents, strict=True)]
    )


def _divide(core: ProtectedText) -> Document:
    """Divides a text into the parts before, between and after its protected spans.

    Returns a document whose segments are the parts that contain a letter, without white space at their edges.
    """
    spans: list[TextSpan] = []
    for part in list_unprotected(core):
        text = core.text[part.start : part.end]
        if needs_translation(text):
            spans += [_shift(span, part.start) for span in segment_text(text, Splitting.NONE, "").spans]
    return Document(core.text, tuple(spans))


def _join_all(
    task: _SegmentTask, document: Document, outputs: Iterator[SegmentOutput | Exception]
) -> SegmentOutput | Exception:
    """Joins the next outputs, one for each part of the document. Returns the first error instead if there is one."""
    parts = [next(outputs) for _ in document.spans]
    error = next((part for part in parts if isinstance(part, Exception)), None)
    return error or _join(task, document, [part for part in parts if isinstance(part, SegmentOutput)])


def _join(task: _SegmentTask, document: Document, outputs: Sequence[SegmentOutput]) -> SegmentOutput:
    rebuilt = rebuild_text(document, [output.text for output in outputs])
    moves = list(zip(document.spans, rebuilt.spans, strict=True))
    moved = tuple(map_span(moves, span) for span in task.core.spans)
    split = (Flag.SEGMENT_SPLIT,) if len(outputs) > 1 else ()
    joined = SegmentOutput(
        "",
        sum(output.log_prob for output in outputs),
        sum(output.token_count for output in outputs),
        # The segment is not cached as a whole: its masked form was computed first.
        (*split, *(flag for output in outputs for flag in output.flags if flag is not Flag.CACHED)),
    )
    return task.finish_output(
        joined, UnmaskedText(_replace_spans(ProtectedText(rebuilt.text, moved, task.core.replacements))), ()
    )


def _replace_spans(protected: ProtectedText) -> ProtectedText:
    """Returns the text with its protected spans replaced by their required output."""
    rebuilt = rebuild_text(Document(protected.text, protected.spans), protected.wanted)
    return ProtectedText(rebuilt.text, rebuilt.spans)


def _shift(span: TextSpan, offset: int) -> TextSpan:
    return TextSpan(span.start + offset, span.end + offset)
