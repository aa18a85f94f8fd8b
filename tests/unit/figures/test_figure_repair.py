"""Outputs with wrong figures are repaired as they are, by the alignment of a second run, and at last by protection."""

from __future__ import annotations

from collections.abc import Sequence

from latimer_server.core.decoding import DecodingOptions
from latimer_server.core.flags import Flag
from latimer_server.core.spans import TextSpan
from latimer_server.scheduling import TextWork
from latimer_server.text.alignment import Link
from latimer_server.text.checks.numbers import has_number_mismatch
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.translation.figure_repair import FigureRepairer
from latimer_server.translation.segment_output import Alternative, SegmentOutput

_LANGUAGES = ("en", "pt")


class _Models:
    """Models that return prepared outputs, and record the segments and the alignment that were requested."""

    def __init__(self, *outputs: SegmentOutput) -> None:
        self._outputs = list(outputs)
        self.calls: list[tuple[list[list[str]], bool]] = []

    async def retranslate(
        self, segments: Sequence[ProtectedText], decoding: DecodingOptions
    ) -> list[SegmentOutput | Exception]:
        self.calls.append(([segment.wanted for segment in segments], decoding.alignment))
        return [self._outputs.pop(0) for _ in segments]


async def _repair(
    source: str, output: SegmentOutput, models: _Models, *, aligns: bool = False
) -> SegmentOutput | Exception:
    segment = ProtectedText(source)

    def check(segment: ProtectedText, output: SegmentOutput | Exception) -> SegmentOutput | Exception:
        if isinstance(output, Exception) or not has_number_mismatch(segment.text, output.text, *_LANGUAGES):
            return output
        return SegmentOutput(output.text, flags=(*output.flags, Flag.NUMBER_MISMATCH), protected=output.protected)

    repairer = FigureRepairer(_LANGUAGES, DecodingOptions(), models.retranslate, check, TextWork(), aligns)
    ((result,), _) = await repairer.repair([segment], [output], [check(segment, output)])
    return result


async def test_a_right_output_is_kept_and_no_model_runs() -> None:
    models = _Models()
    output = SegmentOutput("Emprega 12.000 trabalhadores.")
    assert await _repair("It employs 12,000 workers.", output, models, aligns=True) is output
    assert models.calls == []


async def test_a_wrong_notation_is_repaired_without_a_second_run() -> None:
    models = _Models()
    output = SegmentOutput(
        "Emprega 12,000 trabalhadores.",
        flags=(Flag.CACHED,),
        alternatives=(Alternative("Tem 12,000 operários.", -1.0),),
        links=(Link(TextSpan(11, 17), TextSpan(8, 14), 0.9), Link(TextSpan(18, 25), TextSpan(15, 28), 0.9)),
    )
    result = await _repair("It employs 12,000 workers.", output, models, aligns=True)
    assert isinstance(result, SegmentOutput)
    assert (result.text, result.flags) == ("Emprega 12.000 trabalhadores.", (Flag.CACHED,))
    assert result.alternatives == (Alternative("Tem 12.000 operários.", -1.0),)
    assert result.links is not None
    assert result.links[1].target == TextSpan(15, 28)
    assert models.calls == []


async def test_figures_without_a_partner_are_repaired_by_the_alignment_of_a_second_run() -> None:
    source, text = "1,230 cats and 4,560 dogs", "4.500 cães e 1.200 gatos, 7"
    links = (Link(TextSpan(0, 5), TextSpan(13, 18), 0.9), Link(TextSpan(15, 20), TextSpan(0, 5), 0.9))
    models = _Models(SegmentOutput("4.500 cães e 1.200 gatos", links=links))
    result = await _repair(source, SegmentOutput(text), models, aligns=True)
    assert isinstance(result, SegmentOutput)
    assert result.text == "4.560 cães e 1.230 gatos"
    assert models.calls == [([[]], True)]


async def test_figures_that_stay_wrong_are_protected() -> None:
    models = _Models(SegmentOutput("As 1.250 cadeiras custam 9.", protected=(TextSpan(3, 8),)))
    result = await _repair("The 1,250 chairs cost 9.", SegmentOutput("As cadeiras custam 9."), models)
    assert isinstance(result, SegmentOutput)
    assert (result.text, result.protected) == ("As 1.250 cadeiras custam 9.", ())
    assert models.calls == [([["1.250"]], False)]


async def test_a_second_output_that_is_wrong_too_is_not_used() -> None:
    models = _Models(SegmentOutput("Cadeiras 1.250.", protected=(TextSpan(9, 14),)))
    output = SegmentOutput("As cadeiras custam 9.")
    result = await _repair("The 1,250 chairs cost 9.", output, models)
    assert isinstance(result, SegmentOutput)
    assert (result.text, result.flags) == (output.text, (Flag.NUMBER_MISMATCH,))
