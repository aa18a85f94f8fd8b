"""JSON, JSON Lines and ARB: units, paths, and bytes that stay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latimer.files import FileError
from latimer.files.identifiers import is_identifier
from tests.unit.files.round_trips import make_file, read_texts, read_units, translate_file

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

MENU = r"""{
  "title" : "Menu of the \"day\"",
  "price": 12.50, "id": "x-1", "big": 1E400,
  "items": [ {"title": "Soup\n\u00e9", "note": null}, {"title":"Fish \/ rice", "tags": ["hot", "new"]} ],
  "title": "A second title", "nested": {"empty": {}, "none": [], "a.b": "Dotted"}
}
"""


def test_string_values_are_units_and_keys_numbers_and_spaces_stay(tmp_path: Path) -> None:
    path = make_file(tmp_path, "a.json", MENU)
    assert read_texts(path) == [
        'Menu of the "day"',
        "Soup\né",
        "Fish / rice",
        "hot",
        "new",
        "A second title",
        "Dotted",
    ]
    assert translate_file(path) == MENU.encode()
    changed = translate_file(path, lambda text: text + ' "q" \\ \t/')
    assert json.loads(changed)["items"][0]["title"] == 'Soup\né "q" \\ \t/'
    assert r'"Fish \/ rice \"q\" \\ \t\/"' in changed.decode()
    assert b"1E400" in changed
    assert b'"title" : "Menu' in changed


def test_contexts_and_places_are_paths_and_lines(tmp_path: Path) -> None:
    units = read_units(make_file(tmp_path, "a.json", MENU))
    assert units[1].context == "items[0].title"
    assert units[1].place == "line 4"
    assert units[-1].context == 'nested["a.b"]'


@pytest.mark.parametrize(
    ("paths", "texts"),
    [
        (("$.items[*].title",), ["Soup\né", "Fish / rice"]),
        (("items.*.title",), ["Soup\né", "Fish / rice"]),
        (("items[1].title",), ["Fish / rice"]),
        (("title",), ['Menu of the "day"', "A second title"]),
        (("$..title",), ['Menu of the "day"', "Soup\né", "Fish / rice", "A second title"]),
        (("items[1].tags[0]", '$.nested["a.b"]'), ["hot", "Dotted"]),
        (("$.items..*",), ["Soup\né", "Fish / rice", "hot", "new"]),
    ],
)
def test_paths_choose_texts(tmp_path: Path, paths: tuple[str, ...], texts: list[str]) -> None:
    path = make_file(tmp_path, "a.json", MENU)
    assert read_texts(path, paths=paths) == texts
    assert translate_file(path, paths=paths) == MENU.encode()


def test_a_path_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    path = make_file(tmp_path, "a.json", MENU)
    with pytest.raises(FileError, match=r"the path 'items\[\?x\]' cannot be read from '\[\?x\]' on; write it like"):
        read_texts(path, paths=("items[?x]",))


def test_a_file_that_escapes_its_letters_goes_on_to_do_so(tmp_path: Path) -> None:
    path = make_file(tmp_path, "a.json", json.dumps({"a": "é", "b": "x"}))
    assert translate_file(path, lambda _: "ü😀") == rb'{"a": "\u00fc\ud83d\ude00", "b": "\u00fc\ud83d\ude00"}'


def test_a_character_that_the_encoding_lacks_is_escaped(tmp_path: Path) -> None:
    path = make_file(tmp_path, "a.json", '{"a": "é"}'.encode("cp1252"))
    assert translate_file(path, lambda _: "éЖ") == b'{"a": "\xe9\\u0416"}'


def test_half_of_a_surrogate_pair_is_a_replacement_character_in_the_text_only(tmp_path: Path) -> None:
    path = make_file(tmp_path, "a.json", r'["cut \ud83d", "whole \ud83d\ude00"]')
    assert read_texts(path) == ["cut \ufffd", "whole 😀"]
    assert translate_file(path) == path.read_bytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1: there is no JSON value"),
        ("\ufeff", "line 1: there is no JSON value"),
        ('{"a": "b"', 'line 1: "," or "}" is missing here'),
        ('{\n"a": "b\n"}', "line 2: a string has a line break"),
        ('["a" "b"]', '"," or "]" is missing'),
        ('["a",]', "a JSON value is missing"),
        ('{"a" "b"}', '":" is missing'),
        ("{a: 1}", "a key in quotation marks is missing"),
        (r'["\x"]', "unknown escape"),
        ('["open', "a string is not closed"),
        ("[1] [2]", "text after the JSON value; use --format jsonl"),
        ("[" * 100_000, "nested more than 1,000 levels"),
        ("[01]", "is missing"),
        ("[NaN]", "a JSON value is missing"),
    ],
)
def test_what_is_no_json_is_refused_with_its_line(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(FileError, match=message.replace("(", r"\(")):
        read_texts(make_file(tmp_path, "a.json", content))


def test_deep_nesting_is_read_without_recursion(tmp_path: Path) -> None:
    path = make_file(tmp_path, "a.json", "[" * 999 + '"deep"' + "]" * 999)
    assert read_texts(path) == ["deep"]
    assert translate_file(path) == path.read_bytes()


def test_json_lines_are_read_line_by_line(tmp_path: Path) -> None:
    content = '{"text": "One", "id": 1}\r\n\n{"text": "Two"}\n["x"]'
    path = make_file(tmp_path, "a.jsonl", content)
    assert [(unit.text, unit.place, unit.context) for unit in read_units(path, paths=("text",))] == [
        ("One", "line 1", "text"),
        ("Two", "line 3", "text"),
    ]
    assert translate_file(path, str.upper, paths=("text",)).decode() == content.replace("One", "ONE").replace(
        "Two", "TWO"
    )


def test_an_error_of_json_lines_names_line_and_column(tmp_path: Path) -> None:
    path = make_file(tmp_path, "a.jsonl", '{"text": "One"}\n{"text": }\n')
    with pytest.raises(FileError, match=r"line 2: a JSON value is missing here \(column 10\)"):
        read_texts(path)


def test_arb_has_icu_texts_and_keeps_descriptions(tmp_path: Path) -> None:
    content = '{"@@locale": "en", "hi": "Hi {name}", "@hi": {"description": "A greeting", "type": "text"}}'
    path = make_file(tmp_path, "app_en.arb", content)
    assert [(unit.text, unit.syntaxes) for unit in read_units(path)] == [("Hi {name}", ("icu",))]
    assert translate_file(path) == content.encode()
    translated = translate_file(path, lambda _: "Oi {name}", target_language="pt-BR")
    assert translated.decode() == content.replace('"en"', '"pt_BR"').replace("Hi {name}", "Oi {name}")


values: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(values, st.booleans(), st.sampled_from([None, 1, "\t"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
def test_every_json_value_is_read_and_written(
    tmp_path: Path, value: Json, ascii_only: bool, indent: int | str | None
) -> None:
    path = make_file(tmp_path, "a.json", json.dumps(value, ensure_ascii=ascii_only, indent=indent))
    assert translate_file(path) == path.read_bytes()
    assert json.loads(translate_file(path, lambda text: text + '\n"é')) == _change(value)


def _change(value: Json, key: str = "") -> Json:
    if isinstance(value, str):
        return value + '\n"é' if any(map(str.isalpha, value)) and not is_identifier(value, key) else value
    if isinstance(value, list):
        return [_change(each, key) for each in value]
    if isinstance(value, dict):
        return {name: _change(each, name) for name, each in value.items()}
    return value


@given(st.text(alphabet='{}[]",:\\ue0a1 \n', max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
def test_the_scanner_accepts_what_pythons_parser_accepts(tmp_path: Path, content: str) -> None:
    path = make_file(tmp_path, "a.json", content)
    try:
        json.loads(content)
        is_json = True
    except ValueError:
        is_json = False
    if is_json:
        read_texts(path)
    else:
        with pytest.raises(FileError):
            read_texts(path)
