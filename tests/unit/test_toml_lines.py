"""On which line a key of a TOML text stands."""

from __future__ import annotations

import pytest

from latimer_server.models.catalog.toml_lines import find_line

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
def test_a_key_is_found_or_else_its_table(path: tuple[str, ...], line: int) -> None:
    assert find_line(TEXT, path) == line
