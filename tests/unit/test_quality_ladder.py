"""Tests of the quality ladder: faulty outputs are replaced by better ones, and only by better ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from latimer_server.core.decoding import DecodingOptions
from latimer_server.core.errors import DeadlineExceeded, LatimerError
from latimer_server.core.flags import Flag
from latimer_server.core.usage import Usage
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.translation.quality_ladder import QualityLadder, list_faults, shorten_deadline
from latimer_server.translation.segment_output import SegmentOutput

SHORT = "The old bridge was closed in May."
LONG = "The old bridge near the mill was closed in May, and the new one opens at last next week."

# Returns the output of a segment with these decoding options.
Model = Callable[[str, DecodingOptions], SegmentOutput | Exception]


class Ladder:
    """A ladder over a fake model, with the texts that it translated again.

    An output with `!` repeats itself, one with `#` has wrong numbers, one with `?` an unknown word.
    """

    def __init__(self, model: Model, *, has_shortlist: bool = True) -> None:
        self.model = model
        self.has_shortlist = has_shortlist
        self.texts: list[str] = []
        self.usage = Usage()

    async def climb(self, text: str, output: SegmentOutput | Exception) -> SegmentOutput | Exception:
        """Returns the best output of a segment with this first output."""
        ladder = QualityLadder(
            "en", "pt", DecodingOptions(), self._retranslate, self._check, self.usage, has_shortlist=self.has_shortlist
        )
        segments = [ProtectedText(text)]
        (best,) = await ladder.climb(segments, await self._check(segments, [output]))
        return best

    async def _retranslate(
        self, segments: Sequence[ProtectedText], decoding: DecodingOptions
    ) -> list[SegmentOutput | Exception]:
        self.texts += [segment.text for segment in segments]
        return [self.model(segment.text, decoding) for segment in segments]

    async def _check(
        self, segments: Sequence[ProtectedText], outputs: Sequence[SegmentOutput | Exception]
    ) -> list[SegmentOutput | Exception]:
        assert len(segments) == len(outputs)
        return [self._flag(output) for output in outputs]

    def _flag(self, output: SegmentOutput | Exception) -> SegmentOutput | Exception:
        if isinstance(output, Exception):
            return output
        marks = (("!", Flag.REPETITION), ("#", Flag.NUMBER_MISMATCH), ("?", Flag.UNKNOWN_WORD))
        return replace(output, flags=output.flags + tuple(flag for mark, flag in marks if mark in output.text))


async def test_an_output_without_faults_is_not_tried_again() -> None:
    ladder = Ladder(lambda text, _: SegmentOutput(text))
    assert await ladder.climb(LONG, SegmentOutput("good")) == SegmentOutput("good")
    assert (ladder.texts, ladder.usage.retried_segments) == ([], 0)


async def test_an_error_is_not_tried_again() -> None:
    error = LatimerError("failed")
    assert await Ladder(lambda text, _: SegmentOutput(text)).climb(LONG, error) is error


async def test_a_repetition_is_decoded_with_constraints() -> None:
    ladder = Ladder(lambda _, decoding: SegmentOutput("good" if decoding.no_repeat_ngram_size else "bad!"))
    best = await ladder.climb(SHORT, SegmentOutput("bad!"))
    assert best == SegmentOutput("good", flags=(Flag.REPETITION_REPAIRED,))
    assert ladder.usage.retried_segments == 1


async def test_an_invented_word_is_translated_again_with_the_whole_vocabulary_and_nothing_else() -> None:
    ladder = Ladder(lambda _, decoding: SegmentOutput("good" if decoding.whole_vocabulary else "retrose?"))
    assert await ladder.climb(LONG, SegmentOutput("retrose?")) == SegmentOutput("good")
    assert ladder.texts == [LONG]
    ladder = Ladder(lambda *_: SegmentOutput("worse?"))
    assert await ladder.climb(LONG, SegmentOutput("retrose?")) == SegmentOutput("retrose?", flags=(Flag.UNKNOWN_WORD,))
    assert ladder.texts == [LONG]


@pytest.mark.parametrize("text", ["miffed?", "Aperte Retrose?", "o retrose-lixo?"])
async def test_words_that_more_tokens_do_not_mend_are_not_translated_again(text: str) -> None:
    ladder = Ladder(lambda *_: SegmentOutput("good"))
    best = await ladder.climb("miffed", SegmentOutput(text))
    assert best == SegmentOutput(text, flags=(Flag.UNKNOWN_WORD,))
    assert (ladder.texts, ladder.usage.retried_segments) == ([], 0)


async def test_a_model_without_a_shortlist_does_not_translate_an_invented_word_again() -> None:
    ladder = Ladder(lambda *_: SegmentOutput("good"), has_shortlist=False)
    best = await ladder.climb(LONG, SegmentOutput("retrose?"))
    assert best == SegmentOutput("retrose?", flags=(Flag.UNKNOWN_WORD,))
    assert ladder.texts == []


@pytest.mark.parametrize("before", [-0.1, -0.9])
async def test_an_output_that_the_model_is_less_certain_of_does_not_replace_an_unknown_word(before: float) -> None:
    for change, text in ((0.1, "good"), (0.0, "good"), (-0.01, "retrose?")):
        score = 8 * (before + change)
        model = Ladder(lambda *_, score=score: SegmentOutput("good", log_prob=score, token_count=8))
        best = await model.climb(LONG, SegmentOutput("retrose?", log_prob=8 * before, token_count=8))
        assert isinstance(best, SegmentOutput)
        assert best.text == text


async def test_a_text_that_repeats_its_phrases_is_not_decoded_with_constraints() -> None:
    def refuse(text: str, decoding: DecodingOptions) -> SegmentOutput:
        assert not decoding.no_repeat_ngram_size
        return SegmentOutput(text)

    best = await Ladder(refuse).climb("room one on the left, " * 6, SegmentOutput("bad!"))
    assert isinstance(best, SegmentOutput)
    assert best.text == "room one on the left, " * 6


async def test_what_no_rung_mends_keeps_its_output_and_flags() -> None:
    ladder = Ladder(lambda *_: SegmentOutput("worse! #"))
    best = await ladder.climb(LONG, SegmentOutput("bad!"))
    assert best == SegmentOutput("bad!", flags=(Flag.REPETITION,))
    assert ladder.usage.retried_segments == 1


async def test_an_output_with_another_fault_is_no_better() -> None:
    best = await Ladder(lambda *_: SegmentOutput("other#")).climb(SHORT, SegmentOutput("bad!"))
    assert isinstance(best, SegmentOutput)
    assert best.text == "bad!"


async def test_a_segment_is_divided_if_nothing_else_helps() -> None:
    ladder = Ladder(lambda text, _: SegmentOutput(text if len(text) < len(LONG) else "bad#"))
    best = await ladder.climb(LONG, SegmentOutput("bad#"))
    assert best == SegmentOutput(LONG, flags=(Flag.SEGMENT_SPLIT,))


async def test_a_part_with_a_fault_is_divided_again() -> None:
    ladder = Ladder(lambda text, _: SegmentOutput(text if len(text) < 60 else "bad#"))
    text = " ".join([LONG] * 4)
    best = await ladder.climb(text, SegmentOutput("bad#"))
    assert best == SegmentOutput(text, flags=(Flag.SEGMENT_SPLIT,))


async def test_a_long_segment_is_left_with_faults_in_a_part_only() -> None:
    text = f"broken {LONG} " + " ".join([LONG] * 5)
    ladder = Ladder(lambda text, _: SegmentOutput("#" if "broken" in text or len(text) > 400 else text))
    best = await ladder.climb(text, SegmentOutput("bad#"))
    assert isinstance(best, SegmentOutput)
    assert best.flags == (Flag.SEGMENT_SPLIT, Flag.NUMBER_MISMATCH)
    assert best.text.endswith(LONG)


async def test_the_ladder_ends_when_there_is_no_time() -> None:
    ladder = Ladder(lambda *_: DeadlineExceeded("late"))
    best = await ladder.climb(LONG, SegmentOutput("bad! #"))
    assert best == SegmentOutput("bad! #", flags=(Flag.REPETITION, Flag.NUMBER_MISMATCH))
    assert ladder.texts == [LONG]


@pytest.mark.parametrize(
    ("decoding", "faults"),
    [
        (DecodingOptions(), {Flag.OUTPUT_TRUNCATED, Flag.LENGTH_RATIO}),
        (DecodingOptions(max_output_tokens=5), {Flag.LENGTH_RATIO}),
    ],
)
def test_a_bound_of_the_caller_is_no_fault(decoding: DecodingOptions, faults: set[Flag]) -> None:
    flags = (Flag.OUTPUT_TRUNCATED, Flag.LENGTH_RATIO, Flag.UNKNOWN_TOKENS, Flag.PIVOTED)
    assert list_faults(SegmentOutput("text", flags=flags), decoding) == faults


def test_a_rung_has_less_time_than_its_request() -> None:
    assert shorten_deadline(None) is None
    deadline = time.monotonic() + 1_000.0
    shortened = shorten_deadline(deadline)
    assert shortened is not None
    assert time.monotonic() < shortened < deadline
    past = shorten_deadline(time.monotonic() - 5.0)
    assert past is not None
    assert past <= time.monotonic()
