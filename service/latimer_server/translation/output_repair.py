"""Output repair: checks outputs against their sources, retranslates faulty ones once, and flags remaining faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from latimer_server.core.decoding import DecodingOptions
from latimer_server.core.flags import Flag
from latimer_server.scheduling import TextWork, estimate_text_work
from latimer_server.text.checks.output_checks import check_language, check_output
from latimer_server.text.protection.figures import protect_figures
from latimer_server.text.protection.masking import ProtectedText, list_unprotected
from latimer_server.text.protection.spans import merge_spans
from latimer_server.translation.figure_repair import FigureRepairer
from latimer_server.translation.retranslation import Retranslate, adds_warning, drop_extra_spans
from latimer_server.translation.segment_output import SegmentOutput

# Decoding options for the second try of a segment whose output repeats itself, unless the request sets its own: no
# sequence of this many tokens may occur twice, and the penalty lowers the score of tokens that were used.
_NO_REPEAT_NGRAM = 3
_REPETITION_PENALTY = 1.3

# Takes a text and a language code (BCP-47). Returns True if the text is in that language, False if it is not, and None
# if that cannot be decided.
IsWrittenIn = Callable[[str, str], bool | None]


@dataclass(frozen=True)
class OutputRepairer:
    """The checks and repairs for one language pair (BCP-47).

    `decoding` holds the request's decoding options. `retranslate` takes segments through the models again. `aligns`:
    the models return word alignments if the decoding options request them.
    """

    source: str
    target: str
    decoding: DecodingOptions
    retranslate: Retranslate
    is_written_in: IsWrittenIn
    text: TextWork = TextWork()
    aligns: bool = False

    async def check_and_repair(
        self, segments: Sequence[ProtectedText], outputs: Sequence[SegmentOutput | Exception]
    ) -> list[SegmentOutput | Exception]:
        """Returns the outputs, in order, with the flags of their faults added. Errors stay unchanged.

        Figures are repaired by a `FigureRepairer`. Segments whose outputs have repetitions or still changed numbers are
        retranslated once; the second output is used only if it lacks that fault and adds no warning.
        """
        checked = await self._check_all(segments, outputs)
        figures = FigureRepairer(
            (self.source, self.target), self.decoding, self.retranslate, self._check, self.text, self.aligns
        )
        checked = await figures.repair(segments, outputs, checked)
        checked = await self._repair(segments, checked, Flag.REPETITION, self._constrain, lambda segment: segment)
        return await self._repair(
            segments,
            checked,
            Flag.NUMBER_MISMATCH,
            lambda: self.decoding,
            lambda segment: protect_figures(segment, self.source, self.target),
        )

    async def _repair(
        self,
        segments: Sequence[ProtectedText],
        outputs: Sequence[SegmentOutput | Exception],
        flag: Flag,
        constrain: Callable[[], DecodingOptions],
        prepare: Callable[[ProtectedText], ProtectedText],
    ) -> list[SegmentOutput | Exception]:
        """Retranslates the segments whose output has `flag`, and returns the outputs of all segments, in order.

        `prepare` changes a segment for the second try, and `constrain` returns the decoding options of that try. A new
        output is used if it has neither `flag` nor a warning that the old one did not have.
        """
        results = list(outputs)
        flagged = [
            index
            for index, output in enumerate(outputs)
            if isinstance(output, SegmentOutput) and output.flags and flag in output.flags
        ]
        if not flagged:
            return results
        originals = [segments[index] for index in flagged]
        prepared = await self.text.run(
            estimate_text_work([segment.text for segment in originals]),
            lambda: [prepare(segment) for segment in originals],
        )
        second_outputs = await self.retranslate(prepared, constrain())
        checked = await self._check_all(originals, list(map(drop_extra_spans, second_outputs, prepared, originals)))
        for index, new in zip(flagged, checked, strict=True):
            old = outputs[index]
            if isinstance(new, SegmentOutput) and isinstance(old, SegmentOutput) and _is_better(new, old, flag):
                repaired = (Flag.REPETITION_REPAIRED,) if flag is Flag.REPETITION else ()
                results[index] = replace(new, flags=new.flags + repaired)
        return results

    async def _check_all(
        self, segments: Sequence[ProtectedText], outputs: Sequence[SegmentOutput | Exception]
    ) -> list[SegmentOutput | Exception]:
        work = estimate_text_work([segment.text for segment in segments])
        return await self.text.run(
            work, lambda: [self._check(segment, output) for segment, output in zip(segments, outputs, strict=True)]
        )

    def _check(self, segment: ProtectedText, output: SegmentOutput | Exception) -> SegmentOutput | Exception:
        if isinstance(output, Exception):
            return output
        flags = check_output(
            segment.text,
            output.text,
            source_language=self.source,
            target_language=self.target,
            protected=segment.list_kept(),
        )
        flags += check_language(_remove_spans(output), self.target, self.is_written_in)
        flags += _check_spans(segment, output.text)
        return replace(output, flags=output.flags + flags) if flags else output

    def _constrain(self) -> DecodingOptions:
        decoding = self.decoding
        return replace(
            decoding,
            no_repeat_ngram_size=decoding.no_repeat_ngram_size or _NO_REPEAT_NGRAM,
            repetition_penalty=decoding.repetition_penalty or _REPETITION_PENALTY,
        )


def _remove_spans(output: SegmentOutput) -> str:
    """Returns the text of an output with a space for each protected span, since their language is the source's."""
    if not output.protected:
        return output.text
    guarded = ProtectedText(output.text, merge_spans(output.protected))
    return " ".join(output.text[part.start : part.end] for part in list_unprotected(guarded))


def _is_better(new: SegmentOutput, old: SegmentOutput, flag: Flag) -> bool:
    return flag not in new.flags and not adds_warning(new, old)


def _check_spans(segment: ProtectedText, text: str) -> tuple[Flag, ...]:
    """Returns the flags for protected texts and glossary terms that the output lacks; () if there are none.

    PLACEHOLDER_MISMATCH: a protected text occurs less often than in the segment. GLOSSARY_MISS: the translation of a
    term occurs less often than the term.
    """
    if not segment.spans:
        return ()
    replacements = segment.replacements or (None,) * len(segment.spans)
    counts = Counter(zip(segment.wanted, (new is None for new in replacements), strict=True))
    flags = {
        Flag.PLACEHOLDER_MISMATCH if is_kept else Flag.GLOSSARY_MISS
        for (expected, is_kept), count in counts.items()
        if text.count(expected) < count
    }
    return tuple(flags)
