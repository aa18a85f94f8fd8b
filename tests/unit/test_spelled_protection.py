"""Numbers in words beside figures are protected with the words of the target language."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from latimer_server.core.decoding import DecodingOptions
from latimer_server.core.spans import TextSpan
from latimer_server.core.usage import Usage
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.protection.spelled import protect_spelled, translate_amount
from latimer_server.translation.output_repair import OutputRepairer
from latimer_server.translation.segment_output import SegmentOutput


@pytest.mark.parametrize(
    ("words", "source", "target", "written"),
    [
        ("doze mil reais", "pt", "en", "twelve thousand reais"),
        ("oito mil, setecentos reais e dez centavos", "pt", "en", "eight thousand seven hundred reais and ten cents"),
        ("um real", "pt", "en", "one real"),
        ("two percent", "en", "pt", "dois por cento"),
        ("two per cent", "en", "pt", "dois por cento"),
        ("one million dollars", "en", "pt", "um milhão de dólares"),
        ("sixty", "en", "pt", "sessenta"),
        ("thirty-five", "en", "pt", "trinta e cinco"),
        ("five hundred", "en", "pt", None),  # shares are feminine, and the noun is unknown
        ("sixty days", "en", "pt", None),
        ("dollars", "en", "pt", None),
        ("sixty", "en", "xx", None),
    ],
)
def test_amounts_are_written_in_another_language(words: str, source: str, target: str, written: str | None) -> None:
    assert translate_amount(words, source, target) == written


def test_words_of_spelled_numbers_are_protected() -> None:
    text = "R$ 12.000,00 (doze mil reais) e dois por cento (2%) em 30 (trinta) dias"
    kept = TextSpan(text.index("trinta"), text.index(") dias"))
    guarded = protect_spelled(ProtectedText(text, (kept,)), "pt", "en")
    assert guarded.wanted == ["twelve thousand reais", "two percent", "trinta"]


def test_a_segment_with_wrong_words_is_translated_with_the_right_ones() -> None:
    async def retranslate(segments: Sequence[ProtectedText], _: DecodingOptions) -> list[SegmentOutput | Exception]:
        outputs: list[SegmentOutput | Exception] = []
        for segment in segments:
            words = next(iter(segment.wanted), "s")
            text = f"12 ({words}) months"
            spans = (TextSpan(4, 4 + len(words)),) if segment.spans else ()
            outputs.append(SegmentOutput(text, protected=spans))
        return outputs

    repairer = OutputRepairer("pt", "en", DecodingOptions(), retranslate, lambda _, __: True, Usage())
    (output,) = asyncio.run(
        repairer.check_and_repair([ProtectedText("12 (doze) meses")], [SegmentOutput("12 (s) months")])
    )
    assert output == SegmentOutput("12 (twelve) months")
