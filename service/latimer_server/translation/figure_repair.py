"""Figure repair: corrects figures and currency signs in outputs, by the alignment of the model where it has one.

A figure that cannot be corrected in the output is protected, and its segment translated again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from latimer_server.core.decoding import DecodingOptions
from latimer_server.core.flags import Flag
from latimer_server.core.spans import TextSpan
from latimer_server.scheduling import TextWork, estimate_text_work
from latimer_server.text.alignment import Link, map_span
from latimer_server.text.checks.numbers import has_number_mismatch
from latimer_server.text.checks.numerals import find_decimal_mark
from latimer_server.text.checks.spelled import has_wrong_spelling
from latimer_server.text.figures.currency import has_currency_sign
from latimer_server.text.figures.notation import has_foreign_figure
from latimer_server.text.figures.repair import FigureRepair, repair_figures
from latimer_server.text.protection.figures import protect_figures
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.protection.spelled import protect_spelled
from latimer_server.translation.retranslation import Retranslate, adds_warning, drop_extra_spans
from latimer_server.translation.segment_output import Alternative, SegmentOutput

_DIGIT = re.compile(r"\d")


@dataclass(frozen=True)
class RepairedOutput:
    """An output with its figures repaired as far as possible.

    `unsettled`: the spans of the figures of the segment that it still lacks. `agrees`: whether it lacks none.
    """

    output: SegmentOutput
    unsettled: tuple[TextSpan, ...]
    agrees: bool


@dataclass(frozen=True)
class FigureRepairer:
    """The repair of figures for one language pair (BCP-47).

    `decoding` holds the request's decoding options. `retranslate` takes segments through the models again. `check`
    returns an output with the flags of its faults added. `aligns`: the models return word alignments if the decoding
    options request them.
    """

    languages: tuple[str, str]
    decoding: DecodingOptions
    retranslate: Retranslate
    check: Callable[[ProtectedText, SegmentOutput | Exception], SegmentOutput | Exception]
    text: TextWork
    aligns: bool

    async def repair(
        self,
        segments: Sequence[ProtectedText],
        outputs: Sequence[SegmentOutput | Exception],
        checked: Sequence[SegmentOutput | Exception],
    ) -> tuple[list[SegmentOutput | Exception], frozenset[int]]:
        """Returns the checked outputs, in order, with their figures and currency signs repaired, and the indices of the
        segments that were translated again.

        Repairs each output as it is, then by the alignment of a second run if the models have one, and at last protects
        the figures that are still wrong. `outputs`: the outputs without the flags of the checks.
        """
        results = list(checked)
        wrong = await self.rewrite(segments, outputs, results)
        retried = frozenset(wrong)
        if wrong and self.aligns and not self.decoding.alignment:
            decoding = replace(self.decoding, alignment=True)
            aligned = await self.retranslate([segments[index] for index in wrong], decoding)
            wrong = await self._repair_each(segments, dict(zip(wrong, aligned, strict=True)), results)
        if wrong:
            hidden = [protect_figures(segments[index], *self.languages, spans) for index, spans in wrong.items()]
            second = await self.retranslate(hidden, self.decoding)
            shown = map(drop_extra_spans, second, hidden, [segments[index] for index in wrong])
            await self._repair_each(segments, dict(zip(wrong, shown, strict=True)), results)
        spelled = await self._write_spelled(segments, results)
        return results, retried | spelled

    async def _write_spelled(
        self, segments: Sequence[ProtectedText], results: list[SegmentOutput | Exception]
    ) -> frozenset[int]:
        """Translates segments again whose output has wrong words for a figure, and puts those that became right into
        `results`. The words are protected, with those of the target language in their place.

        Returns the indices of these segments.
        """
        hidden: dict[int, ProtectedText] = {}
        for index, output in enumerate(results):
            if isinstance(output, SegmentOutput) and Flag.NUMBER_MISMATCH in output.flags:
                segment = segments[index]
                if has_wrong_spelling(segment.text, output.text, *self.languages):
                    protected = protect_spelled(segment, *self.languages)
                    if protected.spans != segment.spans:
                        hidden[index] = protected
        if hidden:
            second = await self.retranslate(list(hidden.values()), self.decoding)
            shown = map(drop_extra_spans, second, hidden.values(), [segments[index] for index in hidden])
            await self._repair_each(segments, dict(zip(hidden, shown, strict=True)), results)
        return frozenset(hidden)

    async def rewrite(
        self,
        segments: Sequence[ProtectedText],
        outputs: Sequence[SegmentOutput | Exception],
        results: list[SegmentOutput | Exception],
    ) -> dict[int, tuple[TextSpan, ...]]:
        """Repairs the figures of outputs as they are, without the models, and puts those that became right, also those
        that became right in part, into `results`, which holds the checked outputs.

        Returns for each output with a wrong figure its index, and the spans of these figures in the segment.
        """
        marks = find_decimal_mark(self.languages[0]), find_decimal_mark(self.languages[1])
        foreign = marks[1] if set(marks) == {".", ","} else ""
        suspects = {
            index: outputs[index]
            for index, output in enumerate(results)
            if isinstance(output, SegmentOutput) and _needs_repair(segments[index], output, foreign)
        }
        return await self._repair_each(segments, suspects, results, partly=True) if suspects else {}

    async def _repair_each(
        self,
        segments: Sequence[ProtectedText],
        outputs: Mapping[int, SegmentOutput | Exception],
        results: list[SegmentOutput | Exception],
        *,
        partly: bool = False,
    ) -> dict[int, tuple[TextSpan, ...]]:
        """Repairs outputs, given by the index of their segment, and puts those that became right into `results`.

        `partly`: also those that became right in part. Outputs with a new warning are left out. Returns for each of the
        others the spans of the figures that are wrong, ascending; () if they are unknown.
        """
        found = {index: output for index, output in outputs.items() if isinstance(output, SegmentOutput)}

        def repair(index: int) -> tuple[RepairedOutput, SegmentOutput | Exception]:
            new = repair_output(segments[index], found[index], self.languages)
            return new, self.check(segments[index], new.output)

        work = estimate_text_work([segments[index].text for index in found])
        repaired = await self.text.run(work, lambda: {index: repair(index) for index in found})
        wrong = {}
        for index, (new, checked) in repaired.items():
            old = results[index]
            if not new.agrees:
                wrong[index] = new.unsettled
            if not (isinstance(checked, SegmentOutput) and isinstance(old, SegmentOutput)):
                continue
            if (new.agrees or partly) and not adds_warning(checked, old):
                results[index] = checked
        return wrong


def _needs_repair(segment: ProtectedText, checked: SegmentOutput, mark: str) -> bool:
    """Returns True if the figures of a checked output may differ from those of its segment.

    That is an output with the flag NUMBER_MISMATCH, one of a segment with an amount of money, since the checks do not
    compare currencies, and one with a figure in the notation of the source. `mark`: the decimal mark of the target
    language, "" if the source has the same.
    """
    if Flag.NUMBER_MISMATCH in checked.flags:
        return True
    if not _DIGIT.search(segment.text):
        return False
    return has_currency_sign(segment.text) or has_foreign_figure(checked.text, mark)


def _skip_spaces(text: str, span: TextSpan) -> TextSpan:
    """Returns a span without the white space that it begins with, which may belong to a repaired currency sign."""
    start = span.start
    while start < span.end - 1 and text[start].isspace():
        start += 1
    return TextSpan(start, span.end)


def repair_output(segment: ProtectedText, output: SegmentOutput, languages: tuple[str, str]) -> RepairedOutput:
    """Returns the output of a segment, and its alternatives, with the figures that they got wrong repaired.

    `languages`: BCP-47 codes of segment and output. Does not check anything but the figures.
    """
    kept = segment.list_kept()

    def agree(text: str) -> bool:
        return not has_number_mismatch(segment.text, text, *languages, kept)

    def repair(text: str, protected: Sequence[TextSpan], links: Sequence[Link] | None) -> FigureRepair:
        return repair_figures(
            segment.text,
            text,
            languages=languages,
            protected=(segment.spans, protected),
            links=links,
            agree=agree,
        )

    found = repair(output.text, output.protected, output.links)
    alternatives = tuple(
        Alternative(repair(other.text, (), None).text, other.avg_log_prob) for other in output.alternatives
    )
    if not found.moves and alternatives == output.alternatives:
        return RepairedOutput(output, found.unsettled, found.agrees)
    links = output.links and tuple(
        replace(link, target=map_span(found.moves, _skip_spaces(output.text, link.target))) for link in output.links
    )
    repaired = replace(
        output,
        text=found.text,
        alternatives=alternatives,
        protected=tuple(map_span(found.moves, span) for span in output.protected),
        links=links,
    )
    return RepairedOutput(repaired, found.unsettled, found.agrees)
