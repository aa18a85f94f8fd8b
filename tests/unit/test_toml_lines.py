"""Tests of finding the line of a key in a TOML text."""

from __future__ import annotations

import pytest

from latimer_server.config.toml_lines import find_line

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
