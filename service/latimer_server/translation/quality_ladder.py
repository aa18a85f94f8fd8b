"""Quality ladder: takes segments whose outputs have faults through the models again, in one other way after the other.

A rung is a way to translate a segment again. Each rung gets the segments whose best output so far has a fault that the
rung may mend; its output replaces that one if it has fewer faults. Decision 0067 measures the order.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from latimer_server.core.decoding import DecodingOptions
from latimer_server.core.errors import DeadlineExceeded
from latimer_server.core.flags import Flag
from latimer_server.core.usage import Usage
from latimer_server.scheduling import TextWork, estimate_text_work
from latimer_server.text.checks.repetition import repeats_phrases
from latimer_server.text.checks.unknown_words import has_invented_word
from latimer_server.text.protection.figures import protect_figures
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.translation.division import divide_clauses, extract_clauses, join_clauses
from latimer_server.translation.retranslation import Retranslate, drop_extra_spans
from latimer_server.translation.segment_output import SegmentOutput

# No sequence of this many tokens may occur twice in a constrained output, and the penalty lowers the score of tokens
# that were used, unless the request sets its own.
_NO_REPEAT_NGRAM = 3
_REPETITION_PENALTY = 1.3
# The hypotheses of a beam are this many, or two more than the request asks for.
_BEAM, _WIDER = 4, 2
# How often a part whose output has a fault is divided again.
_DIVISIONS = 5
# Segments with at least this many code points are long, and their parts with at least that many: a fault of theirs is
# one of some part.
_LONG, _LONG_PART = 400, 120
# The share of the time until the deadline that a rung may take.
_RUNG_SHARE = 0.7

_Result = SegmentOutput | Exception
# Adds the flags of faults to the outputs of segments.
Check = Callable[
    [Sequence[ProtectedText], Sequence[SegmentOutput | Exception]], Awaitable[list[SegmentOutput | Exception]]
]
_REPETITION = frozenset({Flag.REPETITION})
_NUMBERS = frozenset({Flag.NUMBER_MISMATCH})
_WORDS = frozenset({Flag.UNKNOWN_WORD})
_SEARCH = frozenset({Flag.REPETITION, Flag.LENGTH_RATIO, Flag.MISSING_TEXT})
# A copied text or one in a wrong language is in a language that the model does not expect. Its parts are no better.
_PARTS = frozenset({Flag.OUTPUT_TRUNCATED, Flag.REPETITION, Flag.LENGTH_RATIO, Flag.NUMBER_MISMATCH, Flag.MISSING_TEXT})
_ANY_FAULT = frozenset(
    {
        Flag.OUTPUT_TRUNCATED,
        Flag.REPETITION,
        Flag.COPIED_SOURCE,
        Flag.WRONG_OUTPUT_LANGUAGE,
        Flag.LENGTH_RATIO,
        Flag.NUMBER_MISMATCH,
        Flag.MISSING_TEXT,
        Flag.UNKNOWN_WORD,
    }
)


def shorten_deadline(deadline: float | None) -> float | None:
    """Returns the deadline of a rung: earlier than that of its request, so that earlier outputs are answered in time.

    Both are readings of the monotonic clock in seconds.
    """
    if deadline is None:
        return None
    now = time.monotonic()
    return now + _RUNG_SHARE * max(0.0, deadline - now)


@dataclass(frozen=True)
class QualityLadder:
    """The ladder for one language pair (BCP-47).

    `decoding`: the request's decoding options. `retranslate`: takes segments through the models again; an output is
    `DeadlineExceeded` if there was no time. `check`: adds flags. `usage` is added to. `has_shortlist`: a
    model writes tokens of a shortlist only, unless `DecodingOptions.whole_vocabulary` is set. `rungs` are tried in
    their order.
    """

    source: str
    target: str
    decoding: DecodingOptions
    retranslate: Retranslate
    check: Check
    usage: Usage
    text: TextWork = TextWork()
    has_shortlist: bool = False
    rungs: Sequence[Rung] = field(default_factory=lambda: RUNGS)

    async def climb(
        self,
        segments: Sequence[ProtectedText],
        outputs: Sequence[SegmentOutput | Exception],
        retried: frozenset[int] = frozenset(),
    ) -> list[SegmentOutput | Exception]:
        """Returns the best outputs of all segments, in order. `outputs`: those so far, with the flags of their faults.

        What still has faults keeps its flags. The ladder ends early if the deadline is near. `retried`: the indices of
        the segments that were translated again before.
        """
        best = list(outputs)
        tried = set(retried)
        for rung in self.rungs:
            indices = [
                index
                for index, output in enumerate(best)
                if rung.flags & list_faults(output, self.decoding) and rung.suits(self, segments[index], output)
            ]
            if not indices:
                continue
            found = await rung.attempt(self, [segments[index] for index in indices])
            least_divided = _LONG if rung.divides else sys.maxsize
            for index, new in zip(indices, found, strict=True):
                if new is not None:
                    tried.add(index)
                    doubted = rung.doubt(best[index], new)
                    best[index] = self._choose(segments[index], best[index], doubted, least_divided)
            if any(isinstance(new, DeadlineExceeded) for new in found):
                break
        self.usage.retried_segments += len(tried)
        return best

    def _choose(
        self,
        segment: ProtectedText,
        old: SegmentOutput | Exception,
        new: SegmentOutput | Exception,
        least_divided: int,
    ) -> SegmentOutput | Exception:
        """Returns the output with fewer faults; the old one if both have the same.

        With the same faults the output of a divided segment is better if the segment has at least `least_divided` code
        points, because it has these faults in some parts only.
        """
        if not isinstance(old, SegmentOutput) or not isinstance(new, SegmentOutput):
            return old
        faults, left = list_faults(old, self.decoding), list_faults(new, self.decoding)
        if left - faults or _count_warnings(new) > _count_warnings(old):
            return old
        if left == faults and len(segment.text) < least_divided:
            return old
        repaired = (Flag.REPETITION_REPAIRED,) if Flag.REPETITION in faults - left else ()
        return replace(new, flags=new.flags + repaired)

    async def run_prepared(
        self,
        segments: Sequence[ProtectedText],
        decoding: DecodingOptions,
        prepare: Callable[[ProtectedText], ProtectedText] = lambda segment: segment,
    ) -> list[SegmentOutput | Exception | None]:
        """Returns the outputs of segments that `prepare` changed, with the flags of their faults."""
        work = estimate_text_work([segment.text for segment in segments])
        prepared = await self.text.run(work, lambda: [prepare(segment) for segment in segments])
        outputs = await self.retranslate(prepared, decoding)
        return [*await self.check(segments, list(map(drop_extra_spans, outputs, prepared, segments)))]

    async def run_divided(
        self, segments: Sequence[ProtectedText], depth: int = _DIVISIONS
    ) -> list[SegmentOutput | Exception | None]:
        """Returns the outputs of segments whose parts are translated by themselves; None for those without parts.

        Parts whose outputs have faults are divided again, up to `depth` times in all.
        """
        work = estimate_text_work([segment.text for segment in segments])
        documents = await self.text.run(work, lambda: [divide_clauses(segment) for segment in segments])
        divided = [(index, document) for index, document in enumerate(documents) if document is not None]
        parts = [part for index, document in divided for part in extract_clauses(segments[index], document)]
        if not parts:
            return [None] * len(segments)
        found = await self.check(parts, await self.retranslate(parts, self.decoding.with_hypotheses(1)))
        faulty = [place for place, output in enumerate(found) if list_faults(output, self.decoding)]
        if faulty and depth > 1:
            again = await self.run_divided([parts[place] for place in faulty], depth - 1)
            for place, output in zip(faulty, again, strict=True):
                if output is not None:
                    found[place] = self._choose(parts[place], found[place], output, _LONG_PART)
        remaining = iter(found)
        joined = {
            index: join_clauses(document, [next(remaining) for _ in document.spans], self.target)
            for index, document in divided
        }
        checked = await self.check([segments[index] for index in joined], list(joined.values()))
        results = dict(zip(joined, checked, strict=True))
        return [results.get(index) for index in range(len(segments))]


@dataclass(frozen=True)
class Rung:
    """A way to translate a segment again. `flags`: the faults that it may mend, in the segments that it `suits`.

    `attempt`: returns for each segment, in order, its new output with the flags of its faults, its error, or None if
    the rung does not apply to it. `doubt`: returns the new output, with a flag if it is doubtful beside the old one.
    `divides`: the new output consists of those of parts.
    """

    name: str
    flags: frozenset[Flag]
    attempt: Callable[[QualityLadder, Sequence[ProtectedText]], Awaitable[list[SegmentOutput | Exception | None]]]
    suits: Callable[[QualityLadder, ProtectedText, _Result], bool] = lambda *_: True
    doubt: Callable[[_Result, _Result], _Result] = lambda _, new: new
    divides: bool = False


def list_faults(output: SegmentOutput | Exception, decoding: DecodingOptions) -> frozenset[Flag]:
    """Returns the faults of an output that another try may mend: none for an error.

    An output that reached the caller's own bound is not faulty for that.
    """
    if isinstance(output, Exception) or not output.flags:
        return frozenset()
    faults = _ANY_FAULT.intersection(output.flags)
    bounded = decoding.max_output_tokens is not None or decoding.max_length_ratio is not None
    return faults - {Flag.OUTPUT_TRUNCATED} if bounded else faults


def _count_warnings(output: SegmentOutput) -> int:
    return sum(flag.is_warning for flag in set(output.flags))


def _constrain(decoding: DecodingOptions) -> DecodingOptions:
    return replace(
        decoding,
        no_repeat_ngram_size=decoding.no_repeat_ngram_size or _NO_REPEAT_NGRAM,
        repetition_penalty=decoding.repetition_penalty or _REPETITION_PENALTY,
    )


def _widen(decoding: DecodingOptions) -> DecodingOptions:
    return replace(decoding, beam_size=max(_BEAM, (decoding.beam_size or 0) + _WIDER))


def _has_new_word(ladder: QualityLadder, segment: ProtectedText, output: _Result) -> bool:
    """Returns True if other tokens may mend the unknown word: an invented one, which a shortlist may have caused."""
    return (
        ladder.has_shortlist
        and isinstance(output, SegmentOutput)
        and has_invented_word(segment.text, output.get_unprotected_text(), ladder.source, ladder.target)
    )


def _keep_doubt(old: _Result, new: _Result) -> _Result:
    """Returns the new output, with UNKNOWN_WORD if its mean log-probability of a token is lower than the old one's.

    Its words exist, but most are wrong, and an invented word shows that at least. Decision 0099 measures it.
    """
    if isinstance(old, Exception) or isinstance(new, Exception) or new.avg_log_prob >= old.avg_log_prob:
        return new
    return replace(new, flags=(*new.flags, Flag.UNKNOWN_WORD))


CONSTRAINED = Rung(
    "constrained",
    _REPETITION,
    lambda ladder, segments: ladder.run_prepared(segments, _constrain(ladder.decoding)),
    # A constrained output of an enumeration that repeats its phrases must lack some of it.
    suits=lambda _, segment, __: not repeats_phrases(segment.text),
)
FIGURES_HIDDEN = Rung(
    "figures hidden",
    _NUMBERS,
    lambda ladder, segments: ladder.run_prepared(
        segments, ladder.decoding, lambda segment: protect_figures(segment, ladder.source, ladder.target)
    ),
)
BEAM = Rung(
    "beam",
    _SEARCH,
    lambda ladder, segments: ladder.run_prepared(segments, _widen(ladder.decoding)),
    suits=lambda _, segment, __: not repeats_phrases(segment.text),
)
# A shortlist lacks pieces of rare words, so that a student puts others together.
WHOLE_VOCABULARY = Rung(
    "whole vocabulary",
    _WORDS,
    lambda ladder, segments: ladder.run_prepared(segments, replace(ladder.decoding, whole_vocabulary=True)),
    suits=_has_new_word,
    doubt=_keep_doubt,
)
DIVIDED = Rung("divided", _PARTS, lambda ladder, segments: ladder.run_divided(segments), divides=True)
# The rungs in the order in which they are tried.
RUNGS: Sequence[Rung] = (CONSTRAINED, FIGURES_HIDDEN, BEAM, WHOLE_VOCABULARY, DIVIDED)
