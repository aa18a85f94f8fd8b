"""Reads XML into elements that know their positions in the text of the file.

Expat checks that the document is well-formed, so the tokens can be found by a regular expression. Nothing is resolved:
a document that defines an entity is refused, since entities can expand without bound or name other files.
"""

from __future__ import annotations

import codecs
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from html import unescape
from html.entities import html5
from pathlib import Path
from xml.parsers import expat

from latimer.files.document import FileError
from latimer.files.encoding import is_misread_utf8, is_same_encoding, misdeclared
from latimer.files.markup.edits import Span

XML_NAMESPACE = "http://www.w3.org/XML/1998/namespace"
# Bounds of a document. Real ones stay far below.
MAX_BYTES = 512 * 1024 * 1024
MAX_DEPTH = 256

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_DECLARED = re.compile(rb"""^\s*<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_DECLARED_TEXT = re.compile(_DECLARED.pattern.decode())
_TOKEN = re.compile(
    r"<!--.*?-->|<\?.*?\?>|<!\[CDATA\[.*?\]\]>"
    r"|<!DOCTYPE(?:[^\[>\"']|\"[^\"]*\"|'[^']*')*(?:\[(?:[^\]\"'<]|\"[^\"]*\"|'[^']*'|<!--.*?-->|<\?.*?\?>|<)*\]\s*)?>"
    r"|</(?P<closed>[^\s>]+)\s*>|<(?P<opened>[^\s/>]+)(?P<rest>[^>\"']*(?:(?:\"[^\"]*\"|'[^']*')[^>\"']*)*)>",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r"""([^\s=/"']+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_REFERENCE = re.compile(r"&(#[0-9]+|#x[0-9A-Fa-f]+|[^;&\s]+);")
_PREDEFINED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
# Characters that XML 1.0 does not allow.
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


_Fail = Callable[..., FileError]


@dataclass(frozen=True, slots=True)
class XmlText:
    """Character data. `start` and `end` are those of its source, of a CDATA section with its delimiters."""

    start: int
    end: int
    value: str
    is_cdata: bool = False


@dataclass(frozen=True, slots=True)
class XmlOther:
    """A comment, a processing instruction, or a reference to an entity that is not known."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class XmlAttribute:
    """An attribute. `start` and `end` are those of its value without the quotation marks."""

    name: str
    value: str
    start: int
    end: int


@dataclass(slots=True, eq=False)
class XmlElement:
    """An element. Its start tag is at [start, open_end), its end tag at [close_start, end), empty in `<a/>`."""

    source: str = field(repr=False)
    name: str  # as written, with its prefix
    namespace: str
    parent: XmlElement | None = field(repr=False)
    start: int
    open_end: int
    scope: Mapping[str, str] = field(repr=False)  # namespaces by prefix
    close_start: int = -1
    end: int = -1
    nodes: list[XmlElement | XmlText | XmlOther] = field(default_factory=list, repr=False)

    @property
    def local(self) -> str:
        """The name without its prefix."""
        return self.name.rpartition(":")[2]

    @property
    def prefix(self) -> str:
        """The prefix with its colon, or ""."""
        return self.name[: -len(self.local)]

    @property
    def inner(self) -> Span:
        """The span of the content."""
        return Span(self.open_end, self.close_start)

    @property
    def is_empty_tag(self) -> bool:
        """True for `<a/>`."""
        return self.open_end == self.end

    @property
    def text(self) -> str:
        """The character data inside the element and its descendants."""
        pieces: list[str] = []
        for node in self.nodes:
            if isinstance(node, XmlText):
                pieces.append(node.value)
            elif isinstance(node, XmlElement):
                pieces.append(node.text)
        return "".join(pieces)

    def attributes(self) -> list[XmlAttribute]:
        """Returns the attributes in their order."""
        matches = _ATTRIBUTE.finditer(self.source, self.start + 1 + len(self.name), self.open_end)
        return [
            XmlAttribute(match[1], decode_text(match[2] or match[3] or ""), *match.span(2 if match[3] is None else 3))
            for match in matches
        ]

    def attribute(self, local: str, namespace: str = "") -> XmlAttribute | None:
        """Returns an attribute by name; one without a prefix is in no namespace."""
        if local not in self.source[self.start : self.open_end]:
            return None
        for attribute in self.attributes():
            prefix, _, name = attribute.name.rpartition(":")
            if name == local and (self.scope.get(prefix) if prefix else "") == namespace:
                return attribute
        return None

    def get(self, local: str, namespace: str = "") -> str | None:
        """Returns the value of an attribute, or None."""
        found = self.attribute(local, namespace)
        return None if found is None else found.value

    def elements(self, *locals_: str) -> Iterator[XmlElement]:
        """Yields the child elements, all or those with these local names."""
        for node in self.nodes:
            if isinstance(node, XmlElement) and (not locals_ or node.local in locals_):
                yield node

    def first(self, local: str) -> XmlElement | None:
        """Returns the first child element with a local name, or None."""
        return next(self.elements(local), None)

    def descendants(self, *, enter: Callable[[XmlElement], bool] | None = None) -> Iterator[XmlElement]:
        """Yields the elements inside this one, in the order of the document.

        `enter`: returns False for an element that is left out with all elements inside it.
        """
        stack = [self.elements()]
        while stack:
            found = next(stack[-1], None)
            if found is None:
                stack.pop()
            elif enter is None or enter(found):
                yield found
                stack.append(found.elements())

    def inherited(self, local: str, namespace: str = "") -> str | None:
        """Returns the value of an attribute of the element or of its nearest ancestor that has it."""
        element: XmlElement | None = self
        while element is not None:
            value = element.get(local, namespace)
            if value is not None:
                return value
            element = element.parent
        return None


XmlNode = XmlElement | XmlText | XmlOther


@dataclass(frozen=True)
class XmlSource:
    """A document. `text`: the text of the file without the byte order mark `bom`. `root`: its element."""

    text: str
    root: XmlElement
    encoding: str
    bom: bytes

    @cached_property
    def _lines(self) -> list[int]:
        return [match.end() for match in re.finditer("\n", self.text)]

    def line(self, position: int) -> int:
        """Returns the number of the line of a position, from 1."""
        return bisect_right(self._lines, position) + 1

    def encode(self, text: str) -> bytes:
        """Returns the bytes of a text; a character that the encoding lacks becomes a reference.

        A declaration of another encoding than the one by which the document was read is corrected.
        """
        declared = None if self.bom else _DECLARED_TEXT.match(text)
        if declared and not self.encoding.startswith("utf-16") and not is_same_encoding(declared[1], self.encoding):
            text = text[: declared.start(1)] + self.encoding + text[declared.end(1) :]
        return self.bom + text.encode(self.encoding, "xmlcharrefreplace")


def read_xml(path: Path, data: bytes, *, part: str = "", encoding: str | None = None) -> XmlSource:
    """Reads a document. `path`, `part`: the file, and its part in a package, for messages. Raises `FileError`."""

    def fail(reason: str, *, line: int | None = None, cure: str = "") -> FileError:
        place = ", ".join(each for each in (part, f"line {line}" if line else "") if each)
        return FileError(path, reason, place=place, cure=cure)

    if len(data) > MAX_BYTES:
        raise fail(f"it has more than {MAX_BYTES >> 20} MiB of XML", cure="divide it")
    given = encoding
    bom, encoding = _find_encoding(data, encoding)
    if given is None and not bom and is_misread_utf8(data, encoding):
        raise misdeclared(path, encoding, ", ".join(each for each in (part, "line 1") if each))
    try:
        text = data[len(bom) :].decode(encoding)
        same = text.encode(encoding) == data[len(bom) :]
    except LookupError as error:
        raise fail(f"the encoding {encoding!r} is not known", cure="save it as UTF-8") from error
    except UnicodeError as error:
        line = data.count(b"\n", 0, getattr(error, "start", 0)) + 1
        cure = "correct the declaration of the encoding, or name the encoding"
        raise fail(f"it is not in the encoding {encoding} that it declares", line=line, cure=cure) from error
    if not same:
        raise fail(f"it would not keep its bytes in the encoding {encoding}", cure="save it as UTF-8")
    _check(text, fail)
    return XmlSource(text, _Builder(text, fail).build(), encoding, bom)


def decode_text(raw: str) -> str:
    """Returns character data without references, and with the line breaks of XML."""
    if "\r" in raw:
        raw = raw.replace("\r\n", "\n").replace("\r", "\n")
    return _REFERENCE.sub(_decode, raw) if "&" in raw else raw


def escape_text(text: str) -> str:
    """Returns a text as character data. Characters that XML does not allow are left out."""
    return _ILLEGAL.sub("", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


def escape_attribute(text: str) -> str:
    """Returns a text as the value of an attribute in quotation marks."""
    return escape_text(text).replace('"', "&quot;").replace("\n", "&#10;").replace("\t", "&#9;")


def _find_encoding(data: bytes, encoding: str | None) -> tuple[bytes, str]:
    for bom, name in _BOMS:
        if data.startswith(bom):
            return bom, name
    if encoding is not None:
        return b"", encoding
    for start, name in ((b"<\0", "utf-16-le"), (b"\0<", "utf-16-be")):
        if data.startswith(start):
            return b"", name
    declared = _DECLARED.match(data[:1024])
    return b"", declared[1].decode().lower() if declared else "utf-8"


def _check(text: str, fail: _Fail) -> None:
    parser = expat.ParserCreate("utf-8", " ")

    def refuse_entity(*_: object) -> None:
        cure = "write the text of the entity in place of its references"
        raise fail(
            "it defines an entity in its document type, which is not allowed", line=parser.CurrentLineNumber, cure=cure
        )

    parser.EntityDeclHandler = refuse_entity
    try:
        parser.Parse(text.encode("utf-8"), True)  # noqa: FBT003 (it takes no keywords)
    except expat.ExpatError as error:
        raise fail(f"it is no well-formed XML ({expat.ErrorString(error.code)})", line=error.lineno) from error


class _Builder:
    """Builds the elements of a well-formed document."""

    def __init__(self, text: str, fail: _Fail) -> None:
        self._text = text
        self._fail = fail
        self._root: XmlElement | None = None
        self._current: XmlElement | None = None
        self._depth = 0

    def build(self) -> XmlElement:
        position = 0
        for match in _TOKEN.finditer(self._text):
            start, end = match.span()
            if self._current is not None and position < start:
                _add_text(self._text, position, start, self._current)
            position = end
            if match["opened"] is not None:
                self._open(match)
            elif self._current is None:
                continue
            elif match["closed"] is not None:
                self._current.close_start, self._current.end = start, end
                self._current = self._current.parent
                self._depth -= 1
            elif self._text.startswith("<![CDATA[", start):
                value = self._text[start + 9 : end - 3].replace("\r\n", "\n").replace("\r", "\n")
                self._current.nodes.append(XmlText(start, end, value, is_cdata=True))
            else:
                self._current.nodes.append(XmlOther(start, end))
        if self._root is None or self._root.end < 0:
            raise self._fail("it has no element")
        return self._root

    def _open(self, match: re.Match[str]) -> None:
        start, end = match.span()
        name, rest = match["opened"], match["rest"]
        scope: Mapping[str, str] = {"xml": XML_NAMESPACE} if self._current is None else self._current.scope
        if "xmlns" in rest:
            scope = _read_scope(rest, scope)
        namespace = scope.get(name.rpartition(":")[0], "")
        element = XmlElement(self._text, name, namespace, self._current, start, end, scope)
        if self._current is not None:
            self._current.nodes.append(element)
        self._root = self._root or element
        if rest.endswith("/"):
            element.close_start = element.end = end
            return
        self._current = element
        self._depth += 1
        if self._depth > MAX_DEPTH:
            line = self._text.count("\n", 0, start) + 1
            raise self._fail(f"it has elements nested deeper than {MAX_DEPTH}", line=line)


def _read_scope(rest: str, around: Mapping[str, str]) -> Mapping[str, str]:
    scope = dict(around)
    for match in _ATTRIBUTE.finditer(rest):
        name, _, prefix = match[1].partition(":")
        if name == "xmlns":
            scope[prefix] = unescape(match[2] or match[3] or "")
    return scope


def _add_text(text: str, start: int, end: int, element: XmlElement) -> None:
    position = start
    if "&" in text[start:end]:
        for match in _REFERENCE.finditer(text, start, end):
            if _is_known(match[1]):
                continue
            if position < match.start():
                raw = text[position : match.start()]
                element.nodes.append(XmlText(position, match.start(), decode_text(raw)))
            element.nodes.append(XmlOther(*match.span()))
            position = match.end()
    if position < end:
        element.nodes.append(XmlText(position, end, decode_text(text[position:end])))


def _is_known(name: str) -> bool:
    return name.startswith("#") or name in _PREDEFINED or f"{name};" in html5


def _decode(match: re.Match[str]) -> str:
    name: str = match[1]
    if name.startswith("#"):
        return chr(int(name[2:], 16) if name[1] == "x" else int(name[1:]))
    return _PREDEFINED.get(name) or html5.get(f"{name};") or match[0]
