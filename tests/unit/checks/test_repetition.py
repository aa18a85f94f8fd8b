"""Tests of the repetition check: loops are found, except for repetitions of the source itself."""

from __future__ import annotations

import pytest

from latimer_server.text.checks.repetition import has_loop

LOOPS = [
    ("pt", "The cat sat down.", "O gato gato gato sentou."),
    ("pt", "The end of it.", "O fim de de de de isso."),
    ("en", "O fim.", "The the the end."),
    ("en", "O fim.", "The end, the end, the end, the end."),
    ("pt", "I do not know.", "Eu não sei o que fazer eu não sei o que fazer eu não sei o que fazer"),
    ("pt", "A thing.", "Uma coisa que se faz na casa uma coisa que se faz na casa uma coisa que se faz na casa"),
    ("pt", "Such a record is stored.", "Such a record is stored in a s s s s s s s s"),
    ("pt", "Hello there.", "Olá aaaaaaaaaaaa."),
    ("pt", "Wait!", "Espere!!!!!!!!!!!!!!!!!!!!"),
    ("pt", "The instructs of the vessel.", "Obedicinginginginginginging do navio."),
    ("pt", "A list", "Uma lista , , , , , ,"),
    ("zh", "It is very good.", "很好很好很好很好很好。"),
    ("ja", "I went home.", "家に帰りました家に帰りました家に帰りました。"),
    ("zh", "Yes.", "的的的的的的的的"),
    ("th", "Good.", "ดีมากดีมากดีมากดีมากดีมาก"),
    ("hi", "Good.", "अच्छा अच्छा अच्छा अच्छा"),
    (
        "pt",
        "We went to the house.",
        "Fomos para a casa do, fomos para a casa da, fomos para a casa de, fomos para a casa.",
    ),
    ("pt", "very very good", "muito muito muito muito bom"),
    ("pt", "ha ha ha", "ha ha ha ha ha ha ha ha"),
]

NO_LOOPS = [
    ("pt", "The cat sat on the mat.", "O gato sentou no tapete."),
    ("pt", "No, no, no!", "Não, não, não!"),
    ("pt", "Ha ha ha ha!", "Ha, ha, ha, ha, ha!"),
    ("pt", "Hahahaha!", "Ha ha ha ha!"),
    ("pt", "That that is, is.", "O que é, é."),
    ("pt", "Step by step, day by day.", "Passo a passo, dia a dia."),
    ("pt", "It was very, very cold.", "Estava muito, muito frio."),
    ("en", "Quem não quer ver, não quer ouvir, não quer falar, não quer andar.",
     "Who does not want to see, does not want to hear, does not want to speak, does not want to walk."),
    ("pt", "Nooooooooo!", "Nãããããããão!"),
    ("pt", "1 million", "1000000"),
    ("pt", "Wait.....................", "Espere......................"),
    ("pt", "----------", "----------"),
    ("zh", "Hahaha!", "哈哈哈！"),
    ("hi", "Grandfather, grandfather!", "बाबा बाबा"),
    ("pt", "A rose is a rose is a rose is a rose.", "Uma rosa é uma rosa é uma rosa é uma rosa."),
    ("pt", "", ""),
]  # fmt: skip


@pytest.mark.parametrize(("language", "source", "output"), LOOPS)
def test_a_loop_is_found(language: str, source: str, output: str) -> None:
    assert has_loop(source, output, language)


@pytest.mark.parametrize(("language", "source", "output"), NO_LOOPS)
def test_ordinary_repetition_is_no_loop(language: str, source: str, output: str) -> None:
    assert not has_loop(source, output, language)


@pytest.mark.parametrize("unit", ["the ", "a b c d e f g h ", "ab", "a", "o gato viu ", "very "])
def test_repetition_of_the_source_is_no_loop(unit: str) -> None:
    assert not has_loop(unit * 20, unit * 20, "pt")
    assert has_loop("The cat.", unit * 20, "pt")


@pytest.mark.parametrize(
    "unit", ["a", "ab", "aab", "the cat ", "aaaaab", "abcdefghijklmnopqrstuvwxyz", "的我是", "x y z "]
)
def test_long_and_hostile_texts_are_read(unit: str) -> None:
    """Each text takes minutes if a step is quadratic."""
    for language in ("pt", "zh"):
        assert not has_loop(unit * (300_000 // len(unit)), unit * (300_000 // len(unit)), language)
