"""Reads the blocks to translate in HTML, XML and Markdown, and puts translations with their tags in their place."""

from latimer_server.text.markup.attributes import Attribute, find_attributes, write_value
from latimer_server.text.markup.document import (
    LINE_BREAK,
    OBJECT,
    Block,
    Mark,
    MarkKind,
    MarkupDocument,
    PlacedBlock,
    TextFormat,
    render,
)
from latimer_server.text.markup.inline_tags import has_tags, read_inline_tags
from latimer_server.text.markup.parsing import parse_markup
from latimer_server.text.markup.placement import place_marks

__all__ = [
    "LINE_BREAK",
    "OBJECT",
    "Attribute",
    "Block",
    "Mark",
    "MarkKind",
    "MarkupDocument",
    "PlacedBlock",
    "TextFormat",
    "find_attributes",
    "has_tags",
    "parse_markup",
    "place_marks",
    "read_inline_tags",
    "render",
    "write_value",
]
