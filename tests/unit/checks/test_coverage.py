"""A clause is lost if its words have no word in the output by the alignment of the model."""

from __future__ import annotations

import re

import pytest

from latimer_server.text.checks.coverage import has_gap, loses_clause

SOURCE = "The transaction was changed, and the previous report disappeared from the folder."


def loses(source: str, lost: str, output: str = "xxx", language: str = "en") -> bool:
    """Returns the result for an output that answers all words but those in `lost`."""
    tokens = [match.span() for match in re.finditer(r"\w+|[^\w\s]", source)]
    start = source.index(lost)
    end = start + len(lost)
    aligned = {number for number, span in enumerate(tokens) if span[1] <= start or span[0] >= end}
    return has_gap(len(tokens), aligned) and loses_clause(source, tokens, aligned, output, language)


@pytest.mark.parametrize(
    "lost",
    [
        "the previous report disappeared",
        "previous report disappeared",
        ", and the previous report",
        "transaction was changed, and",
    ],
)
def test_words_in_a_row_without_an_answer_are_a_lost_clause(lost: str) -> None:
    assert loses(SOURCE, lost)


@pytest.mark.parametrize("lost", ["previous", "was changed", "and the", "from the folder", ", and the previous"])
def test_a_word_or_two_may_have_no_answer(lost: str) -> None:
    assert not loses(SOURCE, lost)


def test_idioms_and_words_that_the_output_has_are_not_lost() -> None:
    assert not loses("You may be able to take part in it.", "may be able to take")
    assert not loses("By checking to make sure that it runs, you can tell.", "to make sure that")
    assert not loses("Start Windows Update Manager now.", "Windows Update Manager", "Inicie o Windows Update Manager")


def test_positions_beyond_the_tokens_of_the_text_count_as_no_word() -> None:
    assert loses_clause("lost report disappeared", [(0, 4), (5, 11), (12, 23)], {3}, "x y", "xx")
