"""Values of data that are identifiers are left out of the texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from latimer.files import FileError, find_left_out
from latimer.files.identifiers import is_identifier
from tests.unit.files.round_trips import make_file, open_file, read_texts, translate_file

DATA = '{"id":"abc-123","lang":"en","icon":"arrow-left","enabled":"true","key":"save_button","title":"Save"}\n'
YAML = "id: abc-123\nlang: en\nicon: arrow-left\nenabled: 'true'\nkey: save_button\ntitle: Save\n"


@pytest.mark.parametrize(
    "value",
    [
        *("abc-123", "save_button", "arrow-left", "saveButton", "JavaScript", "v2", "a.b.c", "/usr/bin", "image/png"),
        *("./main", "true", "null", "https://example.org/a?b=c", "mailto:a@example.org", "a.b@example.org", "#ff00aa"),
        *("rgb(1, 2, 3)", "2024-01-05", "2024-01-05T10:00:00Z", "2024-01-05 10:00", "pt-BR", "zh-Hant-TW", "en_US"),
        "d9b2d63d-a233-4123-847a-7090e8f7d1f4",
    ],
)
def test_identifiers(value: str) -> None:
    assert is_identifier(value)


@pytest.mark.parametrize(
    "value",
    [
        *(
            "Save",
            "save",
            "OK",
            "no",
            "Sign-in",
            "E-mail",
            "Yes/No",
            "Saving...",
            "Done.",
            "Name:",
            "第3章",
            "Don't",
            "red",
        ),
        *("A text with save_button in it", "Hello!", "Öffnen"),
    ],
)
def test_texts_are_no_identifiers(value: str) -> None:
    assert not is_identifier(value)


def test_a_short_word_is_a_language_only_under_a_key_of_languages() -> None:
    assert is_identifier("no", "lang")
    assert not is_identifier("no", "answer")


@pytest.mark.parametrize(("name", "content"), [("a.json", DATA), ("a.jsonl", DATA), ("a.yaml", YAML)])
def test_identifiers_stay_and_are_counted_unless_paths_choose_them(tmp_path: Path, name: str, content: str) -> None:
    path = make_file(tmp_path, name, content)
    assert read_texts(path) == ["Save"]
    assert translate_file(path) == content.encode()
    document = open_file(path)
    list(document.units())
    assert find_left_out(document) == 5
    assert read_texts(path, paths=("icon", "title")) == ["arrow-left", "Save"]


@pytest.mark.parametrize(("name", "content"), [("a.json", DATA), ("a.jsonl", DATA), ("a.yaml", YAML)])
def test_a_path_without_a_text_is_refused_with_paths_that_exist(tmp_path: Path, name: str, content: str) -> None:
    path = make_file(tmp_path, name, content)
    with pytest.raises(FileError, match="there is no text at the path 'titel'; it has texts at id, lang, icon"):
        read_texts(path, paths=("title", "titel"))
