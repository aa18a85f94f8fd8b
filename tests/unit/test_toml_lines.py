"""Tests of finding the line of a key in a TOML text."""

from __future__ import annotations

import pytest

from latimer_server.config.toml_lines import TomlError, find_line, parse_toml

TEXT = """\
[defaults]
task = "translation"

[models."a.b"]  # a name with a dot
source_languages = [
    "en",
    "xx",
]
files.model.path = "x"

[models.c]
task = 1
[models.c.files.model]
sha256 = "0"
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("defaults", "task"), 2),
        (("models", "a.b"), 4),
        (("models", "a.b", "missing"), 4),
        (("models", "a.b", "source_languages", "1"), 5),
        (("models", "a.b", "files", "model", "path"), 9),
        (("models", "c", "task"), 12),
        (("models", "c", "files", "model", "sha256"), 14),
        (("models", "c", "files", "model", "path"), 13),
        (("nothing",), 1),
    ],
)
def test_the_line_of_a_key_or_of_its_table_is_found(path: tuple[str, ...], line: int) -> None:
    assert find_line(TEXT, path) == line


@pytest.mark.parametrize(
    "key",
    ["a." * 20_000 + "a", "a . " * 10_000 + "a", '"a".' * 10_000 + "a", "'a'." * 10_000 + "a", r'"\"".' * 8_000 + "a"],
    ids=["bare", "spaced", "quoted", "literal", "escaped"],
)
@pytest.mark.parametrize("form", ["{} = 1", "[{}]", "x = {{ {} = 1 }}"], ids=["key", "header", "inline"])
def test_a_dotted_key_of_thousands_of_parts_is_refused_with_its_line(form: str, key: str) -> None:
    with pytest.raises(TomlError, match=r"a dotted key has more than 64 parts \(at line 3\)"):
        parse_toml(f"# keys\n[keys]\n{form.format(key)}\n")


def test_long_words_and_dotted_names_in_values_are_read() -> None:
    name = ".".join(["a"] * 60)
    text = f'{"a" * 40_000} = 1\nname = "{name}"\ndots = "{"." * 40_000}"\n'
    assert parse_toml(text)["name"] == name


@pytest.mark.parametrize("line", [" " * 40_000, "a" + " " * 40_000 + "b", "[" + " " * 40_000 + "]", "]" * 40_000])
def test_long_lines_without_a_key_are_passed(line: str) -> None:
    assert find_line(f"[keys.a]\n{line}\nscopes = 1\n", ("keys", "a", "scopes")) == 3
