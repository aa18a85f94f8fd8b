"""Names of programs in prose are protected where the words around them tell what they are."""

from __future__ import annotations

import pytest

from latimer_server.text.protection.builtin import find_builtin
from latimer_server.text.protection.spans import merge_spans


def protect(text: str) -> list[str]:
    return [text[span.start : span.end] for span in merge_spans(find_builtin(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The package my-project was not found.", ["my-project"]),
        ("Branch feature-login could not be deleted.", ["feature-login"]),
        ("main.c:17:5: warning: unused variable 'count'", ["'count'"]),
        ("No module named 'requests'", ["'requests'"]),
        ('the column "name" is missing', ['"name"']),
        ("O parâmetro 'nome' é obrigatório.", ["'nome'"]),
        ("The function returns None if the key is missing.", ["None"]),
        ("Set debug to True to enable logging.", ["True"]),
        ("Merge branch 'feature/login' into develop", ["develop"]),
        ("Connection to db-03.internal:5432 was lost", ["db-03.internal:5432"]),
    ],
)
def test_names_of_programs_are_protected(text: str, expected: list[str]) -> None:
    assert [name for name in protect(text) if name in expected] == expected


@pytest.mark.parametrize(
    "text",
    [
        "None of them came.",
        "Answer True or False.",
        "He said 'no' and left.",
        "a long-term plan is good",
        "Entrego o projeto segunda-feira.",
        "Keep the file up-to-date.",
        "O programa chama-se.",
        "Host the server on-site.",
        "The service long-term plans offer",
        "It is a well-known key.",
        "Meet me at 10:30.",
    ],
)
def test_prose_is_not_protected(text: str) -> None:
    assert protect(text) == []


@pytest.mark.parametrize(
    "text", ["'a" * 50_000, "a-" * 50_000, "a:1" * 50_000, "True " * 30_000, "Merge branch " * 9_000]
)
def test_hostile_texts_take_linear_time(text: str) -> None:
    protect(text)
