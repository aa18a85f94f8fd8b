"""Hours of the day have one notation, before the model and in its output."""

from __future__ import annotations

import pytest

from latimer_server.core.spans import TextSpan
from latimer_server.text.clock_times import find_hours, find_zoned_hours, rewrite_hours
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.protection.rules import ProtectionRules
from latimer_server.text.rewriting import apply_edits
from latimer_server.text.segmentation import Splitting
from latimer_server.translation.segmenting import parse_content, segment_content


def read(text: str, language: str) -> str:
    return apply_edits(text, find_hours(text, language))[0]


def write(source: str, output: str, target: str) -> str:
    return apply_edits(output, rewrite_hours(source, ProtectedText(output), target))[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Você recebeu um Pix em 03/07 às 14h22.", "Você recebeu um Pix em 03/07 às 14:22."),
        ("das 8h às 18h30. Sáb.: das 9h às 13h.", "das 8:00 às 18:30. Sáb.: das 9:00 às 13:00."),
        ("das 8 às 18h", "das 8:00 às 18:00"),
        ("Aberto 9h-13h e 14h–18h", "Aberto 9:00-13:00 e 14:00–18:00"),
        ("O filme começa às 20h15min.", "O filme começa às 20:15."),
    ],
)
def test_hours_of_a_portuguese_source_get_a_colon(text: str, expected: str) -> None:
    assert read(text, "pt-BR") == expected


@pytest.mark.parametrize(
    "text", ["Trabalho 8h por dia", "A viagem leva 1h30.", "dura 2h15", "em 24h", "durante 3h", "placa 24h00x", "F-16h"]
)
def test_durations_stay(text: str) -> None:
    assert read(text, "pt") == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mon-Fri 9am-6pm, Sat 10am-2pm", "Mon-Fri 9:00-18:00, Sat 10:00-14:00"),
        ("11-2pm", "11:00-14:00"),
        ("8:30 a.m. - 5 p.m. daily", "8:30-17:00 daily"),
        ("from 9 a.m. to 6 p.m.", "from 9 a.m. to 6 p.m."),
        ("pages 9-12", "pages 9-12"),
        ("at 11:59 p.m. EST; at 2 pm (PST)", "at 23:59 EST; at 14:00 (PST)"),
        ("12 a.m. GMT, 9 a.m. The end", "0:00 GMT, 9 a.m. The end"),
    ],
)
def test_ranges_and_hours_with_a_zone_of_an_english_source_get_a_clock_of_24_hours(text: str, expected: str) -> None:
    assert read(text, "en") == expected


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("às 3:00 PM", "às 15:00"),
        ("à 3 p.m.", "às 15h."),
        ("de 10am a 2pm", "de 10h a 14h"),
        ("às 12 a.m. e às 12 p.m.", "às 0h e às 12h."),
        ("às 15:00 PM", "às 15:00"),
        ("às 11:59 pm. EST; e às 3 p.m. PST.", "às 23:59 EST; e às 15h PST."),
        ("Abre às 7 p.m. O show começa às 8 p.m. Chegue cedo.", "Abre às 19h. O show começa às 20h. Chegue cedo."),
        ("até as 5 pm. Depois", "até as 17h. Depois"),
        ("às 8 p.m. (por texto)", "às 20h (por texto)"),
        ("US$5 am", "US$5 am"),
        ("10 amigos", "10 amigos"),
    ],
)
def test_portuguese_outputs_have_no_clock_of_twelve_hours(output: str, expected: str) -> None:
    assert write("at 3:00 PM", output, "pt") == expected


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("from 8am to 18:30", "from 8:00 to 18:30"),
        ("to 13pm.", "to 13:00."),
        ("begins at 20h15 p.m. in", "begins at 20:15 in"),
        ("at 14h22", "at 14:22"),
        ("at 8 p.m.", "at 8 p.m."),
        ("works 8h a day", "works 8h a day"),
    ],
)
def test_english_outputs_have_one_clock(output: str, expected: str) -> None:
    assert write("às 8:00", output, "en") == expected


@pytest.mark.parametrize(
    ("source", "output", "expected"),
    [
        ("Doors open at 7 p.m.", "Portas abertas às 19:00", "Portas abertas às 19:00."),
        ("Doors open at 7 p.m.", "Portas abertas às 7 pm", "Portas abertas às 19h."),
        ("Doors open at 7 p.m.", "Portas abertas às 19h", "Portas abertas às 19h."),
        ("Doors open at 7 pm", "Portas abertas às 19:00", "Portas abertas às 19:00"),
        ("7 p.m.", "19:00", "19:00"),
    ],
)
def test_a_sentence_that_ends_with_an_hour_keeps_its_full_stop(source: str, output: str, expected: str) -> None:
    assert write(source, output, "pt") == expected


def test_no_sentence_ends_between_an_hour_and_its_time_zone() -> None:
    text = "It closes at 9:30 p.m. EST; come at 8 a.m. It is late."
    assert list(find_zoned_hours("It opens at 10 a.m. IBM moved in.", "en")) == []
    assert [text[span.start : span.end] for span in find_zoned_hours(text, "en")] == ["9:30 p.m. EST"]
    (part,) = segment_content(parse_content(text, None, ()), "en", Splitting.SENTENCES, ProtectionRules(), None)
    assert [segment.text for segment in part.segments] == ["It closes at 21:30 EST; come at 8 a.m.", "It is late."]


def test_hours_in_protected_spans_stay() -> None:
    output = ProtectedText("em log-3pm e às 3pm", (TextSpan(3, 10),))
    assert apply_edits(output.text, rewrite_hours("", output, "pt"))[0] == "em log-3pm e às 15h"


@pytest.mark.parametrize("text", ["1h" * 50_000, "9am-" * 50_000, "às " * 50_000, "1 " * 100_000])
def test_hostile_texts_take_linear_time(text: str) -> None:
    read(text, "pt")
    read(text, "en")
    write(text, text, "en")
    write(text, text, "pt")
