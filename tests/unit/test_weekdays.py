"""Tests of abbreviated days: they are spelled out in schedules, and are words elsewhere."""

from __future__ import annotations

import pytest

from latimer_server.core.spans import TextSpan
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.protection.rules import ProtectionRules
from latimer_server.text.segmentation import Splitting
from latimer_server.translation.segment_form import prepare_segment
from latimer_server.translation.segmenting import parse_content, segment_content


def read(text: str, language: str, *spans: TextSpan) -> str:
    """Returns a segment as a model reads it."""
    return prepare_segment(ProtectedText(text, spans), join=False, language=language).text


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "Mon–Fri: 8:30", "Monday through Friday: 8:30"),
        ("en", "Mon-Fri 9-5", "Monday through Friday 9-5"),
        ("en", "Mon. - Thu.: open; Sat/Sun", "Monday through Thursday: open; Saturday/Sunday"),
        ("en", "Mon-Wed-Fri", "Monday-Wednesday-Friday"),
        ("pt", "Seg-Sex: 9:00", "Segunda-feira-Sexta-feira: 9:00"),
        ("en-GB", "Sat and Sun: closed", "Saturday and Sunday: closed"),
        ("en", "Mon–Fri 9–5, Sat 10am, closed Sun", "Monday through Friday 9–5, Saturday 10am, closed Sunday"),
        ("en", "Mon–Fri, then the Sun.", "Monday through Friday, then the Sun."),
        ("pt", "Seg a Sex: visite Dom Pedro", "Segunda-feira a Sexta-feira: visite Dom Pedro"),
        ("en", "Mon, Wed, Fri", "Monday, Wednesday, Friday"),
        ("en", "On Mon, Jan 9, 2023", "On Monday, January 9, 2023"),
        ("en", "Sun 10am", "Sunday 10am"),
        ("en", "Sun & holidays: closed", "Sunday & holidays: closed"),
        ("pt", "Dom. e feriados", "Domingo e feriados"),
        ("pt", "Seg. a sex.: das 9h", "Segunda-feira a sexta-feira: das 9:00"),
        ("pt", "Sáb.: das 9h às 13h", "Sábado: das 9:00 às 13:00"),
        ("es", "Lun a Vie", "Lunes a Viernes"),
        ("fr", "Lun. - ven.", "Lundi - vendredi"),
        ("de", "Mo–Fr", "Montag–Freitag"),
    ],
)
def test_days_of_a_schedule_are_spelled_out(language: str, text: str, expected: str) -> None:
    assert read(text, language) == expected


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "The Sun, 4 billion years old, shines."),
        ("en", "He sat and sun came out."),
        ("en", "Sun & sea"),
        ("en", "The Sun-Times"),
        ("pt", "Ter 2 filhos é bom. Dom Pedro"),
        ("pt", "sex e dom"),
        ("de", "So, so ist es."),
        ("nl", "Mon–Fri"),
    ],
)
def test_words_that_are_no_days_stay(language: str, text: str) -> None:
    assert read(text, language) == text


def test_no_schedule_is_divided_at_the_full_stop_of_a_day() -> None:
    text = "Seg. a sex.: das 9h às 18h. Feche a porta."
    (part,) = segment_content(parse_content(text, None, ()), "pt", Splitting.SENTENCES, ProtectionRules(), None)
    assert [segment.text for segment in part.segments] == [
        "Segunda-feira a sexta-feira: das 9:00 às 18:00.",
        "Feche a porta.",
    ]


def test_a_protected_day_stays() -> None:
    assert read("Mon–Fri", "en", TextSpan(0, 3)) == "Mon–Friday"


def test_a_long_row_of_days_is_read_in_linear_time() -> None:
    days = "Mon, " * 20_000
    assert read(days, "en") == "Monday, " * 20_000
