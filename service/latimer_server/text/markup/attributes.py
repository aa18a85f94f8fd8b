"""Finds the attributes of HTML and XML that people read, such as the text in place of an image.

Sources: the HTML standard (alt, title, placeholder, label, the content of meta) and WAI-ARIA 1.2. Pure functions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from html import unescape
from typing import NamedTuple

from latimer_server.core.spans import TextSpan
from latimer_server.text.markup.document import TextFormat
from latimer_server.text.markup.elements import VOIDS, is_untranslated
from latimer_server.text.markup.tags import EACH_ATTRIBUTE, Tag, TokenKind, read_attributes, read_tags

_READ_NAMES = (
    "alt title placeholder label summary aria-label aria-description aria-placeholder aria-roledescription"
    " aria-valuetext"
)
_READ = frozenset(_READ_NAMES.split())
_DESCRIPTION_NAMES = (
    "description og:title og:description og:site_name og:image:alt twitter:title twitter:description twitter:image:alt"
)
_DESCRIPTIONS = frozenset(_DESCRIPTION_NAMES.split())
_BUTTONS = frozenset(("submit", "button", "reset"))


class Attribute(NamedTuple):
    """The value of an attribute that people read.

    `span`: its place in the document, with the quotation marks. `written`: the document's text there. `value`: the text
    that it stands for.
    """

    span: TextSpan
    written: str
    value: str


def find_attributes(source: str, text_format: TextFormat, ignored: Collection[str]) -> Iterator[Attribute]:
    """Yields the attributes of a document in HTML or XML whose values have letters, in order; none in other formats.

    `ignored`: names of elements that are not translated. Attributes of such elements are left out.
    """
    if text_format not in (TextFormat.HTML, TextFormat.XML):
        return
    xml = text_format is TextFormat.XML
    depth, name = 0, ""  # of the elements with the name of the untranslated element around, if there is one
    for tag in read_tags(source, 0, len(source), xml=xml):
        if tag.kind is TokenKind.CLOSE and depth and tag.name == name:
            depth -= 1
        if tag.kind is not TokenKind.OPEN:
            continue
        is_empty = tag.is_void or (not xml and tag.name in VOIDS)
        if depth:
            depth += tag.name == name and not is_empty
        elif is_untranslated(source, tag, ignored):
            depth, name = int(not is_empty), tag.name
        else:
            yield from _read_tag(source, tag)


def write_value(attribute: Attribute, text: str) -> str:
    """Returns a new text as the value of an attribute, escaped and in quotation marks."""
    quote = "'" if attribute.written.startswith("'") else '"'
    escaped = text.replace("&", "&amp;").replace("<", "&lt;")
    return quote + escaped.replace(quote, "&#39;" if quote == "'" else "&quot;") + quote


def _read_tag(source: str, tag: Tag) -> Iterator[Attribute]:
    names = _READ | _list_names(source, tag)
    for match in EACH_ATTRIBUTE.finditer(source, tag.start + 1 + len(tag.name), tag.end - 1):
        written = match["value"] or ""
        value = unescape(written[1:-1] if written[:1] in ("'", '"') else written)
        if match["name"].lower() in names and any(map(str.isalpha, value)):
            yield Attribute(TextSpan(*match.span("value")), written, value)


def _list_names(source: str, tag: Tag) -> frozenset[str]:
    """Returns the names of the attributes that people read in this tag only: descriptions and labels of buttons."""
    if tag.name not in ("meta", "input"):
        return frozenset()
    attributes = read_attributes(source, tag)
    if tag.name == "input":
        return frozenset(("value",) if attributes.get("type", "").strip().lower() in _BUTTONS else ())
    is_description = attributes.get("name", attributes.get("property", "")).strip().lower() in _DESCRIPTIONS
    return frozenset(("content",) if is_description else ())
