"""Reads translations of segments against their sources, has those that are wrong done again once in another way, and
says what is still wrong.

Knows text and how to have segments done again; nothing of models, documents or requests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from latimer_server.core.decoding import DecodingOptions
from latimer_server.core.flags import Flag
from latimer_server.scheduling import estimate_text_work, run_off_loop
from latimer_server.text.checks.output_checks import check_language, check_output
from latimer_server.text.protection.figures import protect_figures
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.translation.segment_output import SegmentOutput

# What keeps a model from saying the same over and over.
_NO_REPEAT_NGRAM = 3
_REPETITION_PENALTY = 1.3

Retranslate = Callable[[Sequence[ProtectedText], DecodingOptions], Awaitable[list[SegmentOutput | Exception]]]
# Whether a text is in a language; None where that can't be told.
IsWrittenIn = Callable[[str, str], bool | None]


@dataclass(frozen=True)
class OutputRepairer:
    """Reads the outputs of one pair of languages (BCP-47). `retranslate` takes segments through the models again."""

    source: str
    target: str
    decoding: DecodingOptions
    retranslate: Retranslate
    is_written_in: IsWrittenIn

    async def check_and_repair(
        self, segments: Sequence[ProtectedText], outputs: Sequence[SegmentOutput | Exception]
    ) -> list[SegmentOutput | Exception]:
        """The outputs, in order, with what is said of each; those that repeat themselves or have other numbers than
        their source done again where that helps."""
        checked = await self._check_all(segments, outputs)
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
        """Has the segments that raised `flag` done again; takes what no longer raises it, nor anything new."""
        results = list(outputs)
        wrong = [
            i for i, one in enumerate(outputs) if isinstance(one, SegmentOutput) and one.flags and flag in one.flags
        ]
        if not wrong:
            return results
        mine = [segments[index] for index in wrong]
        asked = await run_off_loop(
            estimate_text_work([one.text for one in mine]), lambda: [prepare(one) for one in mine]
        )
        again = await self.retranslate(asked, constrain())
        checked = await self._check_all(mine, list(map(drop_extra_spans, again, asked, mine)))
        for index, new in zip(wrong, checked, strict=True):
            old = outputs[index]
            if isinstance(new, SegmentOutput) and isinstance(old, SegmentOutput) and _is_better(new, old, flag):
                noted = (Flag.REPETITION_REPAIRED,) if flag is Flag.REPETITION else ()
                results[index] = replace(new, flags=new.flags + noted)
        return results

    async def _check_all(
        self, segments: Sequence[ProtectedText], outputs: Sequence[SegmentOutput | Exception]
    ) -> list[SegmentOutput | Exception]:
        work = estimate_text_work([segment.text for segment in segments])
        return await run_off_loop(
            work, lambda: [self._check(segment, output) for segment, output in zip(segments, outputs, strict=True)]
        )

    def _check(self, segment: ProtectedText, output: SegmentOutput | Exception) -> SegmentOutput | Exception:
        if isinstance(output, Exception):
            return output
        kept: list[str] = []
        if segment.spans:
            replaced = segment.replacements or (None,) * len(segment.spans)
            kept = [text for text, new in zip(segment.wanted, replaced, strict=True) if new is None]
        flags = check_output(
            segment.text, output.text, source_language=self.source, target_language=self.target, protected=kept
        )
        flags += check_language(output.text, self.target, self.is_written_in) + _check_spans(segment, output.text)
        return replace(output, flags=output.flags + flags) if flags else output

    def _constrain(self) -> DecodingOptions:
        asked = self.decoding
        return replace(
            asked,
            no_repeat_ngram_size=asked.no_repeat_ngram_size or _NO_REPEAT_NGRAM,
            repetition_penalty=asked.repetition_penalty or _REPETITION_PENALTY,
        )


def drop_extra_spans(
    output: SegmentOutput | Exception, asked: ProtectedText, wanted: ProtectedText
) -> SegmentOutput | Exception:
    """An output for which more was protected than is `wanted`, with the places of what is wanted only."""
    if isinstance(output, Exception) or asked is wanted:
        return output
    own = frozenset(wanted.spans)
    places = zip(asked.spans, output.protected, strict=True)
    return replace(output, protected=tuple(place for span, place in places if span in own))


def _is_better(new: SegmentOutput, old: SegmentOutput, flag: Flag) -> bool:
    return flag not in new.flags and not {mark for mark in new.flags if mark.is_warning} - set(old.flags)


def _check_spans(segment: ProtectedText, text: str) -> tuple[Flag, ...]:
    """What is protected came out as it is, and a term as its translation: so it was done, and so it is checked."""
    if not segment.spans:
        return ()
    replaced = segment.replacements or (None,) * len(segment.spans)
    counts = Counter(zip(segment.wanted, (one is None for one in replaced), strict=True))
    flags = {
        Flag.PLACEHOLDER_MISMATCH if is_kept else Flag.GLOSSARY_MISS
        for (wanted, is_kept), count in counts.items()
        if text.count(wanted) < count
    }
    return tuple(flags)
