"""PPTX: the text of slides, their notes, comments, charts and diagrams (ECMA-376 part 1, 19).

The prompts of layouts and masters, which no slide shows, stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from latimer.files.document import Document, FileFormat, ReadOptions
from latimer.files.office.drawing import DRAWN_PARTS, find_drawing_slots
from latimer.files.office.relationships import find_main_part, read_relationships, related
from latimer.files.zipped.zipped_xml import PartReader, XmlPart, ZippedXml

_PARTS = (*DRAWN_PARTS, "notesSlide", "comments")


def _find_parts(reader: PartReader, _: ReadOptions) -> Iterator[XmlPart]:
    main = find_main_part(reader, "presentation", "PPTX presentation")
    relationships = read_relationships(reader, main)
    listed = reader.read(main).root.first("sldIdLst")
    for number, element in enumerate(listed.elements("sldId") if listed else (), start=1):
        identifier = next((each.value for each in element.attributes() if each.name.endswith(":id")), "")
        slide = relationships.get(identifier)
        if slide is None or slide.target not in reader.names:
            continue
        yield _part(slide.target, f"slide {number}")
        for name in related(reader, slide.target, *_PARTS):
            place = "notes" if "notesSlide" in name else name.rpartition("/")[2]
            yield _part(name, f"slide {number}, {place}")


def _part(name: str, place: str) -> XmlPart:
    return XmlPart(name, partial(find_drawing_slots, place=place))


def _read(path: Path, options: ReadOptions) -> Document:
    return ZippedXml(path, options, _find_parts)


FORMAT = FileFormat(name="pptx", suffixes=(".pptx", ".pptm", ".ppsx", ".ppsm", ".potx"), read=_read)
