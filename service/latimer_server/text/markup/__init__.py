"""Reads HTML, XML and Markdown as blocks to translate, and puts translations back with their tags."""

from latimer_server.text.markup.document import (
    OBJECT,
    Block,
    Mark,
    MarkKind,
    MarkupDocument,
    PlacedBlock,
    TextFormat,
    render,
)
from latimer_server.text.markup.parsing import parse_markup
from latimer_server.text.markup.placement import place_marks

__all__ = [
    "OBJECT",
    "Block",
    "Mark",
    "MarkKind",
    "MarkupDocument",
    "PlacedBlock",
    "TextFormat",
    "parse_markup",
    "place_marks",
    "render",
]
