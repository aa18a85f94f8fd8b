"""Small Office Open XML packages for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.unit.files.documents import write_zip

_RELATIONSHIP = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
R = f'xmlns:r="{_RELATIONSHIP}"'
A = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
S = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


def relationships(targets: Mapping[str, str]) -> str:
    """Returns the relationships of a part. `targets`: kinds by target; the ids are rId1, rId2 and so on."""
    rows = "".join(
        f'<Relationship Id="rId{number}" Type="{_RELATIONSHIP}/{kind}" Target="{target}"/>'
        for number, (target, kind) in enumerate(targets.items(), start=1)
    )
    return f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{rows}</Relationships>'


def write_docx(path: Path, body: str, parts: Mapping[str, str] | None = None) -> Path:
    """Writes a DOCX. `parts`: the content of further parts by file name, such as "footnotes.xml"."""
    parts = parts or {}
    kinds = {name: name.removesuffix(".xml").rstrip("0123456789") for name in parts}
    return write_zip(
        path,
        {
            "[Content_Types].xml": "<Types/>",
            "_rels/.rels": relationships({"word/document.xml": "officeDocument"}),
            "word/document.xml": f'<?xml version="1.0"?>\n<w:document {W} {R}><w:body>{body}</w:body></w:document>',
            "word/_rels/document.xml.rels": relationships(kinds),
            **{f"word/{name}": content for name, content in parts.items()},
        },
    )


def write_pptx(path: Path, *slides: str) -> Path:
    """Writes a PPTX whose slides have these paragraphs, listed in reverse order of their file names."""
    count = len(slides)
    listed = "".join(f'<p:sldId id="{256 + number}" r:id="rId{number}"/>' for number in range(count, 0, -1))
    p = 'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"'
    return write_zip(
        path,
        {
            "_rels/.rels": relationships({"ppt/presentation.xml": "officeDocument"}),
            "ppt/presentation.xml": f"<p:presentation {p} {R}><p:sldIdLst>{listed}</p:sldIdLst></p:presentation>",
            "ppt/_rels/presentation.xml.rels": relationships(
                {f"slides/slide{number}.xml": "slide" for number in range(1, count + 1)}
            ),
            **{
                f"ppt/slides/slide{count - number}.xml": f"<p:sld {p} {A}><p:txBody>{slide}</p:txBody></p:sld>"
                for number, slide in enumerate(slides)
            },
        },
    )


def write_xlsx(path: Path, strings: str, rows: str = "", table: str = "") -> Path:
    """Writes an XLSX with one sheet. `table`: the cells of a table, such as "A1:B2"."""
    members = {
        "_rels/.rels": relationships({"xl/workbook.xml": "officeDocument"}),
        "xl/workbook.xml": f"<workbook {S}/>",
        "xl/_rels/workbook.xml.rels": relationships(
            {"worksheets/sheet1.xml": "worksheet", "sharedStrings.xml": "sharedStrings"}
        ),
        "xl/sharedStrings.xml": f"<sst {S}>{strings}</sst>",
        "xl/worksheets/sheet1.xml": f"<worksheet {S}><sheetData>{rows}</sheetData></worksheet>",
    }
    if table:
        members["xl/worksheets/_rels/sheet1.xml.rels"] = relationships({"../tables/table1.xml": "table"})
        members["xl/tables/table1.xml"] = f'<table {S} ref="{table}"/>'
    return write_zip(path, members)
