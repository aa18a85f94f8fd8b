"""The table of formats: it names what the modules of the formats have, and imports them only when they are needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from latimer.files import FORMATS, FileError, find_format

_LIBRARIES = ("lxml", "ruamel.yaml", "charset_normalizer")


@pytest.mark.parametrize("index", range(len(FORMATS)), ids=lambda index: FORMATS[index].name)
def test_a_format_is_found_by_its_name_and_by_each_of_its_suffixes(index: int, tmp_path: Path) -> None:
    wanted = FORMATS[index]
    assert find_format(tmp_path / "a", wanted.name) == wanted
    for suffix in wanted.suffixes if wanted.is_this is None else ():  # others are told apart by their content
        if sum(suffix in each.suffixes for each in FORMATS) == 1:
            path = tmp_path / f"A{suffix.upper()}"
            path.touch()
            assert find_format(path) == wanted


def test_the_names_of_formats_differ() -> None:
    assert len({each.name for each in FORMATS}) == len(FORMATS)
    assert FORMATS[:2] == tuple(FORMATS)[:2]


def test_an_unknown_format_is_refused_with_the_names_of_all(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="there is no format 'word'; use one of text, markdown, html"):
        find_format(tmp_path / "a", "word")


@pytest.mark.parametrize("module", ["latimer", "latimer.cli.application"])
def test_no_library_of_a_format_is_imported_before_a_file_needs_it(module: str) -> None:
    code = f"import sys, {module}; print([name for name in {_LIBRARIES!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
