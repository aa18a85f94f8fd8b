"""ODT, ODS and ODP, zipped and flat."""

from __future__ import annotations

from pathlib import Path

import pytest

from latimer.files import FileError
from tests.unit.files.documents import read_member, read_texts, translate_file, write_zip

_SPACES = " ".join(
    f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for prefix, name in {
        "office": "office",
        "text": "text",
        "style": "style",
        "table": "table",
        "draw": "drawing",
        "fo": "xsl-fo-compatible",
        "presentation": "presentation",
    }.items()
)
STYLES = (
    '<style:style style:name="T1" style:family="text"><style:text-properties fo:font-weight="bold"/></style:style>'
    '<style:style style:name="T2" style:family="text"><style:text-properties fo:language="en"/></style:style>'
    '<style:style style:name="T3" style:family="text"><style:text-properties fo:font-weight="bold"/></style:style>'
)


def write_flat(path: Path, body: str) -> Path:
    path.write_text(
        f"<office:document {_SPACES}><office:automatic-styles>{STYLES}</office:automatic-styles>"
        f"<office:body><office:text>{body}</office:text></office:body></office:document>"
    )
    return path


def translated(tmp_path: Path, body: str, translation: str) -> str:
    written = translate_file(write_flat(tmp_path / "a.fodt", body), lambda _: translation).decode()
    return written.partition("<office:text>")[2].partition("</office:text>")[0]


def texts(tmp_path: Path, body: str) -> list[str]:
    return read_texts(write_flat(tmp_path / "a.fodt", body))


def test_spans_of_another_look_are_tags_and_others_are_not(tmp_path: Path) -> None:
    body = (
        '<text:p>The <text:span text:style-name="T2">quick</text:span> fox is <text:span text:style-name="T1">very'
        '</text:span><text:span text:style-name="T3"> red</text:span> today</text:p>'
    )
    assert texts(tmp_path, body) == ["The quick fox is <g1>very red</g1> today"]
    assert translated(tmp_path, body, "Hoje <g1>vermelha</g1> é") == (
        '<text:p>Hoje <text:span text:style-name="T1">vermelha</text:span> é</text:p>'
    )


def test_spaces_are_those_that_a_reader_sees(tmp_path: Path) -> None:
    body = '<text:p>Two\n   lines <text:s text:c="2"/>and<text:s/> <text:span> more</text:span></text:p>'
    assert texts(tmp_path, body) == ["Two lines   and  more"]
    assert texts(tmp_path, '<text:p>a<text:s text:c="²"/>b</text:p>') == ["a b"]
    assert translated(tmp_path, body, "Um   dois") == '<text:p>Um <text:s text:c="2"/>dois</text:p>'


def test_links_notes_breaks_and_fields_keep_their_places(tmp_path: Path) -> None:
    note = "<text:note><text:note-body><text:p>Note</text:p></text:note-body></text:note>"
    body = (
        f'<text:h>See <text:a href="x">our page</text:a>{note} on<text:tab/>page '
        "<text:page-number>3</text:page-number> now<text:soft-page-break/></text:h>"
    )
    assert texts(tmp_path, body) == [
        'See <g1>our page</g1><x2/> on<br id="3"/>page <g4 translate="no">3</g4> now',
        "Note",
    ]
    path = write_flat(tmp_path / "a.fodt", body)
    written = translate_file(path, lambda unit: "Nota" if unit.text == "Note" else "<x2/><g1>A</g1>").decode()
    assert (
        f'<text:h>{note.replace("Note", "Nota")}<text:a href="x">A</text:a><text:tab/><text:page-number>3'
        "</text:page-number></text:h>"
    ) in written


def test_cells_with_numbers_or_formulas_and_deletions_stay(tmp_path: Path) -> None:
    body = (
        "<text:tracked-changes><text:changed-region><text:deletion><text:p>Gone</text:p></text:deletion>"
        "</text:changed-region></text:tracked-changes>"
        '<table:table><table:table-row><table:table-cell office:value-type="string"><text:p>Words</text:p>'
        '</table:table-cell><table:table-cell office:value-type="date"><text:p>3 May</text:p></table:table-cell>'
        '<table:table-cell office:value-type="string" table:formula="of:=A1"><text:p>Words</text:p></table:table-cell>'
        "</table:table-row></table:table>"
        '<draw:frame presentation:placeholder="true"><text:p>Click to add</text:p></draw:frame>'
    )
    assert texts(tmp_path, body) == ["Words"]


def test_a_zipped_document_keeps_its_mimetype_first(tmp_path: Path) -> None:
    content = write_flat(tmp_path / "a.fodt", "<text:p>Text</text:p>").read_text()
    members = {"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": content, "styles.xml": content}
    path = write_zip(tmp_path / "a.odt", members)
    assert read_texts(path) == ["Text", "Text"]
    assert translate_file(path) == path.read_bytes()
    written = translate_file(path, lambda _: "Novo")
    assert "<text:p>Novo</text:p>" in read_member(written, "content.xml")
    assert written.startswith(path.read_bytes()[:80])


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"content.xml": "<a/>"}, "is no OpenDocument file"),
        (
            {
                "mimetype": "application/vnd.oasis.opendocument.text",
                "META-INF/manifest.xml": "<manifest:encryption-data/>",
                "content.xml": "x",
            },
            "is encrypted with a password",
        ),
    ],
)
def test_other_archives_are_refused(tmp_path: Path, members: dict[str, str], reason: str) -> None:
    with pytest.raises(FileError, match=reason):
        read_texts(write_zip(tmp_path / "a.odt", members))
