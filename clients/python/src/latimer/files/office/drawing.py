"""The paragraphs of DrawingML text (ECMA-376 part 1, 21.1.2), which slides, charts and diagrams have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from latimer.files.document import Translated, Unit
from latimer.files.markup.edits import Edit, Part, Span
from latimer.files.markup.inline_codes import Atom, InlineNode, Run, encode, render
from latimer.files.markup.xml_file import Slot
from latimer.files.markup.xml_source import XmlElement, XmlSource, escape_text

_NAMESPACES = (
    "http://schemas.openxmlformats.org/drawingml/2006/main",
    "http://purl.oclc.org/ooxml/drawingml/main",
)
# Attributes of a run that say nothing about its look.
_INVISIBLE = re.compile(r'\s(?:lang|altLang|dirty|err|smtClean|smtId|noProof|bmk)="[^"]*"')


# Relationships to the parts that hold text of a drawing.
DRAWN_PARTS = ("chart", "chartEx", "diagramData", "diagramDrawing")
# Where a chart keeps the texts of cells (21.2.2): the names of its series, and its categories.
_CACHES = frozenset(("strCache", "strLit", "lvl", "dlblRangeCache"))


def find_drawing_slots(source: XmlSource, place: str) -> Iterator[Slot]:
    """Yields a slot for each paragraph, each name of a series and category of a chart, and each comment of a slide.

    `place`: names the part.
    """
    number = labels = 0
    for element in source.root.descendants():
        if element.local == "p" and element.namespace in _NAMESPACES:
            number += 1
            slot = _read_paragraph(element, f"{place}, paragraph {number}")
            if slot is not None:
                yield slot
        elif _is_label(element):
            labels += 1
            if any(map(str.isalpha, element.text)):
                yield _read_label(element, f"{place}, label {labels}")


def _is_label(element: XmlElement) -> bool:
    """Returns True for an element with plain words of its own: a text of a chart, or the words of an old comment."""
    parent = element.parent
    if parent is None or element.is_empty_tag:
        return False
    if element.local == "v":
        around = parent.parent
        return parent.local in ("tx", "txData") or (
            parent.local == "pt" and around is not None and around.local in _CACHES
        )
    if element.local == "pt":  # of an extended chart (Office 2016)
        return parent.local == "lvl" and next(element.elements(), None) is None
    return element.local == "text" and parent.local == "cm"  # a comment of a slide before Office 2021


def _read_label(element: XmlElement, place: str) -> Slot:
    text = element.text

    def edit(translated: Translated) -> Iterable[Edit]:
        if translated.text is not None and translated.text != text:
            yield Edit(*element.inner, (escape_text(translated.text),))

    return Slot(Unit(text=text, place=place), edit)


def _read_paragraph(paragraph: XmlElement, place: str) -> Slot | None:
    properties = paragraph.first("pPr")
    closing = paragraph.first("endParaRPr")
    span = Span(
        properties.end if properties else paragraph.open_end,
        closing.start if closing else paragraph.close_start,
    )
    coded = encode(_read_nodes(paragraph))
    if coded is None:
        return None
    prefix = paragraph.prefix

    def render_run(text: str, style: str) -> Sequence[Part]:
        clean = escape_text(" ".join(text.split("\n")))
        return (f"<{prefix}r>{style}<{prefix}t>{clean}</{prefix}t></{prefix}r>",) if clean else ()

    def edit(translated: Translated) -> Iterable[Edit]:
        if translated.text is not None and translated.text != coded.text:
            yield Edit(*span, tuple(render(coded.decode(translated.text), render_run)))

    return Slot(Unit(text=coded.text, form=coded.form, place=place), edit)


def _read_nodes(paragraph: XmlElement) -> list[InlineNode]:
    nodes: list[InlineNode] = []
    for element in paragraph.elements():
        parts = (Span(element.start, element.end),)
        if element.local == "r":
            text = element.first("t")
            nodes.append(Run(text.text if text else "", _read_style(element.first("rPr"))))
        elif element.local == "br":
            nodes.append(Atom(parts, "break"))
        elif element.local == "fld":
            # A number of a slide or a date, which the program computes.
            text = element.first("t")
            nodes.append(Atom(parts, "text", text.text if text else ""))
        elif element.local not in ("pPr", "endParaRPr"):
            nodes.append(Atom(parts))
    return nodes


def _read_style(properties: XmlElement | None) -> str:
    """Returns the properties of a run as they are written again."""
    if properties is None:
        return ""
    source = properties.source
    opening = _INVISIBLE.sub("", source[properties.start : properties.open_end])
    style = opening + source[properties.open_end : properties.end]
    return "" if style == f"<{properties.name}/>" else style
