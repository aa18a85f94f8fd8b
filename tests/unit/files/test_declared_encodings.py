"""Declarations of encodings that the bytes of a file contradict."""

from __future__ import annotations

from pathlib import Path

import pytest

from latimer.files import FileError
from tests.unit.files.round_trips import make_file, read_texts, translate_file

PO = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset={}\\n"\n\nmsgid "Café"\nmsgstr ""\n'
HTML = '<html><head><meta charset="{}"></head><body><p>Café</p></body></html>'
XML = '<?xml version="1.0" encoding="{}"?>\n<page><p>Café</p></page>\n'
FILES = {"a.po": PO, "a.html": HTML, "a.xml": XML}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("declared", ["ISO-8859-1", "windows-1252", "KOI8-R"])
def test_a_file_of_utf_8_that_declares_another_encoding_is_refused_with_the_cure(
    tmp_path: Path, name: str, declared: str
) -> None:
    path = make_file(tmp_path, name, FILES[name].format(declared))
    with pytest.raises(FileError, match=r"line \d+: it declares .*, but its bytes are UTF-8; correct the declaration"):
        read_texts(path)


@pytest.mark.parametrize("name", FILES)
def test_a_named_encoding_wins_and_the_output_declares_it(tmp_path: Path, name: str) -> None:
    path = make_file(tmp_path, name, FILES[name].format("ISO-8859-1"))
    assert read_texts(path, encoding="utf-8") == ["Café"]
    written = translate_file(path, lambda _: "Ж", encoding="utf-8").decode()
    assert "Ж" in written
    assert "utf-8" in written.lower()
    assert "8859" not in written


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_latin_1_that_declares_utf_8_is_refused_with_its_line(tmp_path: Path, name: str) -> None:
    path = make_file(tmp_path, name, FILES[name].format("UTF-8").encode("latin-1"))
    with pytest.raises(FileError, match=r"line \d: .*not .*utf-8.*name the encoding"):
        read_texts(path)


@pytest.mark.parametrize("name", FILES)
def test_a_true_declaration_is_believed(tmp_path: Path, name: str) -> None:
    path = make_file(tmp_path, name, FILES[name].format("ISO-8859-1").encode("latin-1"))
    assert read_texts(path) == ["Café"]
    assert translate_file(path, lambda _: "Über").count(b"\xdcber") == 1
