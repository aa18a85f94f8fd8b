"""Alternatives and decoding options over a real channel: options reach the model, alternatives reach the caller."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from latimer import AsyncClient, InvalidArgumentError
from latimer_server.backends.protocol import Backend
from latimer_server.core.decoding import DecodingOptions
from latimer_server.translation import response_size
from tests.fakes import EchoBackend, WriterBackend, make_catalog, make_entry, make_writer, serve_fakes


def vary(text: str) -> list[str]:
    """Returns the text twice, and other hypotheses, one of them twice."""
    return [text, text, f"{text} A", f"{text} B", f"{text} A", f"{text} C"]


@asynccontextmanager
async def serve(**backends: Backend) -> AsyncIterator[AsyncClient]:
    models = {name.replace("_", "-"): backend for name, backend in backends.items()}
    catalog = make_catalog(*(make_entry(name, *name.split("-")) for name in models))
    async with serve_fakes(models, catalog=catalog) as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        yield client


async def test_each_segment_has_different_alternatives_the_best_first() -> None:
    async with serve(en_pt=WriterBackend(vary)) as client:
        found = await client.translate("One thing.\nAnother thing.", source="en", target="pt", alternative_count=4)
    assert found.text == "One thing.\nAnother thing."
    assert [[other.text for other in segment.alternatives] for segment in found.segments] == [
        ["One thing. A", "One thing. B"],
        ["Another thing. A", "Another thing. B"],
    ]
    scores = [other.score for other in found.segments[0].alternatives]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] < found.segments[0].score == 0


async def test_fewer_alternatives_than_requested_are_no_error() -> None:
    async with serve(en_pt=EchoBackend()) as client:
        found = await client.translate("One thing.", source="en", target="pt", alternative_count=8)
    assert [segment.alternatives for segment in found.segments] == [()]


@pytest.mark.parametrize(
    ("asked", "returned"), [({}, 0), ({"include_segments": True}, 1), ({"alternative_count": 1}, 1)]
)
async def test_segments_are_returned_on_request_and_with_alternatives(asked: dict[str, Any], returned: int) -> None:
    async with serve(en_pt=WriterBackend(lambda text: [text, text[::-1]])) as client:
        found = await client.translate("One thing.", source="en", target="pt", **asked)
    assert len(found.segments) == returned
    assert sum(len(segment.alternatives) for segment in found.segments) == ("alternative_count" in asked)


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ({}, DecodingOptions()),
        ({"alternative_count": 3}, DecodingOptions(hypothesis_count=4)),
        ({"alternative_count": 3, "beam_size": 2}, DecodingOptions(beam_size=2, hypothesis_count=4)),
        (
            {
                "beam_size": 8,
                "length_penalty": 0.5,
                "repetition_penalty": 1.25,
                "no_repeat_ngram_size": 3,
                "max_output_tokens": 40,
                "max_length_ratio": 2.5,
            },
            DecodingOptions(40, 2.5, 8, 0.5, 1.25, 3),
        ),
        # Options that are set reach the model even if they equal a likely default.
        (
            {"beam_size": 1, "length_penalty": 0.0, "repetition_penalty": 1.0, "no_repeat_ngram_size": 0},
            DecodingOptions(beam_size=1, length_penalty=0.0, repetition_penalty=1.0, no_repeat_ngram_size=0),
        ),
    ],
)
async def test_every_decoding_option_reaches_the_model(asked: dict[str, Any], given: DecodingOptions) -> None:
    writer = WriterBackend(lambda text: [text])
    async with serve(en_pt=writer) as client:
        await client.translate("One thing.", source="en", target="pt", **asked)
    (options,) = writer.options
    assert DecodingOptions(**{**vars(options), "target": ""}) == given


async def test_only_the_last_model_of_a_pivot_gives_alternatives() -> None:
    first, last = WriterBackend(vary), WriterBackend(vary)
    async with serve(es_en=first, en_pt=last) as client:
        found = await client.translate("Una cosa.", source="es", target="pt", alternative_count=2, beam_size=4)
    assert [(options.beam_size, options.hypothesis_count) for options in first.options] == [(4, 1)]
    assert [(options.beam_size, options.hypothesis_count) for options in last.options] == [(4, 3)]
    assert [other.text for segment in found.segments for other in segment.alternatives] == ["Una cosa. A"]


async def test_a_segment_that_needs_no_model_has_no_alternatives() -> None:
    async with serve(en_pt=WriterBackend(vary)) as client:
        found = await client.translate("One thing.\n42", source="en", target="pt", alternative_count=2)
    assert [len(segment.alternatives) for segment in found.segments] == [1, 0]


async def test_a_request_for_too_many_alternatives_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response_size, "MAX_RETURNED_SEGMENTS", 10)
    writer = WriterBackend(vary)
    text = "\n".join(f"Thing {number}." for number in range(4))
    async with serve(en_pt=writer) as client:
        with pytest.raises(InvalidArgumentError, match=r"alternative_count.*4 segments and 2 alternatives.*at most 10"):
            await client.translate(text, source="en", target="pt", alternative_count=2)
        assert not writer.options
        assert len((await client.translate(text, source="en", target="pt", alternative_count=1)).segments) == 4
        many = "\n".join(f"Thing {number}." for number in range(11))
        for field in ("include_segments", "include_alignment"):
            options: dict[str, Any] = {field: True}
            with pytest.raises(InvalidArgumentError, match=rf"{field}.*11 segments; at most 10"):
                await client.translate(many, source="en", target="pt", **options)


async def test_beam_options_reach_a_model_that_summarizes() -> None:
    read: list[str] = []

    def write(text: str) -> Sequence[str]:
        read.append(text)
        return [text]

    writer = WriterBackend(write)
    catalog = make_catalog(make_writer())
    async with (
        serve_fakes({"writer": writer}, catalog=catalog) as server,
        AsyncClient(f"127.0.0.1:{server.port}") as client,
    ):
        text = "The council of Halden voted on Tuesday to rebuild the old bridge after the flood of 2019."
        await client.summarize(text, source="en", mode="abstractive", beam_size=3, no_repeat_ngram_size=4)
    assert read
    assert {(options.beam_size, options.no_repeat_ngram_size) for options in writer.options} == {(3, 4)}
