"""Text with markup: HTML, XML and Markdown as blocks to translate, and what is translated put back between the tags."""

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
