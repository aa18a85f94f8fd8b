"""Output repair: checks outputs against their sources, retranslates faulty ones, and flags remaining faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from latimer_server.core.decoding import DecodingOptions
from latimer_server.core.flags import Flag
from latimer_server.core.usage import Usage
from latimer_server.scheduling import TextWork, estimate_text_work
from latimer_server.text.cells import find_cells, keeps_cells
from latimer_server.text.checks.output_checks import check_language, check_output, check_words
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.segmentation import Document
from latimer_server.text.sentence_pairs import find_pair, keeps_pair
from latimer_server.translation.division import extract_clauses, join_clauses
from latimer_server.translation.figure_repair import FigureRepairer
from latimer_server.translation.form_repair import lacks_brackets, put_brackets, repair_forms, write_known
from latimer_server.translation.quality_ladder import QualityLadder
from latimer_server.translation.retranslation import Retranslate, adds_warning
from latimer_server.translation.segment_output import SegmentOutput

# Takes a text and a language code (BCP-47). Returns True if the text is in that language, False if it is not, and None
# if that cannot be decided.
IsWrittenIn = Callable[[str, str], bool | None]


@dataclass(frozen=True)
class OutputRepairer:
    """The checks and repairs for one language pair (BCP-47).

    `decoding` holds the request's decoding options. `retranslate` takes segments through the models again. `aligns`:
    the models return word alignments if the decoding options request them. `has_shortlist`: a model writes tokens of a
    shortlist only, unless the decoding options request the whole vocabulary. `usage` is added to.
    """

    source: str
    target: str
    decoding: DecodingOptions
    retranslate: Retranslate
    is_written_in: IsWrittenIn
    usage: Usage
    text: TextWork = TextWork()
    aligns: bool = False
    has_shortlist: bool = False

    async def check_and_repair(
        self, segments: Sequence[ProtectedText], outputs: Sequence[SegmentOutput | Exception]
    ) -> list[SegmentOutput | Exception]:
        """Returns the outputs, in order, with the flags of their faults added. Errors stay unchanged.

        Two sentences of a segment that became one are translated apart, and so are cells of which one was lost. Figures
        are repaired by a `FigureRepairer`, other faults by a `QualityLadder`.
        """
        outputs = await self._divide_pairs(segments, outputs)
        checked = await self.check_all(segments, outputs)
        figures = FigureRepairer(
            (self.source, self.target), self.decoding, self.retranslate, self._check, self.text, self.aligns
        )
        checked = await self._restore_brackets(segments, outputs, checked)
        checked, retried = await figures.repair(segments, outputs, checked)

        async def check(
            segments: Sequence[ProtectedText], outputs: Sequence[SegmentOutput | Exception]
        ) -> list[SegmentOutput | Exception]:
            results = await self.check_all(segments, outputs)
            await figures.rewrite(segments, outputs, results)
            return results

        ladder = QualityLadder(
            self.source,
            self.target,
            self.decoding,
            self.retranslate,
            check,
            self.usage,
            self.text,
            has_shortlist=self.has_shortlist,
        )
        return await ladder.climb(segments, checked, retried)

    async def _restore_brackets(
        self,
        segments: Sequence[ProtectedText],
        outputs: Sequence[SegmentOutput | Exception],
        checked: Sequence[SegmentOutput | Exception],
    ) -> list[SegmentOutput | Exception]:
        """Returns the checked outputs, with the brackets that models dropped put back by their alignment.

        `outputs`: the same before the checks. The alignment is requested for these segments only; the cache has it.
        """
        if not self.aligns:
            return list(checked)
        work = estimate_text_work([segment.text for segment in segments])
        lost = await self.text.run(work, lambda: _find_lost_brackets(segments, checked))
        if not lost:
            return list(checked)
        aligned = [outputs[index] for index in lost]
        if not self.decoding.alignment:
            decoding = replace(self.decoding, alignment=True)
            aligned = await self.retranslate([segments[index] for index in lost], decoding)
        return await self.text.run(work, lambda: self._put_brackets(segments, outputs, checked, lost, aligned))

    def _put_brackets(
        self,
        segments: Sequence[ProtectedText],
        outputs: Sequence[SegmentOutput | Exception],
        checked: Sequence[SegmentOutput | Exception],
        lost: Sequence[int],
        aligned: Sequence[SegmentOutput | Exception],
    ) -> list[SegmentOutput | Exception]:
        """Returns the checked outputs, those in `lost` with their brackets. `aligned`: outputs of these, with links."""
        results = list(checked)
        for index, output in zip(lost, aligned, strict=True):
            old = checked[index]
            before = outputs[index]
            if not (isinstance(output, SegmentOutput) and isinstance(before, SegmentOutput)):
                continue
            # A segment whose parts were translated apart has no alignment of its own.
            if isinstance(old, SegmentOutput) and output.text == before.text:
                new = self._check(segments[index], put_brackets(segments[index], output))
                if isinstance(new, SegmentOutput) and not adds_warning(new, old):
                    results[index] = new if self.decoding.alignment else replace(new, links=None)
        return results

    async def _divide_pairs(
        self, segments: Sequence[ProtectedText], outputs: Sequence[SegmentOutput | Exception]
    ) -> list[SegmentOutput | Exception]:
        """Returns the outputs, with those of joined sentences or cells replaced that are not as many of them."""
        work = estimate_text_work([segment.text for segment in segments])
        lost = await self.text.run(work, lambda: self._find_lost_pairs(segments, outputs))
        results = list(outputs)
        if lost:
            parts = [part for index, pair in lost.items() for part in extract_clauses(segments[index], pair)]
            found = await self.retranslate(parts, self.decoding)
            translated = iter([self._write_known(*pair) for pair in zip(parts, found, strict=True)])
            for index, pair in lost.items():
                joined = join_clauses(pair, list(islice(translated, len(pair.spans))), self.target)
                if isinstance(joined, SegmentOutput):
                    results[index] = joined
            self.usage.retried_segments += len(lost)
        return results

    def _write_known(self, part: ProtectedText, output: SegmentOutput | Exception) -> SegmentOutput | Exception:
        """Returns the known translation of a cell, such as the name of a person; its output if there is none."""
        known = None if isinstance(output, Exception) else write_known(part, output, (self.source, self.target))
        return output if known is None else known

    def _find_lost_pairs(
        self, segments: Sequence[ProtectedText], outputs: Sequence[SegmentOutput | Exception]
    ) -> dict[int, Document]:
        """Returns the joined sentences or cells of each segment whose output lacks them, by the segment's index."""
        found = {}
        for index, (segment, output) in enumerate(zip(segments, outputs, strict=True)):
            if isinstance(output, Exception):
                continue
            pair = find_pair(segment.text, self.source)
            cells = find_cells(segment.text, segment.spans)
            if cells is not None and not keeps_cells(segment.text, output.text):
                found[index] = cells
            elif pair is not None and not keeps_pair(pair, output.text, self.target):
                found[index] = pair
        return found

    async def check_all(
        self, segments: Sequence[ProtectedText], outputs: Sequence[SegmentOutput | Exception]
    ) -> list[SegmentOutput | Exception]:
        """Returns the outputs, in order, with the flags of their faults added. Errors stay unchanged."""
        work = estimate_text_work([segment.text for segment in segments])
        return await self.text.run(
            work, lambda: [self._check(segment, output) for segment, output in zip(segments, outputs, strict=True)]
        )

    def _check(self, segment: ProtectedText, output: SegmentOutput | Exception) -> SegmentOutput | Exception:
        if isinstance(output, Exception):
            return output
        languages = self.source, self.target
        known = write_known(segment, output, languages)
        if known is not None:
            return known
        output = repair_forms(segment, output, languages)
        flags = check_output(
            segment.text,
            output.text,
            source_language=self.source,
            target_language=self.target,
            protected=segment.list_kept(),
        )
        unprotected = output.get_unprotected_text()
        flags += check_language(unprotected, self.target, self.is_written_in)
        flags += check_words(segment.text, unprotected, self.source, self.target)
        flags += _check_spans(segment, output.text)
        return replace(output, flags=output.flags + flags) if flags else output


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


def _find_lost_brackets(segments: Sequence[ProtectedText], checked: Sequence[SegmentOutput | Exception]) -> list[int]:
    """Returns the indices of the outputs with fewer brackets than their segments."""
    return [
        index
        for index, (segment, output) in enumerate(zip(segments, checked, strict=True))
        if isinstance(output, SegmentOutput) and lacks_brackets(segment, output)
    ]
