"""Patterns of MessageFormat: apostrophes, quoted literals and arguments."""

from __future__ import annotations

from pathlib import Path

import pytest

from latimer.files.message_format import read_message, write_icu_text
from tests.unit.files.round_trips import make_file, read_texts, read_units, translate_file


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("Don''t open {0}", "Don't open {0}"),
        ("Write '{' before {0}", "Write '{' before {0}"),
        ("Don''t write '{' or '}'", "Don't write '{' or '}'"),
        ("''{0}'' is missing", "'{0}' is missing"),
        (
            "There {0,choice,0#are none|1#is one|1<are {0} files}.",
            "There {0,choice,0#are none|1#is one|1<are {0} files}.",
        ),
        ("{0, number, #.##} '{0}' of {1}", "{0, number, #.##} '{0}' of {1}"),
    ],
)
def test_a_pattern_has_plain_apostrophes_and_comes_back(pattern: str, text: str) -> None:
    message = read_message(pattern)
    assert message is not None
    assert message.text == text
    assert message.write(text) == pattern


@pytest.mark.parametrize(
    "text", ["It's {0}", "a 'quoted' {0}", "open {0", "close }", "{name} isn''t numbered", "No braces, isn''t it"]
)
def test_a_text_that_is_no_pattern_of_java_is_left_as_it_is(text: str) -> None:
    assert read_message(text) is None


@pytest.mark.parametrize(
    ("pattern", "translation", "written"),
    [
        ("Write '{' before {0}", "L'été: '{' devant {0}", "L''été: '{' devant {0}"),
        ("''{0}'' is missing", "Il manque l'argument '{0}'", "Il manque l''argument ''{0}''"),
        ("Don''t", "N'ouvre", None),
    ],
)
def test_apostrophes_of_a_translation_are_doubled_outside_of_quoted_literals(
    pattern: str, translation: str, written: str | None
) -> None:
    message = read_message(pattern)
    assert (message.write(translation) if message else None) == written


def test_values_of_properties_keep_quoted_braces_and_choices(tmp_path: Path) -> None:
    content = "a=Don''t write '{' here\nb={0,choice,0#none|1#one}\nc={0} of {1} file''s '{x}'\n"
    path = make_file(tmp_path, "a.properties", content)
    # A value without words outside of its arguments has nothing to translate.
    assert read_texts(path) == ["Don't write '{' here", "{0} of {1} file's '{x}'"]
    assert all(unit.syntaxes == ("icu",) for unit in read_units(path))
    assert translate_file(path) == content.encode()
    written = translate_file(path, lambda text: f"L'{text}").decode()
    assert written == "a=L''Don''t write '{' here\nb={0,choice,0#none|1#one}\nc=L''{0} of {1} file''s '{x}'\n"


def test_messages_of_arb_keep_the_apostrophes_of_their_file(tmp_path: Path) -> None:
    content = '{"a": "It\'\'s \'{\' {x}", "b": "It\'s {x}", "c": "{n, plural, one{a day\'\'s} other{days}}"}'
    path = make_file(tmp_path, "a.arb", content)
    assert read_texts(path) == ["It's '{' {x}", "It's {x}", "{n, plural, one{a day's} other{days}}"]
    assert translate_file(path) == content.encode()
    written = translate_file(path, lambda text: f"L'{text}").decode()
    assert write_icu_text("l'{x} c'est", "of {x}") == "l’{x} c'est"
    assert written == (
        "{\"a\": \"L''It''s '{' {x}\", \"b\": \"L'It's {x}\", \"c\": \"L''{n, plural, one{a day''s} other{days}}\"}"
    )
