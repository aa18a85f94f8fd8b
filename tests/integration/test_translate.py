"""TranslateText over a real channel: no text is lost, items are independent, and every field is correct."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latimer import AsyncClient, InvalidArgumentError, NotServedError, Translation
from latimer.options import SentenceSplittingName
from latimer_server.backends.protocol import Encoding
from latimer_server.core.decoding import Cancelled, DecodingOptions, Hypothesis, LanguagePair, TokenIds
from latimer_server.scheduling import BatchQueue
from tests.fakes import EchoBackend, PoisonBackend, UpperBackend, make_catalog, make_entry, serve_fakes
from tests.integration.calls import find_queue

TEXT = "Dear Anna,\r\n\r\n\tThe bridge is closed. \u00a0 It opens in May!  \n\n42\n- a list\n\u200b\nYours, Tom \n"


@pytest.mark.parametrize("mode", ["on", "off", "one_per_line"])
async def test_every_separator_comes_back(client: AsyncClient, mode: SentenceSplittingName) -> None:
    translation = await client.translate(TEXT, source="en", target="pt", sentence_splitting=mode)
    assert translation.text == TEXT


async def test_line_breaks_inside_a_paragraph_become_spaces_on_request(client: AsyncClient) -> None:
    text = "A sentence that\nwas wrapped.\nAnother\r\none.\n\nA paragraph.\n"
    translation = await client.translate(text, source="en", target="pt", sentence_splitting="no_newlines")
    assert translation.text == "A sentence that was wrapped. Another one.\n\nA paragraph.\n"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
    mode=st.sampled_from(["on", "off", "one_per_line"]),
)
async def test_any_text_goes_through_unchanged(text: str, mode: SentenceSplittingName) -> None:
    async with serve_fakes() as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        translation = await client.translate(text, source="en", target="pt", sentence_splitting=mode)
        assert translation.text == text


async def test_a_document_of_a_megabyte_goes_through_one_call() -> None:
    draw = random.Random(1)
    separators = [" ", "  ", "\n", "\n\n", "\r\n", " \t", "\u00a0\n", "\n \n\n"]
    parts: list[str] = []
    size = 0
    while size < 990_000:
        words = " ".join("".join(draw.choices("abcdefgh", k=draw.randint(1, 9))) for _ in range(draw.randint(1, 30)))
        parts += [words.capitalize(), draw.choice(".!?"), draw.choice(separators)]
        size += sum(map(len, parts[-3:]))
    text = "".join(parts)
    async with (
        serve_fakes({"en-pt": UpperBackend(), "pt-en": EchoBackend()}) as server,
        AsyncClient(f"127.0.0.1:{server.port}") as client,
    ):
        translation = await client.translate(text, source="en", target="pt", include_segments=True)
    assert translation.text == text.upper()
    for segment in translation.segments[::97]:
        source = text[segment.source_span.start : segment.source_span.end]
        assert translation.text[segment.target_span.start : segment.target_span.end] == segment.text == source.upper()


async def test_spans_count_code_points(client: AsyncClient) -> None:
    text = "😀 Café! Não é fácil."
    translation = await client.translate(text, source="en", target="pt", include_segments=True)
    assert [text[segment.source_span.start : segment.source_span.end] for segment in translation.segments] == [
        segment.text for segment in translation.segments
    ]
    assert "".join(segment.text for segment in translation.segments).replace(" ", "") == text.replace(" ", "")


async def test_several_items_and_targets_keep_their_order(client: AsyncClient) -> None:
    texts = [f"The sentence number {i} is about the river." for i in range(50)]
    rows = await client.translate(texts, source="en", target=["pt", "en"])
    assert [[translation.text for translation in row] for row in rows] == [[text, text] for text in texts]
    assert [translation.target_language for translation in rows[0]] == ["pt", "en"]


async def test_the_language_of_each_item_is_detected_separately(client: AsyncClient) -> None:
    texts = ["The committee meets again on Tuesday.", "A comissão reúne-se outra vez na terça-feira.", " \n", "42"]
    found = await client.translate(texts, target="pt")
    assert [translation.source_language for translation in found] == ["en", "pt", "und", "und"]
    assert found[0].models == ("en-pt",)
    assert [translation.flags for translation in found[1:]] == [("PASSTHROUGH",)] * 3
    assert [translation.text for translation in found] == texts


async def test_a_language_that_is_not_served_fails_its_item_alone(client: AsyncClient) -> None:
    texts = ["Der Ausschuss tagt am Dienstag wieder im Rathaus.", "The committee meets again on Tuesday."]
    german, english = await client.translate(texts, target="pt")
    assert isinstance(german.error, NotServedError)
    assert "en->pt" in str(german.error)
    assert german.text == ""
    assert english.error is None
    with pytest.raises(NotServedError):
        await client.translate(texts[0], target="pt")


async def test_a_doubtful_detection_is_flagged_or_takes_the_fallback(client: AsyncClient) -> None:
    plain = await client.translate("Bom dia", target="en")
    assert (plain.source_language, plain.flags) == ("pt", ("LOW_LANGUAGE_CONFIDENCE",))
    fallback = await client.translate("ok", target="pt", fallback_language_code="en")
    assert fallback.models == ("en-pt",)


async def test_a_flag_can_be_made_an_error(client: AsyncClient) -> None:
    doubtful, sure = await client.translate(
        ["Bom dia", "A comissão reúne-se na terça-feira."], target="en", error_flags=["low_language_confidence"]
    )
    assert doubtful.error
    assert doubtful.error.reason == "FLAGGED"
    assert sure.error is None


async def test_a_sentence_longer_than_the_model_reads_is_divided_or_refused() -> None:
    text = "when the river rose the whole town slept, " * 9 + "and nobody heard the bells."
    async with (
        serve_fakes({"en-pt": EchoBackend(max_input_tokens=60)}) as server,
        AsyncClient(f"127.0.0.1:{server.port}") as client,
    ):
        divided = await client.translate(text, source="en", target="pt", include_segments=True)
        assert divided.text == text
        assert "SEGMENT_SPLIT" in divided.flags
        assert len(divided.segments) == 1
        refused = await client.translate([text, "Short."], source="en", target="pt", overlong_policy="reject")
        assert refused[0].error
        assert refused[0].error.reason == "SEGMENT_OVERLONG"
        assert refused[1].text == "Short."


async def test_output_is_cut_at_its_cap_and_flagged(client: AsyncClient) -> None:
    translation = await client.translate("A sentence.", source="en", target="pt", max_output_tokens=4)
    assert (translation.text, translation.flags) == ("A se", ("OUTPUT_TRUNCATED",))


async def test_a_text_on_which_the_model_raises_fails_alone_without_details() -> None:
    async with (
        serve_fakes({"en-pt": PoisonBackend()}) as server,
        AsyncClient(f"127.0.0.1:{server.port}") as client,
    ):
        texts = ["One sentence.", "This one is POISON.", "Another sentence."]
        found = await client.translate(texts, source="en", target="pt")
    assert [translation.text for translation in found] == ["One sentence.", "", "Another sentence."]
    assert found[1].error
    assert found[1].error.code == "INTERNAL"
    assert "POISON" not in str(found[1].error)
    assert "choked" not in str(found[1].error)


async def test_a_pivot_is_reported_and_can_be_refused() -> None:
    catalog = make_catalog(make_entry("es-en", "es", "en"), make_entry("en-pt", "en", "pt"))
    backends = {"es-en": EchoBackend(), "en-pt": UpperBackend()}
    async with (
        serve_fakes(backends, catalog=catalog) as server,
        AsyncClient(f"127.0.0.1:{server.port}") as client,
    ):
        translation = await client.translate("El puente. 42.", source="es", target="pt")
        assert translation.text == "EL PUENTE. 42."
        assert translation.models == ("es-en", "en-pt")
        assert "PIVOTED" in translation.flags
        with pytest.raises(NotServedError, match="es->pt"):
            await client.translate("El puente.", source="es", target="pt", disable_pivot=True)
        pairs = {(pair.source_language, pair.target_language): pair.models for pair in await client.language_pairs()}
        assert pairs[("es", "pt")] == ("es-en", "en-pt")


async def test_a_model_can_be_named(client: AsyncClient) -> None:
    assert (await client.translate("A text.", source="en", target="pt", model="en-pt")).models == ("en-pt",)
    with pytest.raises(NotServedError, match="pt->en"):
        await client.translate("A text.", source="en", target="pt", model="pt-en")
    with pytest.raises(NotServedError, match="no model 'nothing'"):
        await client.translate("A text.", target="pt", model="nothing")


async def test_near_codes_are_served_and_the_resolved_one_is_echoed(client: AsyncClient) -> None:
    translation = await client.translate("A text.", source="en-GB", target="pt-BR")
    assert isinstance(translation, Translation)
    assert translation.target_language == "pt"


async def test_a_replacement_character_is_reported_as_unknown(client: AsyncClient) -> None:
    translation = await client.translate("Caf\ufffd is closed.", source="en", target="pt")
    assert translation.flags == ("UNKNOWN_TOKENS",)


async def test_languages_are_detected_among_candidates(client: AsyncClient) -> None:
    sure, short, blank = await client.detect(["The bridge is closed until Monday.", "Bom dia", ""])
    assert (sure.language, sure.reliable) == ("en", True)
    assert not short.reliable
    assert (blank.language, blank.confidence, blank.candidates) == ("und", 0.0, ())
    among = await client.detect("Bom dia", candidate_language_codes=["en", "pt"])
    assert among.language == "pt"


async def test_pairs_are_filtered(client: AsyncClient) -> None:
    pairs = await client.language_pairs(source="en-US")
    assert [(pair.source_language, pair.target_language, pair.models) for pair in pairs] == [("en", "pt", ("en-pt",))]
    with pytest.raises(InvalidArgumentError, match="source_language_code"):
        await client.language_pairs(source="english")


@pytest.mark.parametrize("text", ["Take vitamin C\u00a0. It helps.", "É\u00a0. Sim, é assim mesmo. " * 200])
async def test_a_text_on_which_the_splitter_once_panicked(client: AsyncClient, text: str) -> None:
    for source in ("en", "pt"):
        assert (await client.translate(text, source=source, target="pt" if source == "en" else "en")).text == text


async def test_a_text_of_unknown_language_is_never_returned_as_translated(client: AsyncClient) -> None:
    text = "Hello world, how are you?"
    fallback = await client.translate(text, target="pt", candidate_language_codes=["tlh"], fallback_language_code="en")
    assert fallback.models == ("en-pt",)
    assert "LOW_LANGUAGE_CONFIDENCE" in fallback.flags
    with pytest.raises(NotServedError, match="und->pt"):
        await client.translate(text, target="pt", candidate_language_codes=["tlh"])


@pytest.mark.parametrize("text", ["Total", "Error", "Email", "Print"])
async def test_a_word_of_both_languages_is_translated(client: AsyncClient, text: str) -> None:
    found = await client.translate(text, target="pt")
    assert found.models == ("en-pt",)
    assert found.flags == ("LOW_LANGUAGE_CONFIDENCE",)


class QueueBackend(EchoBackend):
    """An echo that notes how many pieces its queue and its batch have whenever a batch begins."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: BatchQueue | None = None
        self.in_flight: list[int] = []

    def run(self, batch: Sequence[TokenIds], options: DecodingOptions, cancelled: Cancelled) -> list[Hypothesis]:
        if self.queue:
            self.in_flight.append(self.queue.waiting + len(batch))
        return super().run(batch, options, cancelled)


async def test_a_request_never_has_more_pieces_queued_than_its_window() -> None:
    backend = QueueBackend()
    async with serve_fakes({"en-pt": backend}) as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        backend.queue = await find_queue(server)
        # Each line is different: the server translates identical ones once.
        words = map("".join, itertools.product("abcdefghijklmnopqrstuvwxyz", repeat=3))
        text = "\n".join(itertools.islice(words, 5_000))
        for mode in ("off", "on"):
            assert (await client.translate(text, source="en", target="pt", sentence_splitting=mode)).text == text
    assert 64 < max(backend.in_flight) <= 1_024


ANY = LanguagePair()


class CountingBackend(EchoBackend):
    """An echo. `most`: the most code points that it was given at a time."""

    most = 0

    def encode(self, texts: Sequence[str], languages: LanguagePair = ANY) -> list[Encoding]:
        self.most = max(self.most, sum(map(len, texts)))
        return super().encode(texts, languages)


@pytest.mark.parametrize("text", ["#a" * 100_000, "word " * 40_000, "a@" * 100_000])
@pytest.mark.parametrize("mode", ["on", "off", "one_per_line", "no_newlines"])
async def test_a_text_without_ends_of_sentences_is_processed_in_parts(text: str, mode: SentenceSplittingName) -> None:
    backend = CountingBackend()
    async with serve_fakes({"en-pt": backend}) as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        found = await client.translate(text, source="en", target="pt", sentence_splitting=mode)
    assert found.text == text
    assert backend.most <= 33_000


async def test_a_glossary_that_would_blow_up_a_text_is_refused_by_name(client: AsyncClient) -> None:
    with pytest.raises(InvalidArgumentError, match=r"options\.glossary_terms: would add 5100000 code points"):
        await client.translate(
            "a " * 20_000, source="en", target="pt", glossary_terms=[{"source_text": "a", "target_text": "b" * 256}]
        )
    assert (
        await client.translate(
            "a ", source="en", target="pt", glossary_terms=[{"source_text": "a", "target_text": "b" * 256}]
        )
    ).text == "b" * 256 + " "
