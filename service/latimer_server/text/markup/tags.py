"""Reads the tags, comments, declarations and text of HTML and XML, with their offsets in the source.

Follows the tokenizer of the HTML standard, and XML. The regular expressions never backtrack, so any text takes linear
time. docs/decisions/0031 explains why no library's parser is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from html import unescape

# The white space of HTML; \s matches more characters.
_S = "[ \t\n\r\f]"
_ATTRIBUTE = (
    rf"(?P<name>[^ \t\n\r\f/>][^ \t\n\r\f/>=]*+)"
    rf"(?:{_S}*+={_S}*+(?P<value>\"[^\"]*+\"|'[^']*+'|[^ \t\n\r\f>\"'][^ \t\n\r\f>]*+|(?=>)))?+"
)
_ATTRIBUTES = rf"(?:[ \t\n\r\f/]++|{_ATTRIBUTE})*+".replace("?P<name>", "?:").replace("?P<value>", "?:")
_TAG = re.compile(rf"<(?P<close>/?+)(?P<name>[^\W\d_][^ \t\n\r\f/>]*+){_ATTRIBUTES}>")
_XML_TAG = re.compile(rf"<(?P<close>/?+)(?P<name>[^\W\d][^ \t\n\r\f/>]*+){_ATTRIBUTES}>")
EACH_ATTRIBUTE = re.compile(_ATTRIBUTE)
_COMMENT_END = re.compile("--!?>")
_DOCTYPE = re.compile(
    r"<!DOCTYPE(?:[^\[\"'>]|\"[^\"]*+\"|'[^']*+')*+"
    r"(?:\[(?:[^\]\"'<]|\"[^\"]*+\"|'[^']*+'|<!--(?:[^-]|-(?!->))*+-->|<)*+\][ \t\n\r]*+)?+>"
)
_ENTITY = re.compile("&(?:#[0-9]++|#[xX][0-9a-fA-F]++|[A-Za-z][A-Za-z0-9]{0,31}+);?+")
_XML_ENTITY = re.compile("&(?:#[0-9]++|#x[0-9a-fA-F]++|[^\\W\\d][\\w:.-]*+);")
_XML_NAMES = frozenset(("&amp;", "&lt;", "&gt;", "&quot;", "&apos;"))
# HTML elements in whose content tags are not markup but text, up to their end tag.
_RAW = frozenset(("script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"))
_MAX_DIGITS = 10


class TokenKind(Enum):
    """Kinds of tokens.

    OTHER: comments, declarations, processing instructions and CDATA sections. RAW: the content of a script, a style
    and other raw elements.
    """

    TEXT = "text"
    OPEN = "open"
    CLOSE = "close"
    OTHER = "other"
    RAW = "raw"


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag, comment or text of the source, with its half-open span in code points.

    `name`: of a tag, in lower case in HTML; of the element around it for RAW; "" for other tokens.
    """

    kind: TokenKind
    start: int
    end: int
    name: str = ""
    is_void: bool = False  # written `<br/>`


def read_tags(source: str, start: int, end: int, *, xml: bool = False) -> Iterator[Tag]:
    """Yields the tokens of a range of HTML or XML, which together cover all of it.

    A `<` that begins no tag, and a tag without an end, are text. A comment without an end reaches to the end of the
    range.
    """
    position = text = start
    # True once a tag with its quoted attributes has no end in the range. From there on, a tag ends at the next `>`,
    # which keeps the time linear.
    broken = False
    while (found := source.find("<", position, end)) >= 0:
        tag = _read_tag(source, found, end, xml=xml, broken=broken)
        if tag is None:
            position = found + 1
            if not broken and _begins_tag(source, found):
                broken = True
                position = found
            elif broken and source.find(">", found, end) < 0:
                break
            continue
        if text < found:
            yield Tag(TokenKind.TEXT, text, found)
        yield tag
        position = text = tag.end
        if not xml and tag.kind is TokenKind.OPEN and tag.name in _RAW:
            closed = re.compile(rf"</{tag.name}(?=[ \t\n\r\f/>])", re.IGNORECASE).search(source, text, end)
            position = closed.start() if closed else end
            if text < position:
                yield Tag(TokenKind.RAW, text, position, tag.name)
            text = position
    if text < end:
        yield Tag(TokenKind.TEXT, text, end)


def read_attributes(source: str, tag: Tag) -> dict[str, str]:
    """Returns the values of a start tag's attributes by lower-case name, with entities decoded.

    An attribute without a value has "". Of equal names the first counts.
    """
    attributes: dict[str, str] = {}
    for match in EACH_ATTRIBUTE.finditer(source, tag.start + 1 + len(tag.name), tag.end - 1):
        value = match["value"] or ""
        attributes.setdefault(match["name"].lower(), unescape(value.strip("\"'") if value[:1] in "\"'" else value))
    return attributes


def split_entities(source: str, start: int, end: int, *, xml: bool = False) -> Iterator[tuple[int, int, str | None]]:
    """Yields the parts of a text as (start, end, value).

    The value of a reference such as `&amp;` is the text that it stands for; that of other text is None. In XML, a
    reference that only a DTD could define has the value U+FFFC, so that it comes out unchanged.
    """
    position = start
    for match in (_XML_ENTITY if xml else _ENTITY).finditer(source, start, end):
        value = _decode_xml(match[0]) if xml else _decode(match[0])
        if value == match[0]:
            continue
        if position < match.start():
            yield position, match.start(), None
        yield match.start(), match.end(), value
        position = match.end()
    if position < end:
        yield position, end, None


def _decode(entity: str) -> str:
    if len(entity.lstrip("&#xX0")) > _MAX_DIGITS and entity[1] == "#":
        return "\ufffd"  # by the HTML standard; int() rejects thousands of digits
    return unescape(entity) or "\ufffd"


def _decode_xml(entity: str) -> str:
    return _decode(entity) if entity[1] == "#" or entity in _XML_NAMES else "\ufffc"


def _begins_tag(source: str, position: int) -> bool:
    name = source[position + 1 : position + 3].removeprefix("/")
    return bool(name) and name[0].isalpha()


def _read_tag(source: str, start: int, end: int, *, xml: bool, broken: bool) -> Tag | None:
    """Returns the token that begins at the `<` at offset `start`, or None if that `<` is text."""
    if source.startswith(("<!", "<?"), start):
        return Tag(TokenKind.OTHER, start, _end_declaration(source, start, end, xml=xml))
    match = None if broken else (_XML_TAG if xml else _TAG).match(source, start, end)
    if match is not None:
        name = match["name"] if xml else match["name"].lower()
        return _make_tag(source, start, match.end(), name, closes=bool(match["close"]))
    if broken and _begins_tag(source, start):
        stop = source.find(">", start, end)
        if stop >= 0:
            closes = source[start + 1] == "/"
            name = re.split("[ \t\n\r\f/>]", source[start + 1 + closes : stop + 1], maxsplit=1)[0]
            return _make_tag(source, start, stop + 1, name if xml else name.lower(), closes=closes)
    if source.startswith("</", start) and not xml and not _begins_tag(source, start) and start + 2 < end:
        stop = source.find(">", start, end)
        return Tag(TokenKind.OTHER, start, stop + 1 if stop >= 0 else end)
    return None


def _make_tag(source: str, start: int, end: int, name: str, *, closes: bool) -> Tag:
    if closes:
        return Tag(TokenKind.CLOSE, start, end, name)
    tag = Tag(TokenKind.OPEN, start, end, name)
    if not source.endswith("/>", start, end):
        return tag
    # The slash of `<a href=x/>` belongs to the value.
    ends = [match.end() for match in EACH_ATTRIBUTE.finditer(source, start + 1 + len(name), end - 1)]
    return tag if ends and ends[-1] == end - 1 else Tag(TokenKind.OPEN, start, end, name, is_void=True)


def _end_declaration(source: str, start: int, end: int, *, xml: bool) -> int:
    """Returns the end of a comment, CDATA section, document type or processing instruction that begins at `start`.

    Without its closing mark it reaches to `end`.
    """
    if source.startswith("<!--", start):
        if not xml and source.startswith((">", "->"), start + 4):
            return source.index(">", start) + 1
        found = _COMMENT_END.search(source, start + 4, end) if not xml else None
        if xml:
            return _after(source, "-->", start + 4, end)
        return found.end() if found else end
    if xml and source.startswith("<![CDATA[", start):
        return _after(source, "]]>", start, end)
    if xml and source.startswith("<?", start):
        return _after(source, "?>", start, end)
    if source[start : start + 9].upper() == "<!DOCTYPE" and xml:
        match = _DOCTYPE.match(source, start, end)
        if match:
            return match.end()
    return _after(source, ">", start, end)


def _after(source: str, mark: str, start: int, end: int) -> int:
    found = source.find(mark, start, end)
    return found + len(mark) if found >= 0 else end
