"""ODT, ODS and ODP: the paragraphs and headings of OpenDocument 1.3 (ISO/IEC 26300), zipped or flat.

Text boxes, tables, headers, footers, notes and annotations have paragraphs too. Tracked deletions, cells with numbers
or formulas, computed fields and the prompts of masters stay. A changed paragraph has spans of one formatting joined.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from latimer.files.document import Document, FileError, FileFormat, ReadOptions, Translated, Unit
from latimer.files.markup.edits import Edit, Part, Span
from latimer.files.markup.inline_codes import Atom, InlineNode, Run, encode, render
from latimer.files.markup.inline_xml import wrap_element
from latimer.files.markup.xml_file import Slot, XmlFile
from latimer.files.markup.xml_source import XmlElement, XmlNode, XmlSource, XmlText, escape_text
from latimer.files.zipped.zipped_xml import PartReader, XmlPart, ZippedXml

_TEXT = "urn:oasis:names:tc:opendocument:xmlns:text:1.0"
_SPACE = re.compile("[ \t\r\n]+")
_SPACE_RUNS = re.compile("( +)")
_BREAKS = frozenset(("tab", "line-break"))
_MARKS = frozenset(
    (
        *("bookmark", "bookmark-start", "bookmark-end", "reference-mark", "reference-mark-start", "reference-mark-end"),
        *("change", "change-start", "change-end", "note", "toc-mark", "toc-mark-start", "toc-mark-end"),
        *("alphabetical-index-mark", "alphabetical-index-mark-start", "alphabetical-index-mark-end"),
    )
)
_WRAPPERS = frozenset(("a", "meta"))
# Elements with paragraphs that no reader sees, or that are deleted.
_HIDDEN = frozenset(("tracked-changes", "index-title-template", "script"))
# Properties of a text style that say nothing about its look.
_INVISIBLE = re.compile(r"(?:.*:)?(?:rsid|paragraph-rsid|language|country|script|rfc-language-tag)(?:-\w+)?")


def find_slots(source: XmlSource, place: str) -> Iterator[Slot]:
    """Yields a slot for each paragraph or heading of a part. `place`: names the part; "" for a file of one part."""
    styles = _read_styles(source.root)
    before = f"{place}, " if place else ""
    number = 0
    for element in source.root.descendants(enter=_is_shown):
        if element.namespace == _TEXT and element.local in ("p", "h"):
            number += 1
            if _is_text_of_cell(element):
                slot = _read_paragraph(element, styles, f"{before}paragraph {number}")
                if slot is not None:
                    yield slot


def _is_shown(element: XmlElement) -> bool:
    return element.local not in _HIDDEN and not any(
        each.name.endswith("presentation:placeholder") or (each.name.endswith(":placeholder") and each.value == "true")
        for each in (element.attributes() if element.local == "frame" else ())
    )


def _is_text_of_cell(paragraph: XmlElement) -> bool:
    """Returns False for the shown form of a number, and for the result of a formula."""
    cell = paragraph.parent
    if cell is None or cell.local not in ("table-cell", "covered-table-cell"):
        return True
    values = {each.name.rpartition(":")[2]: each.value for each in cell.attributes()}
    return "formula" not in values and values.get("value-type", "string") == "string"


def _read_styles(root: XmlElement) -> Mapping[str, str]:
    """Returns for each automatic text style the first one of the same look, "" for one without a look."""
    found: dict[str, str] = {}
    first: dict[tuple[str, ...], str] = {}
    automatic = root.first("automatic-styles")
    for style in automatic.elements("style") if automatic else ():
        attributes = {each.name.rpartition(":")[2]: each.value for each in style.attributes()}
        if attributes.get("family") != "text" or "name" not in attributes:
            continue
        look = [attributes.get("parent-style-name", "")]
        for properties in style.elements():
            kept = [each for each in properties.attributes() if not _INVISIBLE.fullmatch(each.name)]
            inner = properties.source[slice(*properties.inner)].strip()
            look += [f"{each.name}={each.value}" for each in kept] + ([inner] if inner else [])
        found[attributes["name"]] = first.setdefault(tuple(look), attributes["name"]) if any(look) else ""
    return found


def _read_paragraph(paragraph: XmlElement, styles: Mapping[str, str], place: str) -> Slot | None:
    coded = encode(_read_nodes(paragraph.nodes, styles, ""))
    if coded is None:
        return None

    def edit(translated: Translated) -> Iterable[Edit]:
        if translated.text is not None and translated.text != coded.text:
            writer = _RunWriter(paragraph.prefix)
            yield Edit(*paragraph.inner, tuple(render(coded.decode(translated.text), writer.render)))

    return Slot(Unit(text=coded.text, form=coded.form, place=place), edit)


class _RunWriter:
    """Writes the runs of a paragraph in their order. A space behind another one needs an element (6.1.2)."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._after_space = True  # spaces at the start of a paragraph are dropped too

    def render(self, text: str, style: str) -> Sequence[Part]:
        """Returns the source of a text in spans, of which `style` has the start tags."""
        if not text:
            return ()
        pieces: list[Part] = [style]
        for piece in _SPACE_RUNS.split(escape_text(text.replace("\n", " "))):
            shown = piece
            if piece.startswith(" "):
                count = len(piece) - (not self._after_space)
                space = "" if self._after_space else " "
                shown = f'{space}<{self._prefix}s {self._prefix}c="{count}"/>' if count else space
            if piece:
                self._after_space = piece.endswith(" ")
            pieces.append(shown)
        return (*pieces, f"</{self._prefix}span>" * style.count("<"))


def _read_nodes(nodes: Iterable[XmlNode], styles: Mapping[str, str], style: str) -> list[InlineNode]:
    """Returns the inline nodes of XML nodes. `style`: the start tags of the spans around them."""
    read: list[InlineNode] = []
    for node in nodes:
        if isinstance(node, XmlText):
            text = _SPACE.sub(" ", node.value)
            # Spaces beside each other are one, also across the ends of elements.
            if text.startswith(" ") and read and isinstance(read[-1], Run) and read[-1].text.endswith(" "):
                text = text[1:]
            read.append(Run(text, style))
        elif isinstance(node, XmlElement):
            read += _read_element(node, styles, style)
    return read


def _read_element(element: XmlElement, styles: Mapping[str, str], style: str) -> Sequence[InlineNode]:
    local = element.local
    source = element.source
    whole = Span(element.start, element.end)
    parts: tuple[Part, ...] = (style, whole, f"</{element.prefix}span>" * style.count("<")) if style else (whole,)
    if element.namespace != _TEXT:
        return (Atom(parts),)
    if local == "span":
        tag = source[element.start : element.open_end]
        name = next((each.value for each in element.attributes() if each.name.endswith(":style-name")), "")
        look = styles.get(name, name)
        opening = "" if not look else tag if look == name else f'<{element.name} {element.prefix}style-name="{look}">'
        return _read_nodes(element.nodes, styles, style + opening)
    if local == "s":
        count = next((each.value for each in element.attributes() if each.name.endswith(":c")), "1")
        return (Run(" " * min(int(count), 1000) if count.isdecimal() else " ", style),)
    if local in _WRAPPERS and not element.is_empty_tag:
        return (wrap_element(element, _read_nodes(element.nodes, styles, style)),)
    if local == "soft-page-break":
        return ()
    if local in _BREAKS:
        return (Atom((whole,), "break"),)
    if local in _MARKS:
        return (Atom(parts),)
    # A field, such as a page number, or a ruby.
    return (Atom(parts, "text", element.text),)


def _find_parts(reader: PartReader, _: ReadOptions) -> Iterator[XmlPart]:
    path = reader.archive.path
    if "mimetype" not in reader.names or b"opendocument" not in reader.archive.read("mimetype"):
        raise FileError(path, "it is no OpenDocument file", cure="check its name, or name its format")
    manifest = "META-INF/manifest.xml"
    if manifest in reader.names and b"encryption-data" in reader.archive.read(manifest):
        raise FileError(path, "it is encrypted with a password", cure="save it without a password")
    names = ["content.xml", "styles.xml", *(name for name in reader.archive.names if name.endswith("/content.xml"))]
    for name in names:
        if name in reader.names:
            yield XmlPart(name, partial(find_slots, place=name))


def _find_flat(source: XmlSource, _: ReadOptions) -> Iterator[Slot]:
    return find_slots(source, "")


def _read(path: Path, options: ReadOptions) -> Document:
    return ZippedXml(path, options, _find_parts)


def _read_flat(path: Path, options: ReadOptions) -> Document:
    return XmlFile(path, options, _find_flat)


FORMAT = FileFormat(name="odf", suffixes=(".odt", ".ods", ".odp", ".ott", ".ots", ".otp", ".odg"), read=_read)
FLAT = FileFormat(name="flat-odf", suffixes=(".fodt", ".fods", ".fodp", ".fodg"), read=_read_flat)
