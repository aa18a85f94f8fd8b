r"""Java properties: units, escapes, encodings, and bytes that stay."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latimer.files import FileError
from tests.unit.files.round_trips import make_file, read_texts, read_units, translate_file

SHOP = r"""# A comment: not = text
! another
title = The shop
key\ with\:signs:Caf\u00e9
long=A value \
    that goes on \
    over lines
empty=
number = 12
spaces \
   =  Late value
message=Don''t open {0}, it's {1}
simple=Don''t open {0}
printf=%d files
tail=text\\
"""


def test_values_are_units(tmp_path: Path) -> None:
    units = read_units(make_file(tmp_path, "a.properties", SHOP))
    assert [(unit.context, unit.text) for unit in units] == [
        ("title", "The shop"),
        ("key with:signs", "Café"),
        ("long", "A value that goes on over lines"),
        ("spaces", "Late value"),
        ("message", "Don''t open {0}, it's {1}"),
        ("simple", "Don't open {0}"),
        ("printf", "%d files"),
        ("tail", "text\\"),
    ]
    assert [unit.syntaxes for unit in units[-4:]] == [("icu",), ("icu",), ("printf",), ()]
    assert units[2].place == "line 5"


def test_new_values_are_escaped_and_go_on_over_lines(tmp_path: Path) -> None:
    path = make_file(tmp_path, "a.properties", SHOP)
    assert translate_file(path) == SHOP.encode()
    translated = translate_file(path, lambda text: " " + text.replace("shop", "l'été\n\\") + " and more").decode()
    assert "title = \\ The l'\\u00e9t\\u00e9\\n\\\\ and more\n" in translated
    assert "simple=\\ Don''t open {0} and more\n" in translated
    assert "long=\\ A value that \\\n    goes on over \\\n    lines and more\n" in translated
    assert (
        read_texts(make_file(tmp_path, "b.properties", translated))[2].strip()
        == "A value that goes on over lines and more"
    )


def test_a_sign_at_the_beginning_of_a_value_is_no_separator(tmp_path: Path) -> None:
    path = make_file(tmp_path, "a.properties", "a \\:b\nc \\=d\ne=:f\n")
    assert translate_file(path, lambda text: text + " x") == b"a \\:b x\nc \\=d x\ne=:f x\n"
    assert read_texts(make_file(tmp_path, "b.properties", "a \\:b x\nc \\=d x\ne=:f x\n")) == [":b x", "=d x", ":f x"]


@pytest.mark.parametrize(("encoding", "written"), [("utf-8", "Ünter Ж".encode()), ("latin-1", b"\xdcnter \\u0416")])
def test_the_encoding_of_the_file_stays(tmp_path: Path, encoding: str, written: bytes) -> None:
    path = make_file(tmp_path, "a.properties", "a=Über\r\nb=x\r\n".encode(encoding))
    assert read_texts(path) == ["Über", "x"]
    assert translate_file(path, lambda text: text if text == "x" else "Ünter Ж") == b"a=" + written + b"\r\nb=x\r\n"


def test_a_broken_escape_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"line 2: \\u needs four hexadecimal digits"):
        read_texts(make_file(tmp_path, "a.properties", "a=b\nc=\\u12\nd=\\\\user\n"))
    assert read_texts(make_file(tmp_path, "b.properties", "d=\\\\user\n")) == ["\\user"]


@pytest.mark.parametrize("content", ["", "\ufeff", "# only\n", "=\n", "key\n", "a=\\"])
def test_files_without_texts_stay(tmp_path: Path, content: str) -> None:
    path = make_file(tmp_path, "a.properties", content)
    assert read_texts(path) == []
    assert translate_file(path) == content.encode()


@given(st.text(alphabet=st.sampled_from("ab é=:#!\\ \t\n\r\fu0'{}")))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_every_file_comes_out_as_it_was(tmp_path: Path, content: str) -> None:
    path = make_file(tmp_path, "a.properties", content)
    try:
        texts = read_texts(path)
    except FileError:
        return
    assert translate_file(path) == path.read_bytes()
    changed = make_file(tmp_path, "b.properties", translate_file(path, lambda text: text + "é\\ x"))
    assert read_texts(changed) == [text + "é\\ x" for text in texts]
