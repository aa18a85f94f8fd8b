"""The words around a placeholder without a name tell whether it stands for a number."""

from __future__ import annotations

import pytest

from latimer_server.text.protection.builtin import find_builtin
from latimer_server.text.protection.counted_words import is_counted
from latimer_server.text.protection.mask_forms import MASK_FORMS
from latimer_server.text.protection.masking import ProtectedText, mask_spans
from latimer_server.text.protection.spans import merge_spans


def mask(text: str) -> str:
    return mask_spans(ProtectedText(text, merge_spans(find_builtin(text))), MASK_FORMS[0]).text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("You have {1} new messages.", "You have 37 new messages."),
        ("%s files were deleted.", "37 files were deleted."),
        ("There are {} unread notifications", "There are 37 unread notifications"),
        ("{0} of {1} tasks completed", "37 of 58 tasks completed"),
        ("Showing %1 to %2 of %3 entries", "Showing 37 to 58 of 64 entries"),
        ("Delete %s item(s)?", "Delete 37 item T-2?"),
        ("and {0} more", "and 37 more"),
        ("{0} arquivos foram excluídos", "37 arquivos foram excluídos"),
        ("Faltam {0} vagas", "Faltam 37 vagas"),
    ],
)
def test_a_placeholder_before_a_plural_is_a_number(text: str, expected: str) -> None:
    assert mask(text) == expected


@pytest.mark.parametrize(
    "behind",
    [
        " exists already",
        " commented on your posts",
        " is typing",
        " was deleted",
        " previous",
        "'s files",
        "",
        " files'",
    ],
)
def test_a_placeholder_before_a_verb_is_none(behind: str) -> None:
    assert not is_counted(behind)


@pytest.mark.parametrize("text", [" a" * 100_000, " " * 200_000, " as" * 100_000])
def test_hostile_texts_take_linear_time(text: str) -> None:
    is_counted(text)
