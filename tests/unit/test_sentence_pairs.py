"""Very short sentences are joined with a neighbour, and translated apart if the model does not keep both."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from latimer_server.core.decoding import DecodingOptions
from latimer_server.core.flags import Flag
from latimer_server.core.spans import TextSpan
from latimer_server.core.usage import Usage
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.segmentation import Splitting, segment_text
from latimer_server.text.sentence_pairs import find_pair, join_short, keeps_pair
from latimer_server.translation.output_repair import OutputRepairer
from latimer_server.translation.segment_output import SegmentOutput


def join(text: str, protected: str = "", cut: int = -1) -> list[str]:
    spans = segment_text(text, Splitting.SENTENCES, "en").spans
    kept = [TextSpan(text.index(protected), text.index(protected) + len(protected))] if protected else []
    return [text[span.start : span.end] for span in join_short(text, spans, kept, {cut})]


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("Thank you. Come, men. Let us go!", ["Thank you. Come, men.", "Let us go!"]),
        ("Delfador! You disgust me.", ["Delfador! You disgust me."]),
        ("We left early. Really?", ["We left early. Really?"]),
        ("It was late. Stop! We all went home.", ["It was late.", "Stop! We all went home."]),
        ("Yes. No. Maybe.", ["Yes. No.", "Maybe."]),
        ("The first one is here. The second one is there.", ["The first one is here.", "The second one is there."]),
        ("Stop!\nWe all went home.", ["Stop!", "We all went home."]),
        ("Stop!  We all went home.", ["Stop!", "We all went home."]),
        ("STOP! We all went home.", ["STOP!", "We all went home."]),
        ("Version 2. We all went home.", ["Version 2.", "We all went home."]),
    ],
)
def test_a_sentence_of_one_or_two_words_is_joined_with_its_neighbour(text: str, segments: list[str]) -> None:
    assert join(text) == segments


def test_a_protected_sentence_and_one_at_a_cut_stay_alone() -> None:
    assert join("Ana. We all went home.", "Ana") == ["Ana.", "We all went home."]
    assert join("Ana. We all went home.", cut=4) == ["Ana.", "We all went home."]


def test_an_output_keeps_a_pair_if_it_has_two_sentences_with_the_same_ends() -> None:
    pair = find_pair("Stop! We all went home.", "en")
    assert pair is not None
    assert pair.segments == ["Stop!", "We all went home."]
    assert keeps_pair(pair, "Pare! Todos nós fomos para casa.", "pt")
    assert not keeps_pair(pair, "Pare, todos nós fomos para casa.", "pt")
    assert not keeps_pair(pair, "Pare. Todos nós fomos para casa.", "pt")
    assert not keeps_pair(pair, "Todos nós fomos para casa.", "pt")


@pytest.mark.parametrize("text", ["We left early. We went home.", "Stop!", "Mr. Smith left."])
def test_other_segments_are_no_pairs(text: str) -> None:
    assert find_pair(text, "en") is None


def test_a_pair_that_became_one_sentence_is_translated_apart() -> None:
    apart = {"Stop!": "Pare!", "You shall not pass!": "Você não passará!"}

    async def retranslate(segments: Sequence[ProtectedText], _: DecodingOptions) -> list[SegmentOutput | Exception]:
        return [SegmentOutput(apart[segment.text]) for segment in segments]

    def repair(output: str) -> SegmentOutput | Exception:
        repairer = OutputRepairer("en", "pt", DecodingOptions(), retranslate, lambda _, __: True, usage)
        segments = [ProtectedText("Stop! You shall not pass!")]
        return asyncio.run(repairer.check_and_repair(segments, [SegmentOutput(output)]))[0]

    usage = Usage()
    assert repair("Pare! Você não passará!") == SegmentOutput("Pare! Você não passará!")
    assert usage.retried_segments == 0
    repaired = repair("Pare, você não passará!")
    assert isinstance(repaired, SegmentOutput)
    assert (repaired.text, repaired.flags) == ("Pare! Você não passará!", (Flag.SEGMENT_SPLIT,))
    assert usage.retried_segments == 1
