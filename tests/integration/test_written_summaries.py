"""HYBRID and ABSTRACTIVE summaries over a real channel: generated text must be supported by the source."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from latimer import AsyncClient, InvalidArgumentError, NotServedError, ServerError
from latimer.options import SummaryModeName
from latimer_server.backends.protocol import Backend
from latimer_server.core.decoding import TokenIds
from latimer_server.models.catalog.catalog import CatalogEntry
from tests.fakes import EchoBackend, UpperBackend, WriterBackend, make_catalog, make_entry, make_writer, serve_fakes

BRIDGE = "The council of Halden voted on Tuesday to rebuild the old bridge, which was damaged by the flood of 2019."
COST = "Work on the bridge will cost 4.2 million euros, although the state pays for half of it in 2027."
MAYOR = "She said that the bridge would carry buses again, and that the whole town had asked for new lights on it."
TEXT = f"{BRIDGE} {COST} {MAYOR}"
LIE = "The state voted to damage the old bridge for 4.2 million euros."


def shorten_well(text: str) -> list[str]:
    """Returns an unsupported sentence first, then the main clause, then other text."""
    return [LIE, text.partition(",")[0] + ".", "Here is a summary of the text.", text]


@asynccontextmanager
async def serve(
    writer: WriterBackend, *entries: CatalogEntry, backends: dict[str, Backend] | None = None, **keys: Any
) -> AsyncIterator[AsyncClient]:
    models: dict[str, Backend] = {"writer": writer, **(backends or {})}
    catalog = make_catalog(*(entries or (make_writer(**keys),)))
    async with serve_fakes(models, catalog=catalog) as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        yield client


async def test_a_sentence_is_shortened_where_the_source_supports_the_result() -> None:
    async with serve(WriterBackend(shorten_well)) as client:
        summary = await client.summarize(TEXT, mode="hybrid", sentences=2)
    assert summary.mode == "HYBRID"
    assert summary.models == ("extractive", "writer")
    assert [sentence.text for sentence in summary.sentences] == [
        "The council of Halden voted on Tuesday to rebuild the old bridge.",
        "Work on the bridge will cost 4.2 million euros.",
    ]
    for sentence, source in zip(summary.sentences, (BRIDGE, COST), strict=True):
        (span,) = sentence.source_spans
        assert TEXT[span.start : span.end] == source
        assert summary.text[sentence.summary_span.start : sentence.summary_span.end] == sentence.text
    assert summary.flags == ()


@pytest.mark.parametrize(
    "output",
    [
        LIE,
        "",
        "Here is a summary.",
        BRIDGE.replace("Tuesday", "Monday"),
        BRIDGE.replace(".", ""),
        "The council of",
        "🙂",
    ],
)
async def test_a_sentence_stays_unchanged_if_the_model_writes_nothing_usable(output: str) -> None:
    async with serve(WriterBackend(lambda _: [output])) as client:
        summary = await client.summarize(TEXT, mode="hybrid", sentences=2)
    assert [sentence.text for sentence in summary.sentences] == [BRIDGE, COST]


async def test_a_sentence_with_a_pronoun_is_taken_only_with_the_one_before_which_stays_whole() -> None:
    writer = WriterBackend(shorten_well)
    async with serve(writer) as client:
        two = await client.summarize(TEXT, mode="hybrid", sentences=2)
        three = await client.summarize(TEXT, mode="hybrid", sentences=3)
    assert all(not sentence.text.startswith("She") for sentence in two.sentences)
    assert [sentence.text for sentence in three.sentences][1:] == [COST, MAYOR.partition(",")[0] + "."]


async def test_short_sentences_are_not_given_to_the_model() -> None:
    writer = WriterBackend(shorten_well)
    async with serve(writer) as client:
        summary = await client.summarize("The bridge was closed, and then opened.", mode="hybrid")
        assert summary.models == ("extractive",)
        assert summary.text == "The bridge was closed, and then opened."
        assert (await client.summarize("", mode="hybrid")).text == ""
        assert (await client.summarize("   \n ", mode="abstractive")).text == ""
    assert writer.read == []


async def test_an_abstractive_summary_is_flagged_where_the_source_does_not_support_it() -> None:
    async with serve(WriterBackend(lambda _: [f"The council voted to rebuild the old bridge. {LIE}"])) as client:
        summary = await client.summarize(TEXT, mode="abstractive", sentences=5)
    assert summary.mode == "ABSTRACTIVE"
    assert [sentence.text for sentence in summary.sentences] == ["The council voted to rebuild the old bridge.", LIE]
    assert summary.flags == ("UNSUPPORTED_CLAIM",)
    (span,) = summary.sentences[0].source_spans
    assert TEXT[span.start : span.end] == BRIDGE


async def test_a_supported_abstractive_summary_has_no_flag() -> None:
    async with serve(WriterBackend(lambda _: ["The council voted to rebuild the old bridge."])) as client:
        assert (await client.summarize(TEXT, mode="abstractive")).flags == ()


async def test_an_incomplete_last_sentence_is_left_out() -> None:
    async with serve(WriterBackend(lambda _: ["The council voted to rebuild the bridge. The work on the"])) as client:
        summary = await client.summarize(TEXT, mode="abstractive", sentences=5)
    assert summary.text == "The council voted to rebuild the bridge."


@pytest.mark.parametrize("output", ["", "The work on the", " ".join(["The bridge is a bridge."] * 40)])
async def test_an_unusable_summary_is_replaced_by_sentences_of_the_source(output: str) -> None:
    async with serve(WriterBackend(lambda _: [output])) as client:
        summary = await client.summarize(TEXT, mode="abstractive", sentences=40)
    assert len(summary.text) <= len(TEXT)
    assert all(sentence.text in TEXT for sentence in summary.sentences)
    assert summary.sentences


async def test_a_document_longer_than_the_model_reads_is_read_in_parts() -> None:
    def write_summary(text: str) -> Sequence[str]:
        return [text.partition(".")[0] + "."]

    writer = WriterBackend(write_summary, max_input_tokens=400)
    document = " ".join(f"Item {number} of the long list was counted in the hall." for number in range(40))
    async with serve(writer) as client:
        summary = await client.summarize(document, mode="abstractive", sentences=1)
    assert summary.text == "Item 0 of the long list was counted in the hall."
    assert summary.input_coverage == 1.0
    assert len(writer.read) > 5
    assert all(len(text) < 400 for text in writer.read)
    assert all(f"Item {number} " in " ".join(writer.read) for number in range(40))


async def test_input_coverage_reports_how_much_of_a_long_document_was_read() -> None:
    writer = WriterBackend(lambda text: [text.partition(".")[0] + "."], max_input_tokens=80)
    document = " ".join(f"Item {number} of the long list was counted in the hall." for number in range(200))
    async with serve(writer) as client:
        summary = await client.summarize(document, mode="abstractive", sentences=1)
    assert summary.input_coverage == pytest.approx(64 / 200, abs=0.02)


async def test_a_document_in_another_language_is_read_in_translation_and_summarized_in_its_own() -> None:
    writer = WriterBackend(lambda text: [text.partition(",")[0] + "."])
    entries = (make_writer(), make_entry("en-pt", "en", "pt"), make_entry("pt-en", "pt", "en"))
    translators: dict[str, Backend] = {"en-pt": UpperBackend(), "pt-en": EchoBackend()}
    async with serve(writer, *entries, backends=translators) as client:
        short = "A obra terminou em maio, com um custo de quatro milhões."
        summary = await client.summarize(f"{BRIDGE} {short}", mode="hybrid", source="pt", sentences=2)
    assert summary.language == "pt"
    assert set(summary.models) == {"pt-en", "extractive", "writer", "en-pt"}
    # The generated sentence was translated back, here into capitals. The other is a sentence of the source.
    assert [sentence.text for sentence in summary.sentences] == [BRIDGE.partition(",")[0].upper() + ".", short]
    (span,) = summary.sentences[0].source_spans
    assert span.end == len(BRIDGE)


async def test_decoding_options_reach_the_model() -> None:
    writer = WriterBackend(lambda _: ["The council voted to rebuild the old bridge."])
    async with serve(writer) as client:
        await client.summarize(TEXT, mode="abstractive", max_output_tokens=7)
    assert {options.max_output_tokens for options in writer.options} == {7}


async def state_of(client: AsyncClient) -> str:
    return next(model.state for model in await client.models() if model.name == "writer")


async def test_a_generative_model_is_loaded_on_first_use() -> None:
    async with serve(WriterBackend(shorten_well)) as client:
        await client.summarize(TEXT)
        assert await state_of(client) == "AVAILABLE"
        await client.summarize(TEXT, mode="hybrid")
        assert await state_of(client) == "READY"


async def test_a_named_model_decides_the_mode_and_contradictions_are_refused() -> None:
    async with serve(WriterBackend(shorten_well)) as client:
        assert (await client.summarize(TEXT, model="writer")).mode == "ABSTRACTIVE"
        assert (await client.summarize(TEXT, model="extractive")).mode == "EXTRACTIVE"
        refused: tuple[tuple[SummaryModeName, str], ...] = (("extractive", "writer"), ("hybrid", "extractive"))
        for mode, model in refused:
            with pytest.raises(InvalidArgumentError, match="model"):
                await client.summarize(TEXT, mode=mode, model=model)


async def test_without_a_generative_model_its_modes_are_refused_by_name() -> None:
    async with serve_fakes() as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        with pytest.raises(NotServedError, match="no model for hybrid summaries"):
            await client.summarize(TEXT, mode="hybrid")


async def test_a_model_whose_licence_forbids_commerce_is_taken_only_when_named() -> None:
    async with serve(WriterBackend(shorten_well), noncommercial=True) as client:
        with pytest.raises(NotServedError, match="no model for hybrid"):
            await client.summarize(TEXT, mode="hybrid")
        assert (await client.summarize(TEXT, mode="hybrid", model="writer")).mode == "HYBRID"


@pytest.mark.parametrize("mode", ["extractive", "hybrid", "abstractive"])
@pytest.mark.parametrize(
    "text", ["", "2024: 42%.", "Sales rose.", "Agenda item 4: parking.", "Norvik AB bought Lind Oy."]
)
async def test_a_short_text_is_summarized_though_its_language_is_doubtful(text: str, mode: SummaryModeName) -> None:
    async with serve(WriterBackend(lambda text: [text])) as client:
        summary = await client.summarize(text, mode=mode)
    assert summary.error is None
    assert summary.text in (text, "")


async def test_each_text_of_a_call_is_read_by_a_model_of_its_language() -> None:
    german = WriterBackend(lambda _: ["Der Rat stimmte am Dienstag für die neue Brücke."])
    entries = (make_writer(), make_writer("german", source_languages=("de",), embedded=False))
    text = "Der Rat stimmte am Dienstag für die neue Brücke. Sie wird im Mai eröffnet und kostet viel Geld."
    async with serve(WriterBackend(shorten_well), *entries, backends={"german": german}) as client:
        english, other = await client.summarize([TEXT, text], mode="abstractive", sentences=2)
    assert english.models == ("extractive", "writer")
    assert other.models == ("extractive", "german")


async def test_the_last_sentence_of_a_truncated_output_is_left_out_and_flagged() -> None:
    writer = WriterBackend(lambda _: ["The council voted to rebuild the old bridge. Prices rose to 3."], cut=True)
    async with serve(writer) as client:
        summary = await client.summarize(TEXT, mode="abstractive", sentences=5)
    assert summary.text == "The council voted to rebuild the old bridge."
    assert "OUTPUT_TRUNCATED" in summary.flags


async def test_an_unsupported_sentence_has_no_source_spans() -> None:
    async with serve(WriterBackend(lambda _: [LIE])) as client:
        summary = await client.summarize(TEXT, mode="abstractive")
    assert [sentence.source_spans for sentence in summary.sentences] == [()]
    assert [sentence.rank_score for sentence in summary.sentences] == [0.0]


async def test_a_model_that_fails_on_every_sentence_fails_the_item_and_no_other() -> None:
    def fail(text: str) -> list[str]:
        raise RuntimeError("out of memory")

    async with serve(WriterBackend(fail)) as client:
        with pytest.raises(ServerError, match="internal error"):
            await client.summarize(TEXT, mode="hybrid")
        failed, empty = await client.summarize([TEXT, "2024"], mode="hybrid")
    assert failed.error is not None
    assert failed.text == ""
    assert empty.error is None


async def test_a_sentence_on_which_the_model_fails_stays_unchanged(caplog: pytest.LogCaptureFixture) -> None:
    def write_summary(text: str) -> list[str]:
        if text == COST:
            raise RuntimeError("out of memory")
        return shorten_well(text)

    async with serve(WriterBackend(write_summary)) as client:
        summary = await client.summarize(TEXT, mode="hybrid", sentences=2)
    assert [sentence.text for sentence in summary.sentences] == [BRIDGE.partition(",")[0] + ".", COST]
    assert "sentence not shortened" in caplog.text
    assert "Work on the bridge" not in caplog.text


async def test_a_summary_that_grows_in_translation_is_replaced_by_sentences_of_the_source() -> None:
    class Wordy(EchoBackend):
        def decode(self, ids: Sequence[TokenIds]) -> list[str]:
            return [f"{text} {'muito ' * 40}bem." for text in super().decode(ids)]

    text = "O conselho votou na terça-feira pela nova ponte. A obra terminou em maio, com um custo de quatro milhões."
    entries = (make_writer(), make_entry("en-pt", "en", "pt"), make_entry("pt-en", "pt", "en"))
    translators: dict[str, Backend] = {"en-pt": Wordy(), "pt-en": EchoBackend()}
    for mode in ("hybrid", "abstractive"):
        writer = WriterBackend(lambda text: [text.partition(",")[0] + "."])
        async with serve(writer, *entries, backends=translators) as client:
            summary = await client.summarize(text, mode=mode, source="pt", sentences=2)
        assert len(summary.text.split()) <= len(text.split())
        assert all(sentence.text in text for sentence in summary.sentences)


async def test_max_words_counts_words_of_the_output_language() -> None:
    class Doubling(EchoBackend):
        def decode(self, ids: Sequence[TokenIds]) -> list[str]:
            return [" ".join(f"{word} {word}" for word in text.split()) for text in super().decode(ids)]

    entries = (make_writer(), make_entry("en-pt", "en", "pt"))
    async with serve(WriterBackend(shorten_well), *entries, backends={"en-pt": Doubling()}) as client:
        summary = await client.summarize(TEXT, source="en", target="pt", max_words=50)
    assert 0 < len(summary.text.split()) <= 50
