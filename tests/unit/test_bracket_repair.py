"""Brackets that a model dropped are put back around the words that answer those inside."""

from __future__ import annotations

import re

import pytest

from latimer_server.core.spans import TextSpan
from latimer_server.text.alignment import Link
from latimer_server.text.bracket_repair import loses_brackets, restore_brackets
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.rewriting import apply_edits


def link_words(source: str, output: str) -> list[Link]:
    """Returns links between the words of two texts in their order."""
    words = re.finditer(r"\w+", source), re.finditer(r" ?\w+", output)
    return [Link(TextSpan(*a.span()), TextSpan(*b.span()), 1.0) for a, b in zip(*words, strict=True)]


def write(source: str, output: str) -> str:
    edits = restore_brackets(ProtectedText(source), ProtectedText(output), link_words(source, output))
    return apply_edits(output, edits)[0]


@pytest.mark.parametrize(
    ("source", "output", "expected"),
    [
        ("send it (by mail).", "envie isso por correio).", "envie isso (por correio)."),
        ("send it (by mail) now", "envie isso (por correio agora", "envie isso (por correio) agora"),
        ("send it (by mail) now", "envie isso por correio agora", "envie isso (por correio) agora"),
        ("the tax [VAT] is (not) due", "o imposto IVA é (não) devido", "o imposto [IVA] é (não) devido"),
        ("a (b) c (d) e", "a (b) c d e", "a (b) c (d) e"),
    ],
)
def test_lost_brackets_come_back(source: str, output: str, expected: str) -> None:
    assert loses_brackets(ProtectedText(source), ProtectedText(output))
    assert write(source, output) == expected


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("send it (by mail) now", "envie isso (por correio) agora"),
        ("a) the buyer", "o comprador"),
        ("see :( there", "veja ali"),
        ("no brackets here", "sem (parênteses) aqui"),
    ],
)
def test_other_outputs_stay(source: str, output: str) -> None:
    assert not loses_brackets(ProtectedText(source), ProtectedText(output))


def test_words_that_are_torn_apart_get_no_new_pair() -> None:
    source, output = "send (by mail) it", "por isso correio"
    links = [Link(TextSpan(6, 8), TextSpan(0, 3), 1.0), Link(TextSpan(9, 13), TextSpan(9, 16), 1.0)]
    links.append(Link(TextSpan(15, 17), TextSpan(4, 8), 1.0))
    assert list(restore_brackets(ProtectedText(source), ProtectedText(output), links)) == []


def test_hostile_texts_take_linear_time() -> None:
    loses_brackets(ProtectedText("(" * 200_000), ProtectedText(")" * 200_000))
    loses_brackets(ProtectedText("()" * 100_000), ProtectedText("a"))
