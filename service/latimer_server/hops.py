"""Takes guarded segments through one model so that what is protected comes out: hidden behind symbols, looked for,
tried with other symbols, and at last translated in parts around it.

Knows a loaded model and text; nothing of documents, routes or languages' names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from latimer_server.backends.base import LanguagePair
from latimer_server.models.loaded import LoadedGenerator
from latimer_server.pieces import Alternative, Output, PieceOptions, Usage, run_model
from latimer_server.scheduling import PieceWindow, off_loop, weigh_texts
from latimer_server.text.casing import Casing, find_casing, lower_text, style_text
from latimer_server.text.checks import Flag
from latimer_server.text.normalization import normalize_text
from latimer_server.text.protection.shields import (
    SYMBOLS,
    Guarded,
    Shielded,
    divide_at_spans,
    peel,
    shield,
    unshield,
)
from latimer_server.text.segmentation import (
    Document,
    Splitting,
    TextSpan,
    needs_translation,
    rebuild_text,
    segment_text,
)

_REPLACEMENT = "\ufffd"
# Among more symbols a model loses its way.
_MOST_SYMBOLS = 12


@dataclass(frozen=True)
class _Task:
    """A segment on its way through the model: what of it the model shall read, what stands before and behind that,
    and what is said of it already."""

    index: int
    before: str
    core: Guarded
    after: str
    casing: Casing
    target: str
    flags: tuple[Flag, ...] = ()

    def finish(self, output: Output, restored: Guarded, alternatives: tuple[Alternative, ...]) -> Output:
        """The output in the casing of its source, with what was taken off at the edges."""
        restored = style_text(restored, self.casing, self.target)
        moved = tuple(TextSpan(s.start + len(self.before), s.end + len(self.before)) for s in restored.spans)
        return replace(
            output,
            text=self.before + restored.text + self.after,
            flags=self.flags + output.flags,
            protected=moved,
            alternatives=tuple(replace(other, text=self.before + other.text + self.after) for other in alternatives),
        )


async def run_guarded(
    model: LoadedGenerator, segments: Sequence[Guarded], options: PieceOptions, window: PieceWindow, usage: Usage
) -> list[Output | Exception]:
    """For each segment, in order, its output with every protected span in it exactly once, or what went wrong with
    it alone. Raises as `run_model` does."""
    work = weigh_texts([segment.text for segment in segments])
    languages = options.languages
    waiting = await off_loop(work, lambda: [_prepare(model, languages, *pair) for pair in enumerate(segments)])
    results: list[Output | Exception] = [_keep(segment) for segment in segments]
    waiting = [task for task in waiting if task.core.needs_model()]
    for form in SYMBOLS:
        fits = [task for task in waiting if len(task.core.spans) <= _MOST_SYMBOLS]
        if not fits:
            break
        shielded = await off_loop(work, lambda form=form, fits=fits: [shield(task.core, form) for task in fits])  # type: ignore[misc]
        outputs = await run_model(model, [one.text for one in shielded], options, window, usage)
        for task, hidden, output in zip(fits, shielded, outputs, strict=True):
            restored = _restore(task, hidden, output)
            if restored is not None:
                results[task.index] = restored
                waiting.remove(task)
    divided = await _run_divided(model, waiting, options, window, usage)
    for task, result in zip(waiting, divided, strict=True):
        results[task.index] = result
    return results


def _keep(segment: Guarded) -> Output:
    """What comes of a segment that has nothing for a model."""
    kept = _replace_spans(segment)
    return Output(kept.text, protected=kept.spans)


def _prepare(model: LoadedGenerator, languages: LanguagePair, index: int, segment: Guarded) -> _Task:
    characters = model.characters
    known = segment
    if not characters.knows_all(segment.text, languages):
        known = normalize_text(segment, lambda character: characters.knows(character, languages))
    place, core = peel(known)
    # What was lost before it came to us comes out as it is, and is said.
    flags = (Flag.UNKNOWN_TOKENS,) if _REPLACEMENT in segment.text else ()
    casing = find_casing(core)
    lowered = lower_text(core, casing)
    return _Task(index, known.text[: place.start], lowered, known.text[place.end :], casing, languages.target, flags)


def _restore(task: _Task, hidden: Shielded, output: Output | Exception) -> Output | Exception | None:
    """The output with its spans in their places; None where one did not come out exactly once."""
    if isinstance(output, Exception):
        return output
    restored = unshield(output.text, hidden)
    if restored is None:
        return None
    others = [(unshield(other.text, hidden), other.avg_log_prob) for other in output.alternatives]
    styled = [(style_text(other, task.casing, task.target), score) for other, score in others if other]
    return task.finish(output, restored, tuple(Alternative(other.text, score) for other, score in styled))


async def _run_divided(
    model: LoadedGenerator, tasks: Sequence[_Task], options: PieceOptions, window: PieceWindow, usage: Usage
) -> list[Output | Exception]:
    """Segments of which the model loses a span whatever it is hidden behind: each part between the spans by itself."""
    if not tasks:
        return []
    documents = [_divide(task.core) for task in tasks]
    decoding = replace(options.decoding, hypothesis_count=1)
    texts = [text for document in documents for text in document.segments]
    outputs = iter(await run_model(model, texts, replace(options, decoding=decoding), window, usage))
    results: list[Output | Exception] = []
    for task, document in zip(tasks, documents, strict=True):
        mine = [next(outputs) for _ in document.spans]
        failed = next((output for output in mine if isinstance(output, Exception)), None)
        results.append(failed or _join(task, document, [output for output in mine if isinstance(output, Output)]))
    return results


def _divide(guarded: Guarded) -> Document:
    """The parts between the spans that there is something to translate in."""
    wanted: list[TextSpan] = []
    for part in divide_at_spans(guarded):
        text = guarded.text[part.start : part.end]
        if needs_translation(text):
            inner = segment_text(text, Splitting.NONE, "").spans
            wanted += [TextSpan(part.start + span.start, part.start + span.end) for span in inner]
    return Document(guarded.text, tuple(wanted))


def _join(task: _Task, document: Document, outputs: Sequence[Output]) -> Output:
    rebuilt = rebuild_text(document, [output.text for output in outputs])
    moved = tuple(_follow(document, rebuilt.spans, span) for span in task.core.spans)
    whole = Output(
        "",
        sum(output.log_prob for output in outputs),
        sum(output.token_count for output in outputs),
        tuple(flag for output in outputs for flag in output.flags),
    )
    restored = _replace_spans(Guarded(rebuilt.text, moved, task.core.replacements))
    return task.finish(whole, restored, ())


def _follow(document: Document, moved: Sequence[TextSpan], span: TextSpan) -> TextSpan:
    """Where a span between the parts stands once these were translated."""
    shift = 0
    for before, after in zip(document.spans, moved, strict=True):
        if before.end <= span.start:
            shift = after.end - before.end
    return TextSpan(span.start + shift, span.end + shift)


def _replace_spans(guarded: Guarded) -> Guarded:
    """The text with what is to come out in the place of its spans."""
    rebuilt = rebuild_text(Document(guarded.text, guarded.spans), guarded.wanted)
    return Guarded(rebuilt.text, rebuilt.spans)
