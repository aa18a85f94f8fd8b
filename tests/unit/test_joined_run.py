"""Short neighbouring sentences reach the model together, and each keeps an output of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from latimer_server.core.decoding import DecodingOptions
from latimer_server.core.errors import OverlongSegment
from latimer_server.core.flags import Flag
from latimer_server.core.spans import TextSpan
from latimer_server.core.usage import Usage
from latimer_server.models.routing import Route
from latimer_server.text.alignment import Link
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.protection.rules import ProtectionRules
from latimer_server.text.segmentation import Splitting
from latimer_server.translation.assembly import ContentJob
from latimer_server.translation.chunks import list_chunks
from latimer_server.translation.joined_run import JoinedRunner, joins_sentences
from latimer_server.translation.segment_output import SegmentOutput
from latimer_server.translation.segmenting import parse_content, segment_content

_TWENTY = "One two three four five six seven eight nine ten. One two three four five six seven eight nine ten."


def make_job(text: str) -> ContentJob:
    parsed = parse_content(text, None, ())
    parts = segment_content(parsed, "en", Splitting.SENTENCES, ProtectionRules(), None)
    segments = [segment for part in parts for segment in part.segments]
    return ContentJob(
        parsed, parts, Route(("m",), ("en",), ("pt",)), segments, tuple(range(len(segments))), {}, len(text)
    )


class Model:
    """Translates by a table, and notes the texts that it reads. Other texts come out as they are."""

    def __init__(self, outputs: Mapping[str, SegmentOutput | Exception] | None = None) -> None:
        self.read: list[list[str]] = []
        self._outputs = outputs or {}

    async def run(self, segments: Sequence[ProtectedText]) -> list[SegmentOutput | Exception]:
        self.read.append([segment.text for segment in segments])
        return [
            self._outputs.get(segment.text) or SegmentOutput(segment.text, -1.0, 10, protected=segment.spans)
            for segment in segments
        ]


def translate(model: Model, *texts: str, usage: Usage | None = None) -> list[SegmentOutput | Exception]:
    runner = JoinedRunner("en", "pt", model.run, usage or Usage())
    (chunk,) = list_chunks([make_job(text) for text in texts])
    return asyncio.run(runner.translate(chunk))


@pytest.mark.parametrize(
    ("texts", "read"),
    [
        (["Hello there, you. Who are you? Take him."], ["Hello there, you. Who are you? Take him."]),
        ([_TWENTY], [_TWENTY]),
        ([f"{_TWENTY} And this is next."], [_TWENTY, "And this is next."]),
        (["We all went home.", "They all stayed there."], ["We all went home.", "They all stayed there."]),
        (["We all went home.\nThey all stayed there."], ["We all went home.", "They all stayed there."]),
        (["We all went home.  They all stayed there."], ["We all went home.", "They all stayed there."]),
        (["We all went home. THEY ALL STAYED THERE."], ["We all went home.", "THEY ALL STAYED THERE."]),
    ],
)
def test_neighbours_in_a_line_are_joined_up_to_twenty_words(texts: list[str], read: list[str]) -> None:
    model = Model()
    outputs = translate(model, *texts)
    assert model.read == [read]
    assert all(isinstance(output, SegmentOutput) for output in outputs)


def test_each_sentence_keeps_its_text_spans_links_and_a_share_of_the_score() -> None:
    source = "We read /etc/hosts first. They all stayed there."
    text = "Lemos /etc/hosts primeiro. Todos ficaram lá."
    links = (
        Link(TextSpan(3, 7), TextSpan(0, 5), 1.0),
        Link(TextSpan(31, 34), TextSpan(27, 32), 1.0),
        Link(TextSpan(3, 7), TextSpan(27, 32), 1.0),
    )
    joined = SegmentOutput(text, -2.0, 10, protected=(TextSpan(6, 16),), links=links)
    first, second = translate(Model({source: joined}), source)
    assert isinstance(first, SegmentOutput)
    assert isinstance(second, SegmentOutput)
    assert (first.text, second.text) == ("Lemos /etc/hosts primeiro.", "Todos ficaram lá.")
    assert (first.protected, second.protected) == ((TextSpan(6, 16),), ())
    assert first.links == links[:1]
    assert second.links == (Link(TextSpan(5, 8), TextSpan(0, 5), 1.0),)
    assert first.token_count + second.token_count == 10
    assert first.log_prob + second.log_prob == pytest.approx(-2.0)


@pytest.mark.parametrize(
    "output",
    [
        SegmentOutput("Todos nós fomos para casa, eles ficaram lá.", -1.0, 9),
        SegmentOutput("Todos nós fomos para casa! Eles ficaram lá.", -1.0, 9),
        SegmentOutput("Todos nós fomos para casa.", -1.0, 9),
        SegmentOutput("Todos nós fomos. Eles ficaram.", -1.0, 9, (Flag.MISSING_TEXT,)),
        OverlongSegment("a segment has too many tokens"),
    ],
)
def test_sentences_that_the_model_does_not_keep_are_translated_apart(output: SegmentOutput | Exception) -> None:
    text = "We all went home. They all stayed there."
    model, usage = Model({text: output}), Usage()
    outputs = translate(model, text, usage=usage)
    assert model.read == [[text], ["We all went home.", "They all stayed there."]]
    assert [output.text for output in outputs if isinstance(output, SegmentOutput)] == model.read[1]
    assert usage.retried_segments == 2


def test_a_protected_span_in_the_other_sentence_is_no_output() -> None:
    text = "We read /etc/hosts first. They all stayed there."
    moved = SegmentOutput("Lemos primeiro. Todos /etc/hosts ficaram.", -1.0, 9, protected=(TextSpan(22, 32),))
    model = Model({text: moved})
    translate(model, text)
    assert len(model.read) == 2


def test_bounds_of_outputs_and_alternatives_are_those_of_single_sentences() -> None:
    assert joins_sentences(DecodingOptions())
    assert not joins_sentences(DecodingOptions(hypothesis_count=2))
    assert not joins_sentences(DecodingOptions(max_output_tokens=5))
    assert not joins_sentences(DecodingOptions(max_length_ratio=2.0))
