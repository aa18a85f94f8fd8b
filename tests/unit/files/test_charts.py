"""Charts, diagrams, notes and comments of office files: every text that a reader sees is a unit."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from tests.unit.files.documents import read_member, read_texts, translate_file, write_zip
from tests.unit.files.packages import A, R, S, W, relationships

C = 'xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart"'
P = 'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"'


def cache(*texts: str) -> str:
    points = "".join(f'<c:pt idx="{number}"><c:v>{text}</c:v></c:pt>' for number, text in enumerate(texts))
    return f'<c:strCache><c:ptCount val="{len(texts)}"/>{points}</c:strCache>'


CHART = (
    f"<c:chartSpace {C} {A}><c:chart><c:title><c:tx><c:rich><a:p><a:r><a:t>Chart title</a:t></a:r></a:p></c:rich>"
    f"</c:tx></c:title><c:ser><c:tx><c:strRef><c:f>Sheet1!$B$1</c:f>{cache('Sales of food')}</c:strRef></c:tx>"
    f"<c:cat><c:strRef><c:f>Sheet1!$A$2:$A$4</c:f>{cache('First quarter', '2026', 'Bread &amp; milk')}</c:strRef>"
    "</c:cat><c:val><c:numRef><c:f>Sheet1!$B$2</c:f><c:numCache><c:pt><c:v>1e3</c:v></c:pt></c:numCache></c:numRef></c:val></c:ser>"
    "<c:ser><c:tx><c:v>Literal name</c:v></c:tx><c:cat><c:multiLvlStrRef><c:multiLvlStrCache><c:lvl><c:pt><c:v>North"
    "</c:v></c:pt></c:lvl></c:multiLvlStrCache></c:multiLvlStrRef></c:cat></c:ser></c:chart></c:chartSpace>"
)
CHART_TEXTS = ["Chart title", "Sales of food", "First quarter", "Bread & milk", "Literal name", "North"]


def paragraph(text: str) -> str:
    return f"<a:p><a:r><a:t>{text}</a:t></a:r></a:p>"


def write_presentation(path: Path) -> Path:
    kinds = {
        "../charts/chart1.xml": "chart",
        "../diagrams/data1.xml": "diagramData",
        "../notesSlides/notesSlide1.xml": "notesSlide",
        "../comments/comment1.xml": "comments",
    }
    table = f"<a:tbl><a:tr><a:tc><a:txBody>{paragraph('In a table')}</a:txBody></a:tc></a:tr></a:tbl>"
    return write_zip(
        path,
        {
            "_rels/.rels": relationships({"ppt/presentation.xml": "officeDocument"}),
            "ppt/presentation.xml": f'<p:presentation {P} {R}><p:sldIdLst><p:sldId id="1" r:id="rId1"/></p:sldIdLst>'
            "</p:presentation>",
            "ppt/_rels/presentation.xml.rels": relationships({"slides/slide1.xml": "slide"}),
            "ppt/slides/slide1.xml": f"<p:sld {P} {A}><p:txBody>{paragraph('On the slide')}</p:txBody>{table}</p:sld>",
            "ppt/slides/_rels/slide1.xml.rels": relationships(kinds),
            "ppt/charts/chart1.xml": CHART,
            "ppt/diagrams/data1.xml": f'<dgm:dataModel xmlns:dgm="d" {A}>{paragraph("In a diagram")}</dgm:dataModel>',
            "ppt/notesSlides/notesSlide1.xml": f"<p:notes {P} {A}>{paragraph('In the notes')}</p:notes>",
            "ppt/comments/comment1.xml": f"<p:cmLst {P}><p:cm><p:pos/><p:text>An old &lt;comment&gt;</p:text></p:cm>"
            "</p:cmLst>",
        },
    )


def write_report(path: Path) -> Path:
    def part(name: str, text: str) -> str:
        return f"<w:{name} {W}><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:{name}>"

    box = "<w:txbxContent><w:p><w:r><w:t>In a text box</w:t></w:r></w:p></w:txbxContent>"
    body = f"<w:p><w:r><w:t>In the body</w:t></w:r><w:r><w:pict>{box}</w:pict></w:r></w:p>"
    parts = {
        "header1.xml": ("header", part("hdr", "In a header")),
        "footer1.xml": ("footer", part("ftr", "In a footer")),
        "footnotes.xml": ("footnotes", part("footnotes", "In a footnote")),
        "endnotes.xml": ("endnotes", part("endnotes", "In an endnote")),
        "comments.xml": ("comments", part("comments", "In a comment")),
        "charts/chart1.xml": ("chart", CHART),
    }
    return write_zip(
        path,
        {
            "_rels/.rels": relationships({"word/document.xml": "officeDocument"}),
            "word/document.xml": f"<w:document {W}><w:body>{body}</w:body></w:document>",
            "word/_rels/document.xml.rels": relationships({name: kind for name, (kind, _) in parts.items()}),
            **{f"word/{name}": content for name, (_, content) in parts.items()},
        },
    )


def write_workbook(path: Path) -> Path:
    return write_zip(
        path,
        {
            "_rels/.rels": relationships({"xl/workbook.xml": "officeDocument"}),
            "xl/workbook.xml": f'<workbook {S}><sheets><sheet name="Sheet name" sheetId="1"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": relationships(
                {"worksheets/sheet1.xml": "worksheet", "sharedStrings.xml": "sharedStrings"}
            ),
            "xl/sharedStrings.xml": f"<sst {S}><si><t>A shared string</t></si></sst>",
            "xl/worksheets/sheet1.xml": f'<worksheet {S}><sheetData><row><c r="A1" t="inlineStr"><is><t>An inline'
            " string</t></is></c></row></sheetData></worksheet>",
            "xl/worksheets/_rels/sheet1.xml.rels": relationships(
                {"../drawings/drawing1.xml": "drawing", "../comments1.xml": "comments"}
            ),
            "xl/comments1.xml": f"<comments {S}><commentList><comment><text><t>A comment</t></text></comment>"
            "</commentList></comments>",
            "xl/drawings/drawing1.xml": f'<xdr:wsDr xmlns:xdr="x" {A}>{paragraph("In a shape")}</xdr:wsDr>',
            "xl/drawings/_rels/drawing1.xml.rels": relationships({"../charts/chart1.xml": "chart"}),
            "xl/charts/chart1.xml": CHART,
        },
    )


FILES = {
    "a.pptx": (
        write_presentation,
        [
            *("On the slide", "In a table", *CHART_TEXTS),
            *("In a diagram", "In the notes", "An old <comment>"),
        ],
    ),
    "a.docx": (
        write_report,
        [
            *("In the body<x1/>", "In a text box", *CHART_TEXTS, "In a header", "In a footer"),
            *("In a footnote", "In an endnote", "In a comment"),
        ],
    ),
    "a.xlsx": (
        write_workbook,
        ["A shared string", "An inline string", "A comment", "In a shape", *CHART_TEXTS],
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_every_text_that_a_reader_sees_is_a_unit(tmp_path: Path, name: str) -> None:
    write, texts = FILES[name]
    path = write(tmp_path / name)
    assert [text.removesuffix("<x1/>") for text in read_texts(path)] == [text.removesuffix("<x1/>") for text in texts]
    assert translate_file(path) == path.read_bytes()


@pytest.mark.parametrize("name", FILES)
def test_texts_of_charts_are_written_and_references_to_cells_stay(tmp_path: Path, name: str) -> None:
    write, _ = FILES[name]
    written = translate_file(
        write(tmp_path / name), lambda unit: unit.text.replace("Bread", "<Pão>").replace("Sales", "V")
    )
    with zipfile.ZipFile(io.BytesIO(written)) as archive:
        (member,) = (each for each in archive.namelist() if each.endswith("charts/chart1.xml"))
    chart = read_member(written, member)
    assert chart == CHART.replace("Bread", "&lt;Pão&gt;").replace("Sales", "V")
