"""A unit of measure behind a figure stays that unit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.rewriting import apply_edits
from latimer_server.text.units import has_unit_mismatch, restore_units

EN_PT = ("en", "pt-BR")


@pytest.mark.parametrize(
    ("source", "output", "restored"),
    [
        ("The lake is 12 mi long.", "O lago tem 12 km de comprimento.", "O lago tem 12 milhas de comprimento."),
        ("Walk 50 yards.", "Caminhe 50 metros.", "Caminhe 50 jardas."),
        ("It weighs 5 lb.", "Pesa 5 kg.", "Pesa 5 lb."),
        ("Bake at 350°F.", "Asse a 350°C.", "Asse a 350°F."),
        ("It has 1.5 GB.", "Tem 1,5 MB.", "Tem 1,5 GB."),
    ],
)
def test_another_unit_is_written_again(source: str, output: str, restored: str) -> None:
    assert has_unit_mismatch(source, output, EN_PT)
    edits = restore_units(ProtectedText(source), ProtectedText(output), EN_PT)
    assert apply_edits(output, edits)[0] == restored
    assert not has_unit_mismatch(source, restored, EN_PT)


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("She weighs 140 lbs.", "Ela pesa 140 libras."),
        ("It is 5 miles away.", "Fica a 5 milhas."),
        ("The file has 20 MB.", "O ficheiro tem 20 MB."),
        ("The lake is 12 mi long.", "O lago é longo."),
        ("Profit rose by R$ 5 mi.", "O lucro subiu R$ 5 mi."),
        ("2 cups and 3 m", "2 xícaras e 3 m"),
    ],
)
def test_names_and_symbols_of_a_unit_are_the_same(source: str, output: str) -> None:
    assert not has_unit_mismatch(source, output, EN_PT)
    assert not list(restore_units(ProtectedText(source), ProtectedText(output), EN_PT))


def test_a_converted_figure_is_reported_and_stays() -> None:
    source, output = "The road is 5 miles long.", "A estrada tem 8 quilômetros."
    assert has_unit_mismatch(source, output, EN_PT)
    assert not list(restore_units(ProtectedText(source), ProtectedText(output), EN_PT))


def test_a_figure_that_comes_twice_tells_nothing() -> None:
    source, output = "5 mi or 5 km", "5 km ou 5 km"
    assert has_unit_mismatch(source, output, EN_PT)
    assert not list(restore_units(ProtectedText(source), ProtectedText(output), EN_PT))


@given(st.text(alphabet="12.,mikftlb °FC-"), st.text(alphabet="12.,mikftlb °FC-"))
def test_restored_units_never_mismatch_more(source: str, output: str) -> None:
    restored = apply_edits(output, restore_units(ProtectedText(source), ProtectedText(output), EN_PT))[0]
    if not has_unit_mismatch(source, output, EN_PT):
        assert restored == output
