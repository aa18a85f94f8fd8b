"""Finds the blocks of text in XHTML by the names of elements, as the server does in HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator

from latimer.files.document import ReadOptions
from latimer.files.languages import is_language
from latimer.files.markup.edits import Edit, Span
from latimer.files.markup.inline_xml import InlineKind, content_slot, read_nodes
from latimer.files.markup.xml_file import Slot
from latimer.files.markup.xml_source import (
    XML_NAMESPACE,
    XmlElement,
    XmlNode,
    XmlSource,
    XmlText,
    escape_attribute,
)

_BLOCK_NAMES = """
    address article aside blockquote body button caption center col colgroup datalist dd details dialog dir div dl dt
    fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 head header hgroup hr html label legend li link listing
    main menu meta nav noscript ol optgroup option p param plaintext pre search section select slot source summary
    table tbody td template tfoot th thead title tr track ul video audio
"""
_BLOCKS = frozenset(_BLOCK_NAMES.split())
# Code, formulas, drawings and the readings of East Asian words, which are not translated.
_UNTOUCHED_NAMES = """
    code kbd samp var tt math svg pre listing plaintext script style textarea xmp iframe rt rp object audio video
"""
_UNTOUCHED = frozenset(_UNTOUCHED_NAMES.split())
# Of these, elements that show no words within a sentence.
_SILENT = frozenset(("svg", "script", "style", "iframe", "textarea", "object"))
_SPACE = re.compile("[ \t\r\n\f]+")


def find_html_slots(source: XmlSource, place: str) -> Iterator[Slot]:
    """Yields a slot for each block of text. `place`: names the file in its package; "" for a file of its own."""
    before = f"{place}, " if place else ""
    for group in _find_groups(source.root, {}):
        span = Span(group[0].start, group[-1].end)
        nodes = read_nodes(group, classify, lambda node: _SPACE.sub(" ", node.value))
        slot = content_slot(source.text, span, nodes, place=f"{before}line {source.line(span.start)}")
        if slot is not None:
            yield slot


def language_edits(element: XmlElement, options: ReadOptions) -> Iterator[Edit]:
    """Yields the edits that declare the target language where an element declares the source language."""
    for attribute in (element.attribute("lang"), element.attribute("lang", XML_NAMESPACE)):
        if attribute is None or attribute.value == options.target_language:
            continue
        if options.source_language is None or is_language(attribute.value, options.source_language):
            yield Edit(attribute.start, attribute.end, (escape_attribute(options.target_language),))


def is_untranslated(element: XmlElement) -> bool:
    """Returns True if an attribute says that an element is not translated."""
    says = element.get("translate") or element.get("translate", "http://www.w3.org/2005/11/its")
    return says == "no" or "notranslate" in (element.get("class") or "").split()


def classify(element: XmlElement) -> InlineKind:
    """Returns how an inline element of HTML is read."""
    name = element.local.lower()
    if name == "br":
        return "break"
    if name in _SILENT or not element.nodes:
        return "mark"
    return "text" if name in _UNTOUCHED or is_untranslated(element) else "wrap"


def _find_groups(element: XmlElement, known: dict[int, bool]) -> Iterator[list[XmlNode]]:
    """Yields the runs of nodes between blocks that have text."""
    group: list[XmlNode] = []
    for node in element.nodes:
        if not isinstance(node, XmlElement) or not _is_block(node, known):
            group.append(node)
            continue
        if _has_text(group):
            yield group
        group = []
        if node.local.lower() not in _UNTOUCHED and not is_untranslated(node):
            yield from _find_groups(node, known)
    if _has_text(group):
        yield group


def _has_text(group: list[XmlNode]) -> bool:
    return any(
        bool(node.value.strip()) if isinstance(node, XmlText) else isinstance(node, XmlElement) and bool(node.nodes)
        for node in group
    )


def _is_block(element: XmlElement, known: dict[int, bool]) -> bool:
    """Returns True for a block, and for an inline element around blocks. `known`: answers by position."""
    if element.start not in known:
        known[element.start] = element.local.lower() in _BLOCKS or any(
            _is_block(child, known) for child in element.elements()
        )
    return known[element.start]
