"""SummarizeText over a real channel: whole sentences of the source, of the requested number, with their spans."""

from __future__ import annotations

from typing import Any

import pytest

from latimer import AsyncClient, NotServedError, UnsupportedError
from tests.fakes import EchoBackend, UpperBackend, serve_fakes

TEXT = """The Bridge of Halden

The town council of Halden voted on Tuesday to rebuild the old stone bridge over the river. The
bridge was closed in March after engineers found cracks in two of its pillars. Since then, residents
have had to drive nine kilometres to reach the hospital.

The work on the bridge will cost 4.2 million euros and should take fourteen months. Half of the
money comes from the state. The rest will be borrowed. A temporary footbridge over the river will
open in June.
"""


async def test_sentences_of_the_source_come_back_with_their_spans(client: AsyncClient) -> None:
    summary = await client.summarize(TEXT, sentences=2)
    assert summary.language == "en"
    assert summary.mode == "EXTRACTIVE"
    assert summary.models == ("extractive",)
    assert summary.input_coverage == 1.0
    assert len(summary.sentences) == 2
    for sentence in summary.sentences:
        (span,) = sentence.source_spans
        assert TEXT[span.start : span.end].replace("\n", " ") == sentence.text
        assert summary.text[sentence.summary_span.start : sentence.summary_span.end] == sentence.text
        assert 0 < sentence.rank_score <= 1
    starts = [sentence.source_spans[0].start for sentence in summary.sentences]
    assert starts == sorted(starts)
    assert "The Bridge of Halden" not in summary.text


@pytest.mark.parametrize(("options", "count"), [({}, 3), ({"length": "short"}, 1), ({"length": "LONG"}, 6)])
async def test_a_length_is_a_number_of_sentences(client: AsyncClient, options: dict[str, Any], count: int) -> None:
    assert len((await client.summarize(TEXT, **options)).sentences) == count


async def test_max_words_and_ratio_bound_the_summary(client: AsyncClient) -> None:
    for most in (5, 20, 40):
        summary = await client.summarize(TEXT, max_words=most)
        assert len(summary.text.split()) <= most
    assert (await client.summarize(TEXT, max_words=2)).text == ""
    share = await client.summarize(TEXT, ratio=0.4)
    assert 0 < len(share.text.split()) <= 0.4 * len(TEXT.split())
    assert len((await client.summarize(TEXT, ratio=0.01)).sentences) == 1


@pytest.mark.parametrize("text", ["", " \n", "42", "!!!"])
async def test_a_text_without_sentences_has_an_empty_summary(client: AsyncClient, text: str) -> None:
    summary = await client.summarize(text, sentences=2)
    assert (summary.text, summary.sentences, summary.error, summary.language) == ("", (), None, "und")


async def test_a_text_shorter_than_its_summary_comes_back_whole(client: AsyncClient) -> None:
    assert (await client.summarize("Only one sentence here.", sentences=5)).text == "Only one sentence here."


async def test_a_language_without_translation_models_is_summarized(client: AsyncClient) -> None:
    text = "Der Rat tagte am Dienstag. Die Brücke über den Fluss wird neu gebaut. Die Brücke war seit März gesperrt."
    summary = await client.summarize(text, sentences=1)
    assert summary.language == "de"
    assert summary.text in text


async def test_a_summary_in_another_language_is_translated_sentence_by_sentence() -> None:
    async with (
        serve_fakes({"en-pt": UpperBackend(), "pt-en": EchoBackend()}) as server,
        AsyncClient(f"127.0.0.1:{server.port}") as client,
    ):
        plain = await client.summarize(TEXT, sentences=2)
        summary = await client.summarize(TEXT, sentences=2, target="pt")
    assert summary.text == plain.text.upper()
    assert summary.language == "pt"
    assert summary.models == ("extractive", "en-pt")
    assert [sentence.source_spans for sentence in summary.sentences] == [
        sentence.source_spans for sentence in plain.sentences
    ]


async def test_a_language_pair_that_is_not_served_is_named(client: AsyncClient) -> None:
    with pytest.raises(NotServedError, match="en->de"):
        await client.summarize(TEXT, source="en", target="de")
    found = await client.summarize([TEXT], target="de")
    assert isinstance(found[0].error, NotServedError)


async def test_unsupported_requests_are_refused_by_name(client: AsyncClient) -> None:
    with pytest.raises(UnsupportedError, match="TEXT_FORMAT_HTML"):
        await client.summarize(TEXT, text_format="html")
    with pytest.raises(NotServedError, match="does not summarize"):
        await client.summarize(TEXT, model="en-pt")


async def test_a_document_of_ten_thousand_sentences_is_summarized(client: AsyncClient) -> None:
    text = " ".join(f"The report number {i} says that item {i % 97} of list {i % 31} is late." for i in range(10_000))
    summary = await client.summarize(text, sentences=3)
    assert len(summary.sentences) == 3


async def test_a_text_without_sentences_needs_no_translator(client: AsyncClient) -> None:
    blank, number, text = await client.summarize(["", "123", TEXT], sentences=1, target="pt")
    assert (blank.text, blank.error) == ("", None)
    assert (number.text, number.error) == ("", None)
    assert text.text


async def test_a_ratio_counts_all_words_of_the_source(client: AsyncClient) -> None:
    text = "A TITLE OF FIVE WORDS\n\nShort one is here. " + "The bridge over the river is closed until the summer. " * 3
    summary = await client.summarize(text, ratio=0.5)
    assert len(summary.text.split()) <= 0.5 * len(text.split())
    assert len(summary.sentences) >= 2
