"""Names of people replace those of the models; other outputs are repaired in part."""

from __future__ import annotations

import pytest

from latimer_server.core.flags import Flag
from latimer_server.core.spans import TextSpan
from latimer_server.text.alignment import Link
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.translation.form_repair import repair_forms, write_known
from latimer_server.translation.segment_output import Alternative, SegmentOutput


def test_a_name_comes_out_as_it_is_without_flags_of_copies() -> None:
    output = SegmentOutput("Linda Pântano", flags=(Flag.COPIED_SOURCE, Flag.CACHED))
    known = write_known(ProtectedText("Linda Marsh"), output, ("en", "pt"))
    assert known == SegmentOutput("Linda Marsh", flags=(Flag.CACHED,))


def test_names_are_left_to_the_model_for_other_scripts() -> None:
    assert write_known(ProtectedText("Linda Marsh"), SegmentOutput("Линда Марш"), ("en", "ru")) is None


def test_a_glossary_term_wins_over_a_name() -> None:
    segment = ProtectedText("Linda Marsh", (TextSpan(0, 11),), ("Linda Pântano",))
    assert write_known(segment, SegmentOutput("Linda Pântano"), ("en", "pt")) is None


def test_repairs_move_spans_and_links_and_change_alternatives() -> None:
    segment = ProtectedText("at 3 PM use %s", (TextSpan(12, 14),))
    link = Link(TextSpan(12, 14), TextSpan(14, 16), 1.0)
    output = SegmentOutput(
        "à 3 PM, use o %s", protected=(TextSpan(14, 16),), links=(link,), alternatives=(Alternative("à 3 PM", -1.0),)
    )
    repaired = repair_forms(segment, output, ("en", "pt"))
    assert repaired.text == "às 15h, use o %s"
    assert [repaired.text[span.start : span.end] for span in repaired.protected] == ["%s"]
    assert repaired.links is not None
    assert repaired.text[repaired.links[0].target.start : repaired.links[0].target.end] == "%s"
    assert repaired.alternatives[0].text == "às 15h"


@pytest.mark.parametrize(
    ("word", "output", "target"),
    [("Thanks", "Vielen Dank", "de"), ("Breakfast", "Café da Manhã", "pt"), ("Jasmine Rice", "Arroz Jasmim", "pt")],
)
def test_a_word_is_not_put_back_for_a_translation_of_several_words(word: str, output: str, target: str) -> None:
    assert write_known(ProtectedText(word), SegmentOutput(output), ("en", target)) is None


def test_an_office_behind_a_title_is_no_surname() -> None:
    output = SegmentOutput("Sr. Presidente, concordo.")
    assert repair_forms(ProtectedText("Mr. Chairman, I agree."), output, ("en", "pt")) == output
