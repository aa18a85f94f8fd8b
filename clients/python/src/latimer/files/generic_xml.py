"""XML of any vocabulary, by content alone: an element with text of its own is a unit, the elements in it are inline.

An element without text of its own that holds several elements, such as a list in a paragraph, divides the text around
it. `translate="no"`, `its:translate="no"` and `translatable="false"` are respected. Attributes and CDATA sections stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from latimer.files.document import Document, FileFormat, ReadOptions
from latimer.files.markup.edits import Edit, Span
from latimer.files.markup.html_blocks import is_untranslated, language_edits
from latimer.files.markup.inline_xml import InlineKind, content_slot, join_lines, read_nodes
from latimer.files.markup.xml_file import Slot, XmlFile
from latimer.files.markup.xml_source import XML_NAMESPACE, XmlElement, XmlNode, XmlSource, XmlText


def _find(source: XmlSource, options: ReadOptions) -> Iterator[Slot | Edit]:
    yield from language_edits(source.root, options)
    for parent, group in _find_groups(source.root):
        span = Span(group[0].start, group[-1].end)
        keeps_lines = parent.inherited("space", XML_NAMESPACE) == "preserve"
        nodes = read_nodes(group, _classify, (lambda node: node.value) if keeps_lines else _read_text)
        slot = content_slot(source.text, span, nodes, place=f"line {source.line(span.start)}")
        if slot is not None:
            yield slot


def _read_text(node: XmlText) -> str:
    return join_lines(node.value)


def _find_groups(element: XmlElement) -> Iterator[tuple[XmlElement, list[XmlNode]]]:
    """Yields the runs of inline nodes that have text, with the element around them."""
    if _is_kept(element):
        return
    mixed = _has_own_text(element)
    group: list[XmlNode] = []
    for node in element.nodes:
        if isinstance(node, XmlText) and node.is_cdata:
            inline = False
        else:
            inline = mixed and not (isinstance(node, XmlElement) and _is_structure(node))
        if inline:
            group.append(node)
            continue
        if any(not isinstance(each, XmlText) or each.value.strip() for each in group):
            yield element, group
        group = []
        if isinstance(node, XmlElement):
            yield from _find_groups(node)
    if any(not isinstance(each, XmlText) or each.value.strip() for each in group):
        yield element, group


def _has_own_text(element: XmlElement) -> bool:
    return any(isinstance(node, XmlText) and not node.is_cdata and node.value.strip() for node in element.nodes)


def _is_structure(element: XmlElement) -> bool:
    return not _has_own_text(element) and len(list(element.elements())) > 1


def _is_kept(element: XmlElement) -> bool:
    return is_untranslated(element) or element.get("translatable") == "false"


def _classify(element: XmlElement) -> InlineKind:
    return "text" if _is_kept(element) else "wrap"


def _read(path: Path, options: ReadOptions) -> Document:
    return XmlFile(path, options, _find)


FORMAT = FileFormat(name="xml", suffixes=(".xml", ".dbk", ".dita", ".ditamap"), read=_read)
