"""Finds the blocks to translate in an XML document of any vocabulary.

Content decides, since names may mean anything: an element with text of its own is a block, and the elements in it are
inline. Not inline are block elements of HTML, and elements that hold no text but several elements, or one on a line of
its own. CDATA sections, attributes and declarations of a DTD are not translated.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from latimer_server.text.markup.building import BlockBuilder
from latimer_server.text.markup.document import Block, TextFormat
from latimer_server.text.markup.elements import BLOCKS, is_untranslated, local_name
from latimer_server.text.markup.html import add_inline_tag
from latimer_server.text.markup.tags import Tag, TokenKind, read_tags, split_entities


@dataclass(slots=True)
class _Element:
    """An element of an XML document.

    `parent`: the index of its parent's start tag among the tokens, -1 for none. `end`: the index of its end tag, or of
    the first token behind it if it has none. `has_text`: True if it has text of its own, outside its children.
    `has_lines`: True if its own text has a line break. `children`: their number. `is_inline`: True if it is part of its
    parent's block.
    """

    name: str
    parent: int
    end: int
    has_text: bool = False
    has_lines: bool = False
    children: int = 0
    is_inline: bool = False

    @property
    def is_structure(self) -> bool:
        """True if it holds no text but several elements, or one on a line of its own, like a list in a paragraph."""
        return not self.has_text and (self.children > 1 or (self.children == 1 and self.has_lines))


def find_xml_blocks(source: str, ignored: Collection[str]) -> list[Block]:
    """Returns the blocks of a document. `ignored`: case-sensitive names of elements that are not translated."""
    builder = BlockBuilder(source, TextFormat.XML)
    tags = list(read_tags(source, 0, len(source), xml=True))
    elements, owners = _read_elements(source, tags)
    number = 0
    while number < len(tags):
        tag = tags[number]
        element = elements.get(owners[number])
        if tag.kind is TokenKind.OPEN and element is not None:
            element.is_inline = _is_inline(element, elements)
        if tag.kind is TokenKind.OPEN and element is not None and is_untranslated(source, tag, ignored):
            closed = element.end < len(tags) and owners[element.end] == owners[number]
            last = element.end if closed or tag.is_void else element.end - 1
            _keep_element(builder, element, tag.start, tags[last].end)
            number = last + 1
            continue
        _add_tag(builder, source, tag, element)
        number += 1
    builder.finish_block()
    return builder.blocks


def _read_elements(source: str, tags: Sequence[Tag]) -> tuple[dict[int, _Element], list[int]]:
    """Returns the elements by the index of their start tag, and for each token the index that names its element.

    The element of a tag is its own, or -1 for an end tag without a start tag. The element of another token is the one
    around it, or -1 outside all elements.
    """
    elements: dict[int, _Element] = {}
    owners: list[int] = []
    opened: list[int] = []
    by_name: dict[str, int] = {}
    for number, tag in enumerate(tags):
        around = opened[-1] if opened else -1
        owners.append(around)
        if tag.kind is TokenKind.OPEN:
            owners[-1] = number
            elements[number] = _Element(tag.name, around, number if tag.is_void else len(tags))
            if around in elements:
                elements[around].children += 1
            if not tag.is_void:
                opened.append(number)
                by_name[tag.name] = by_name.get(tag.name, 0) + 1
        elif tag.kind is TokenKind.CLOSE and not by_name.get(tag.name):
            owners[-1] = -1
        elif tag.kind is TokenKind.CLOSE:
            while True:
                ended = opened.pop()
                elements[ended].end = number
                by_name[elements[ended].name] -= 1
                if elements[ended].name == tag.name:
                    break
            owners[-1] = ended
        elif tag.kind is TokenKind.TEXT and around in elements:
            text = source[tag.start : tag.end]
            elements[around].has_text |= bool(text.strip())
            elements[around].has_lines |= "\n" in text
    return elements, owners


def _is_inline(element: _Element, elements: dict[int, _Element]) -> bool:
    parent = elements.get(element.parent)
    if parent is None or element.is_structure or local_name(element.name) in BLOCKS:
        return False
    return parent.has_text or parent.is_inline


def _keep_element(builder: BlockBuilder, element: _Element, start: int, end: int) -> None:
    if element.is_inline:
        builder.add_atom(start, end)
    else:
        builder.finish_block()


def _add_tag(builder: BlockBuilder, source: str, tag: Tag, element: _Element | None) -> None:
    if tag.kind is TokenKind.TEXT:
        for start, end, text in split_entities(source, tag.start, tag.end, xml=True):
            builder.add_text(start, end, text)
    elif tag.kind is TokenKind.OTHER:
        builder.add_atom(tag.start, tag.end, silent=not source.startswith("<![CDATA[", tag.start))
    elif element is not None and not element.is_inline:
        builder.finish_block()
    else:
        add_inline_tag(builder, tag)
