"""DOCX: the paragraphs of a WordprocessingML document (ECMA-376 part 1, 17).

A paragraph is a unit, in the body, tables, text boxes, headers, footers, notes and comments. Links, insertions and
content controls are pairs around their words. Deleted text, instructions of fields and the results of computed fields
are not translated. A changed paragraph loses the traces of spelling checks and of the last page layout.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from latimer.files.document import Document, FileFormat, ReadOptions, Translated, Unit
from latimer.files.markup.edits import Edit, Part, Span
from latimer.files.markup.inline_codes import Atom, InlineNode, Run, Wrap, encode, render
from latimer.files.markup.xml_file import Slot
from latimer.files.markup.xml_source import XmlElement, XmlSource, escape_text
from latimer.files.office.drawing import DRAWN_PARTS, find_drawing_slots
from latimer.files.office.relationships import find_main_part, related
from latimer.files.zipped.zipped_xml import PartReader, XmlPart, ZippedXml

# Elements around runs, which stay around their words.
_WRAPPERS = frozenset(("hyperlink", "ins", "moveTo", "smartTag", "customXml", "dir", "bdo"))
# Traces of the program, which it makes again.
_TRACES = frozenset(("proofErr", "lastRenderedPageBreak", "softHyphen"))
_RANGE = re.compile("(bookmark|commentRange|perm)(Start|End)")
_BREAKS = frozenset(("br", "cr", "tab", "ptab"))
# Fields whose result is text of the author. The results of others, such as page numbers, are computed.
_TEXT_FIELDS = frozenset(("HYPERLINK", "TOC", "INDEX", "QUOTE", "MERGEFIELD"))
# Properties of a run that say nothing about its look.
_INVISIBLE = re.compile(r"<\w+:(?:lang|noProof)(?:\s[^>]*)?/>")
_PARTS = ("header", "footer", "footnotes", "endnotes", "comments")


@dataclass
class _Field:
    """A complex field that is being read.

    `nodes`: the list with its first node, at `start`. `result`: the index of its result there, -1 before it.
    """

    nodes: list[InlineNode]
    start: int
    instruction: str = ""
    result: int = -1

    @property
    def is_text(self) -> bool:
        """True if its result is translated."""
        words = self.instruction.split(maxsplit=1)
        return self.result >= 0 and bool(words) and words[0].upper() in _TEXT_FIELDS


class _Reader:
    """Reads the paragraphs of a part in their order. A field may reach over several."""

    def __init__(self, source: XmlSource, part: str) -> None:
        self._source = source
        self._part = part
        self._fields: list[_Field] = []
        self._number = 0

    def slots(self) -> Iterator[Slot]:
        for element in self._source.root.descendants():
            if element.local == "p" and element.prefix == self._source.root.prefix:
                self._number += 1
                slot = self._read_paragraph(element)
                if slot is not None:
                    yield slot

    def _read_paragraph(self, paragraph: XmlElement) -> Slot | None:
        properties = paragraph.first("pPr")
        span = Span(properties.end if properties else paragraph.open_end, paragraph.close_start)
        nodes = self._read_nodes(paragraph.elements())
        coded = encode(nodes)
        if coded is None:
            return None
        prefix = paragraph.prefix

        def render_run(text: str, style: str) -> Sequence[Part]:
            clean = escape_text(" ".join(text.split("\n")))
            return (
                (f'<{prefix}r>{style}<{prefix}t xml:space="preserve">{clean}</{prefix}t></{prefix}r>',) if clean else ()
            )

        def edit(translated: Translated) -> Iterable[Edit]:
            if translated.text is not None and translated.text != coded.text:
                yield Edit(*span, tuple(render(coded.decode(translated.text), render_run)))

        return Slot(Unit(text=coded.text, form=coded.form, place=f"{self._part}, paragraph {self._number}"), edit)

    def _read_nodes(self, elements: Iterable[XmlElement]) -> list[InlineNode]:
        nodes: list[InlineNode] = []
        starts: dict[str, int] = {}  # of ranges, such as bookmarks
        for element in elements:
            local = element.local
            if local == "r":
                self._read_run(element, nodes)
            elif (found := _RANGE.fullmatch(local)) is not None:
                _read_range(element, found, nodes, starts)
            elif local == "sdt" and (content := element.first("sdtContent")) is not None:
                opening, closing = Span(element.start, content.open_end), Span(content.close_start, element.end)
                nodes.append(_wrap(opening, closing, self._read_nodes(content.elements())))
            elif local in _WRAPPERS and not element.is_empty_tag:
                inner = [each for each in element.elements() if not each.local.endswith("Pr")]
                start = inner[0].start if inner else element.close_start
                opening, closing = Span(element.start, start), Span(element.close_start, element.end)
                nodes.append(_wrap(opening, closing, self._read_nodes(inner)))
            elif local == "fldSimple":
                nodes.append(self._read_simple_field(element))
            elif local in ("oMath", "oMathPara"):
                nodes.append(Atom((Span(element.start, element.end),), "text", element.text))
            elif local not in _TRACES and local != "pPr":
                nodes.append(Atom((Span(element.start, element.end),)))
        return nodes

    def _read_simple_field(self, element: XmlElement) -> InlineNode:
        field = _Field([], 0, next((each.value for each in element.attributes() if each.name.endswith("instr")), ""), 0)
        if not field.is_text:
            return Atom((Span(element.start, element.end),), "text", element.text)
        opening, closing = Span(element.start, element.open_end), Span(element.close_start, element.end)
        return _wrap(opening, closing, self._read_nodes(element.elements()))

    def _read_run(self, run: XmlElement, nodes: list[InlineNode]) -> None:
        properties = run.first("rPr")
        style = _read_style(properties)
        content = [each for each in run.elements() if each is not properties and each.local not in _TRACES]
        for child in content:
            start = len(nodes)
            if child.local in ("t", "noBreakHyphen") and all(field.is_text for field in self._fields):
                nodes.append(Run(child.text if child.local == "t" else "\u2011", style))
                continue
            whole = Span(run.start, run.end) if len(content) == 1 else Span(child.start, child.end)
            parts: tuple[Part, ...] = (whole,)
            if len(content) > 1:
                before = self._source.text[run.start : run.open_end]
                if properties is not None:
                    before += self._source.text[properties.start : properties.end]
                parts = (before, whole, f"</{run.name}>")
            is_result = bool(self._fields) and self._fields[-1].result >= 0
            if child.local in _BREAKS and not self._fields:
                nodes.append(Atom(parts, "break"))
            elif child.local == "t" and is_result:
                nodes.append(Atom(parts, "text", child.text))
            else:
                nodes.append(Atom(parts))
                self._follow_field(child, nodes, start)

    def _follow_field(self, child: XmlElement, nodes: list[InlineNode], at: int) -> None:
        """Follows the marks of complex fields (17.16.18). `at`: the index of the node of `child`."""
        if child.local == "instrText" and self._fields:
            self._fields[-1].instruction += child.text
        if child.local != "fldChar":
            return
        kind = next((each.value for each in child.attributes() if each.name.endswith("fldCharType")), "")
        if kind == "begin":
            self._fields.append(_Field(nodes, at))
        elif kind == "separate" and self._fields:
            self._fields[-1].result = at + 1
        elif kind == "end" and self._fields:
            field = self._fields.pop()
            if field.nodes is nodes:
                _close_field(field, nodes, at)


def _read_range(element: XmlElement, found: re.Match[str], nodes: list[InlineNode], starts: dict[str, int]) -> None:
    """Reads the start or the end of a range, which is around its words if it nests with other ranges."""
    atom = Atom((Span(element.start, element.end),))
    identifier = next((each.value for each in element.attributes() if each.name.endswith(":id")), "")
    key = f"{found[1]} {identifier}"
    at = starts.pop(key, None) if found[2] == "End" else None
    if at is None:
        if found[2] == "Start":
            starts[key] = len(nodes)
        nodes.append(atom)
        return
    opening = nodes[at]
    if isinstance(opening, Atom):
        nodes[at:] = [Wrap(opening.parts, atom.parts, tuple(nodes[at + 1 :]))]
    for other in [other for other, start in starts.items() if start > at]:
        del starts[other]


def _close_field(field: _Field, nodes: list[InlineNode], end: int) -> None:
    """Makes one node of a field that begins and ends in one list of nodes."""
    if field.is_text:
        opening = [node for node in nodes[field.start : field.result] if isinstance(node, Atom)]
        closing = nodes[end]
        inner = tuple(nodes[field.result : end])
        if isinstance(closing, Atom) and len(opening) == field.result - field.start:
            nodes[field.start :] = [Wrap(tuple(part for node in opening for part in node.parts), closing.parts, inner)]
        return
    atoms = [node for node in nodes[field.start :] if isinstance(node, Atom)]
    if len(atoms) == len(nodes) - field.start:
        shown = "".join(atom.text for atom in atoms)
        parts = tuple(part for atom in atoms for part in atom.parts)
        nodes[field.start :] = [Atom(parts, "text" if shown.strip() else "mark", shown)]


def _wrap(opening: Span, closing: Span, nodes: Sequence[InlineNode]) -> Wrap:
    return Wrap((opening,), (closing,), tuple(nodes))


def _read_style(properties: XmlElement | None) -> str:
    """Returns the properties of a run as they are written again; "" if they say nothing about its look."""
    if properties is None or properties.is_empty_tag:
        return ""
    inner = _INVISIBLE.sub("", properties.source[properties.open_end : properties.close_start])
    if not inner.strip():
        return ""
    return f"<{properties.name}>{inner}</{properties.name}>"


def _find_slots(source: XmlSource, name: str) -> Iterator[Slot]:
    return _Reader(source, name).slots()


def _find_parts(reader: PartReader, _: ReadOptions) -> Iterator[XmlPart]:
    main = find_main_part(reader, "document", "DOCX document")
    for name in [main, *related(reader, main, *_PARTS)]:
        yield XmlPart(name, partial(_find_slots, name=name))
        for drawn in related(reader, name, *DRAWN_PARTS):
            yield XmlPart(drawn, partial(find_drawing_slots, place=drawn))


def _read(path: Path, options: ReadOptions) -> Document:
    return ZippedXml(path, options, _find_parts)


FORMAT = FileFormat(name="docx", suffixes=(".docx", ".docm", ".dotx", ".dotm"), read=_read)
