"""Tests of a real student over a real channel: alternatives of beam search, and the effect of decoding options."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import pytest

from latimer import AsyncClient
from latimer_server.backends.marian.student import MarianStudent
from tests.fakes import serve_fakes

TEXT = "The bridge is closed until Monday. Where did you put the keys?"


@pytest.fixture
async def client(students: Mapping[str, MarianStudent]) -> AsyncIterator[AsyncClient]:
    async with (
        serve_fakes({"en-pt": students["en"], "pt-en": students["pt"]}) as server,
        AsyncClient(f"127.0.0.1:{server.port}") as connected,
    ):
        yield connected


async def test_alternatives_differ_and_score_less(client: AsyncClient) -> None:
    found = await client.translate(TEXT, source="en", target="pt", alternative_count=3)
    assert found.text == "A ponte está fechada até segunda-feira. Onde você colocou as chaves?"
    first, second = found.segments
    assert "Onde colocou as chaves?" in {other.text for other in second.alternatives}
    for segment in (first, second):
        texts = [segment.text, *(other.text for other in segment.alternatives)]
        scores = [segment.score, *(other.score for other in segment.alternatives)]
        assert len(set(texts)) == len(texts) == 4
        assert scores == sorted(scores, reverse=True)


async def test_alternatives_do_not_depend_on_other_texts(client: AsyncClient) -> None:
    alone = await client.translate(TEXT, source="en", target="pt", alternative_count=2)
    others = ["A boat.", TEXT, "The committee meets again on Tuesday, and it will vote.", "Yes."]
    together = await client.translate(others, source="en", target="pt", alternative_count=2)
    assert [[other.text for other in segment.alternatives] for segment in together[1].segments] == [
        [other.text for other in segment.alternatives] for segment in alone.segments
    ]


async def test_a_beam_of_one_equals_greedy_search(client: AsyncClient) -> None:
    greedy = await client.translate(TEXT, source="en", target="pt")
    assert (await client.translate(TEXT, source="en", target="pt", beam_size=1)).text == greedy.text
    assert (await client.translate(TEXT, source="en", target="pt", beam_size=4)).segments == ()


async def test_decoding_options_reduce_repetition(client: AsyncClient) -> None:
    text = "No, no, no, no, no, no, no."
    plain = (await client.translate(text, source="en", target="pt")).text.lower()
    assert plain.count("não, não") > 1
    for option in ({"no_repeat_ngram_size": 2}, {"repetition_penalty": 4.0, "beam_size": 2}):
        changed = (await client.translate(text, source="en", target="pt", **option)).text.lower()
        assert changed.count("não") < plain.count("não")


async def test_a_higher_length_penalty_never_makes_a_text_shorter(client: AsyncClient) -> None:
    lengths = [
        len((await client.translate(TEXT, source="en", target="pt", beam_size=8, length_penalty=penalty)).text)
        for penalty in (0.0, 4.0)
    ]
    assert lengths[0] <= lengths[1]
