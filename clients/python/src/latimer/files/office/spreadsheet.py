"""XLSX: the strings of cells, and the text of comments, drawings and charts (ECMA-376 part 1, 18).

A shared string is one unit, whatever the number of its cells. Formulas, numbers and the names of sheets stay. So do the
headers of tables, since formulas and the table itself name them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from latimer.files.document import Document, FileFormat, ReadOptions, Translated, Unit
from latimer.files.markup.edits import Edit, Part
from latimer.files.markup.inline_codes import InlineNode, Run, encode, render
from latimer.files.markup.xml_file import Slot
from latimer.files.markup.xml_source import XmlElement, XmlSource, escape_text
from latimer.files.office.drawing import DRAWN_PARTS, find_drawing_slots
from latimer.files.office.relationships import find_main_part, read_relationships, related
from latimer.files.zipped.zipped_xml import PartReader, XmlPart, ZippedXml

_CELL = re.compile(r"\$?([A-Z]{1,3})\$?([0-9]{1,7})")
# The escapes of characters that XML does not allow, such as `_x000D_` (22.4.2.4).
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


def _find_parts(reader: PartReader, _: ReadOptions) -> Iterator[XmlPart]:
    main = find_main_part(reader, "workbook", "XLSX workbook")
    sheets = related(reader, main, "worksheet")
    headers = {sheet: _find_headers(reader, sheet) for sheet in sheets}
    kept: set[int] = set()
    for sheet, cells in headers.items():
        if cells:
            kept |= _find_strings(reader.read(sheet), cells)
    for name in related(reader, main, "sharedStrings"):
        yield XmlPart(name, partial(_find_shared, kept=kept))
    for sheet in sheets:
        if b"inlineStr" in reader.archive.read(sheet):
            yield XmlPart(sheet, partial(_find_inline, sheet=sheet, headers=headers[sheet]))
        for name in related(reader, sheet, "comments", "threadedComment"):
            yield XmlPart(name, partial(_find_comments, name=name))
        for drawing in related(reader, sheet, "drawing"):
            for name in [drawing, *related(reader, drawing, *DRAWN_PARTS)]:
                yield XmlPart(name, partial(find_drawing_slots, place=name))


def _find_headers(reader: PartReader, sheet: str) -> set[str]:
    """Returns the cells of a sheet that name the columns of tables, such as "B2"."""
    cells: set[str] = set()
    for relationship in read_relationships(reader, sheet).values():
        if relationship.kind != "table" or relationship.target not in reader.names:
            continue
        table = reader.read(relationship.target).root
        ends = [_CELL.fullmatch(end) for end in (table.get("ref") or "").split(":")]
        if len(ends) == 2 and ends[0] and ends[1] and table.get("headerRowCount") != "0":
            for column in range(_column(ends[0][1]), _column(ends[1][1]) + 1):
                cells.add(f"{_letters(column)}{ends[0][2]}")
    return cells


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number


def _letters(column: int) -> str:
    letters = ""
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _cells(source: XmlSource) -> Iterator[XmlElement]:
    data = source.root.first("sheetData")
    for row in data.elements("row") if data else ():
        yield from row.elements("c")


def _find_strings(source: XmlSource, cells: set[str]) -> set[int]:
    """Returns the numbers of the shared strings in cells."""
    found: set[int] = set()
    for cell in _cells(source):
        value = cell.first("v")
        if cell.get("t") == "s" and cell.get("r") in cells and value is not None and value.text.strip().isdecimal():
            found.add(int(value.text))
    return found


def _find_shared(source: XmlSource, kept: set[int]) -> Iterator[Slot]:
    for number, element in enumerate(source.root.elements("si")):
        if number not in kept:
            slot = _read_string(element, f"string {number + 1}")
            if slot is not None:
                yield slot


def _find_inline(source: XmlSource, sheet: str, headers: set[str]) -> Iterator[Slot]:
    for cell in _cells(source):
        reference = cell.get("r") or "?"
        string = cell.first("is")
        if cell.get("t") == "inlineStr" and string is not None and reference not in headers:
            slot = _read_string(string, f"{sheet.rpartition('/')[2]}, cell {reference}")
            if slot is not None:
                yield slot


def _find_comments(source: XmlSource, name: str) -> Iterator[Slot]:
    for number, element in enumerate(source.root.descendants()):
        if element.local == "text" and not element.is_empty_tag:
            place = f"{name.rpartition('/')[2]}, comment {number}"
            slot = _read_string(element, place)
            if slot is not None:
                yield slot


def _read_string(element: XmlElement, place: str) -> Slot | None:
    """Reads a string of a cell (18.4.8): `t`, or runs of rich text. A threaded comment has its words itself.

    A changed string loses the readings of East Asian words, which count its characters.
    """
    runs = list(element.elements("r"))
    texts = list(element.elements("t"))
    nodes: list[InlineNode] = []
    if runs:
        for run in runs:
            properties = run.first("rPr")
            style = element.source[properties.start : properties.end] if properties is not None else ""
            nodes += [Run(_unescape(text.text), style) for text in run.elements("t")]
    else:
        nodes = [Run(_unescape(text.text)) for text in texts] or [Run(element.text)]
    coded = encode(nodes)
    if coded is None:
        return None
    prefix = element.prefix
    pieces = runs or texts
    last = [*pieces, *element.elements("rPh")]
    start, end = (pieces[0].start, max(each.end for each in last)) if pieces else element.inner

    def render_text(text: str) -> str:
        clean = escape_text(_ESCAPED.sub(r"_x005F_x\1_", text))
        space = ' xml:space="preserve"' if clean != clean.strip() or "\n" in clean else ""
        return f"<{prefix}t{space}>{clean}</{prefix}t>"

    def render_run(text: str, style: str) -> Sequence[Part]:
        if not pieces:
            return (escape_text(text),)
        return (f"<{prefix}r>{style}{render_text(text)}</{prefix}r>" if runs else text,)

    def edit(translated: Translated) -> Iterable[Edit]:
        if translated.text is None or translated.text == coded.text:
            return
        parts = render(coded.decode(translated.text), render_run)
        if pieces and not runs:
            parts = [render_text("".join(part for part in parts if isinstance(part, str)))]
        yield Edit(start, end, tuple(parts))

    return Slot(Unit(text=coded.text, form=coded.form, place=place), edit)


def _unescape(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text


def _read(path: Path, options: ReadOptions) -> Document:
    return ZippedXml(path, options, _find_parts)


FORMAT = FileFormat(name="xlsx", suffixes=(".xlsx", ".xlsm", ".xltx", ".xltm"), read=_read)
