"""TMX as a document, and as a stream of translation units."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from latimer.files import FileError, ReadOptions, Translated
from latimer.files.bilingual.tmx_units import TranslationUnit, read_translation_units, write_translation_units
from tests.unit.files.documents import read_texts, translate_file

PORTUGUESE = ReadOptions(source_language="en", target_language="pt-BR")


def write(tmp_path: Path, body: str) -> Path:
    path = tmp_path / "a.tmx"
    path.write_text(
        '<?xml version="1.0"?>\n<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n<tmx version="1.4"><header srclang="en-US"/>'
        f"<body>\n{body}\n</body></tmx>\n"
    )
    return path


UNIT = (
    '<tu tuid="7">\n '
    '<tuv xml:lang="en-US"><seg>See <bpt i="1">&lt;b&gt;</bpt>it<ept i="1">&lt;/b&gt;</ept>.</seg></tuv>'
    "{}\n</tu>"
)


def test_a_unit_without_the_target_language_gets_it(tmp_path: Path) -> None:
    path = write(tmp_path, UNIT.format(""))
    assert read_texts(path, PORTUGUESE) == ["See <g1>it</g1>."]
    written = translate_file(path, lambda _: Translated(text="Veja <g1>isso</g1>.", flags=("REPETITION",)), PORTUGUESE)
    variant = (
        '\n <tuv xml:lang="pt-BR"><prop type="latimer:flags">REPETITION</prop><seg>Veja <bpt i="1">&lt;b&gt;</bpt>isso'
        '<ept i="1">&lt;/b&gt;</ept>.</seg></tuv>'
    )
    assert written == path.read_bytes().replace(b"</tuv>\n", f"</tuv>{variant}\n".encode())


def test_a_unit_with_the_target_language_stays(tmp_path: Path) -> None:
    path = write(tmp_path, UNIT.format('<tuv xml:lang="pt"><seg>Veja</seg></tuv>'))
    assert read_texts(path, PORTUGUESE) == []
    assert translate_file(path, options=PORTUGUESE) == path.read_bytes()


def test_translation_units_are_read_in_a_stream(tmp_path: Path) -> None:
    body = UNIT.format('<tuv xml:lang="pt" changedate="20250102T030405Z"><seg>Veja &amp; leia.</seg></tuv>')
    body += UNIT.format("") + UNIT.format('<tuv xml:lang="fr"><seg>Voir</seg></tuv>')
    assert list(read_translation_units(write(tmp_path, body), "en", "pt-BR")) == [
        TranslationUnit(source="See it.", target="Veja & leia.", changed="20250102T030405Z", context="7")
    ]


def test_written_translation_units_are_read_again(tmp_path: Path) -> None:
    units = [
        TranslationUnit(source='A <g1>"b"</g1> & c\n', target="\u00e9 \U0001f642", changed="20250102T030405Z"),
        TranslationUnit(source="x" * 300_000, target="y", context="a<b"),
    ]
    target = io.BytesIO()
    write_translation_units(target, iter(units), "en", "pt", version="1.0")
    path = tmp_path / "a.tmx"
    path.write_bytes(target.getvalue())
    assert list(read_translation_units(path, "en", "pt")) == units


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<a/>", "is no TMX file"),
        ("<tmx><tu>", "line 1: it is no well-formed XML"),
        ('<!DOCTYPE tmx [<!ENTITY a "b">]><tmx/>', "defines an entity"),
        ("<tmx>" + "<a>" * 300, "nested deeper than 256"),
    ],
)
def test_bad_files_are_refused_with_their_line(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "a.tmx"
    path.write_text(text)
    with pytest.raises(FileError, match=reason):
        list(read_translation_units(path, "en", "pt"))
    with pytest.raises(FileError):
        read_texts(path)
