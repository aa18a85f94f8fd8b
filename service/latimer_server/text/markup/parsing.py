"""Finds the blocks to translate in a document, with the reader for HTML, XML or Markdown."""

from __future__ import annotations

from collections.abc import Collection

from latimer_server.text.markup.document import MarkupDocument, TextFormat
from latimer_server.text.markup.html import find_html_blocks
from latimer_server.text.markup.markdown import find_markdown_blocks
from latimer_server.text.markup.xml import find_xml_blocks


def parse_markup(source: str, text_format: TextFormat, ignore_tags: Collection[str] = ()) -> MarkupDocument:
    """Returns a document with the blocks to translate in it. Takes linear time and never raises, whatever the text.

    `source`: the document. `ignore_tags`: names of elements that are not translated; case-sensitive in XML only.
    """
    if text_format is TextFormat.XML:
        return MarkupDocument(source, tuple(find_xml_blocks(source, frozenset(ignore_tags))))
    ignored = frozenset(name.lower() for name in ignore_tags)
    if text_format is TextFormat.HTML:
        return MarkupDocument(source, tuple(find_html_blocks(source, 0, len(source), ignored)))
    return MarkupDocument(source, tuple(find_markdown_blocks(source, ignored)))
