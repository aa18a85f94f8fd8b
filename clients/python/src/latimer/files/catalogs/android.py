r"""Android's string resources: strings, plurals and string arrays.

Words in `<xliff:g>` stay, other elements such as `<b>` follow their words, and the escapes `\'`, `\n` and `\u0020` are
read and written. Resources with `translatable="false"` and references such as `@string/name` stay. Missing plural
forms of the target language are added with the translation of `other`. Uncertain resources have a comment before them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from latimer.files.bilingual.targets import flag_names, indentation
from latimer.files.catalogs.html_strings import divide_tags, keep_characters, string_form
from latimer.files.catalogs.plural_categories import plural_categories
from latimer.files.document import Document, FileFormat, ReadOptions, TextForm, Translated, Unit
from latimer.files.markup.edits import Edit, Part
from latimer.files.markup.inline_codes import CodedText, encode
from latimer.files.markup.inline_xml import InlineKind, read_nodes, render_coded
from latimer.files.markup.xml_file import Slot, XmlFile
from latimer.files.markup.xml_source import XmlElement, XmlSource, XmlText, escape_text

_PIECE = re.compile(r'\\u([0-9A-Fa-f]{4})|\\(.)|"((?:[^"\\]|\\.)*)"|(\s+)|"', re.DOTALL)
_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})|\\(.)", re.DOTALL)
_REFERENCE = re.compile(r"\s*[@?][\w+.:-]+(?:/[\w.-]+)?\s*")
_WRITTEN = {"\\": "\\\\", "'": "\\'", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": ""}
_SPECIAL = re.compile(r"[\\'\"\n\t\r]|(?<= ) ")
_EDGE = " "


def _find(source: XmlSource, options: ReadOptions) -> Iterator[Slot]:
    for element in source.root.elements("string", "plurals", "string-array"):
        name = element.get("name") or ""
        if element.get("translatable") == "false":
            continue
        if element.local == "string":
            yield from _read_string(source, element, name, [])
            continue
        items = list(element.elements("item"))
        categories = plural_categories(options.target_language) if element.local == "plurals" else ()
        given = [item.get("quantity") or "" for item in items]
        for number, item in enumerate(items):
            key = given[number] or str(number)
            missing = [each for each in categories if each not in given] if key == "other" else []
            yield from _read_string(source, item, f"{name}[{key}]", missing)


@dataclass(frozen=True)
class _Content:
    """The text of a string. `coded`: its inline elements; None for a CDATA section."""

    text: str
    form: TextForm
    coded: CodedText | None

    def write(self, translation: str) -> list[Part]:
        """Returns the source of a translation."""
        if self.coded is None or self.coded.form != "html":
            translation = keep_characters(self.text, translation)
        if self.coded is None:
            content = _outside_tags(translation, escape) if self.form == "html" else escape(translation)
            return ["<![CDATA[", content.replace("]]>", "]]]]><![CDATA[>"), "]]>"]
        return _keep_edges(render_coded(self.coded, translation, lambda words: escape_text(escape(words))))


def _read_content(element: XmlElement) -> _Content | None:
    """Returns the text of a string, or None if it has no letter or refers to another resource."""
    if _REFERENCE.fullmatch(element.text):
        return None
    section = _only_section(element)
    if section is not None:
        # The quotation marks of attributes stay, as the browser of a WebView needs them.
        is_html = string_form(section.value) == "html"
        text = _outside_tags(section.value, unescape) if is_html else unescape(section.value)
        return _Content(text, string_form(text), None) if any(map(str.isalpha, text)) else None
    coded = encode(read_nodes(element.nodes, _classify, lambda node: unescape(node.value)))
    if coded is None:
        return None
    return _Content(coded.text, coded.form if coded.form == "html" else string_form(coded.text), coded)


def _read_string(source: XmlSource, element: XmlElement, context: str, missing: Sequence[str]) -> Iterator[Slot]:
    """Yields the slot of a string. `missing`: plural categories that it is written for too."""
    content = _read_content(element)
    if content is None:
        return
    text = content.text

    def edit(translated: Translated) -> Iterable[Edit]:
        if translated.text is None:
            return
        changed = translated.text != text
        parts: list[Part] = content.write(translated.text) if changed else [element.inner]
        if changed:
            yield Edit(*element.inner, tuple(parts))
        if translated.flags:
            mark = f"<!-- latimer: {flag_names(translated)} -->{indentation(element)}"
            yield Edit(element.start, element.start, (mark,))
        for category in missing:
            tag = f'{indentation(element)}<{element.name} quantity="{category}">'
            yield Edit(element.end, element.end, (tag, *parts, f"</{element.name}>"))

    syntaxes = ("printf",) if "%" in text and element.get("formatted") != "false" else ()
    place = f"line {source.line(element.start)}"
    yield Slot(Unit(text=text, form=content.form, place=place, context=context, syntaxes=syntaxes), edit)


def _only_section(element: XmlElement) -> XmlText | None:
    """Returns the CDATA section that is the whole content of an element, or None."""
    nodes = [node for node in element.nodes if not (isinstance(node, XmlText) and not node.value.strip())]
    first = nodes[0] if len(nodes) == 1 else None
    return first if isinstance(first, XmlText) and first.is_cdata else None


def _classify(element: XmlElement) -> InlineKind:
    if element.local == "g" and element.namespace.startswith("urn:oasis:names:tc:xliff"):
        return "text"
    return "break" if element.local == "br" else "wrap"


def _outside_tags(text: str, change: Callable[[str], str]) -> str:
    """Returns HTML whose texts are changed, with its tags as they are."""
    parts = divide_tags(text)
    return "".join(part if number % 2 else change(part) for number, part in enumerate(parts))


def unescape(text: str) -> str:
    r"""Returns a text without Android's escapes: white space is one space unless it is quoted, `\n` a line break."""

    def replace(match: re.Match[str]) -> str:
        if match[3] is not None:
            return _ESCAPE.sub(_decode, match[3])
        return " " if match[4] else _decode(match) if match[1] or match[2] else ""

    return _PIECE.sub(replace, text)


def _decode(match: re.Match[str]) -> str:
    if match[1]:
        return chr(int(match[1], 16))
    return {"n": "\n", "t": "\t"}.get(match[2], match[2])


def escape(text: str) -> str:
    """Returns a text with Android's escapes."""
    escaped = _SPECIAL.sub(lambda match: _WRITTEN.get(match[0], "\\u0020"), text)
    return f"\\{escaped}" if escaped.startswith(("@", "?")) else escaped


def _keep_edges(parts: list[Part]) -> list[Part]:
    """Returns parts with spaces at the edges of the string escaped, since Android drops them."""
    if parts and isinstance(parts[0], str) and parts[0].startswith(_EDGE):
        parts[0] = "\\u0020" + parts[0][1:]
    if parts and isinstance(parts[-1], str) and parts[-1].endswith(_EDGE):
        parts[-1] = parts[-1][:-1] + "\\u0020"
    return parts


def _is_this(head: bytes) -> bool:
    return b"<resources" in head or "<resources".encode("utf-16-le") in head


def _read(path: Path, options: ReadOptions) -> Document:
    return XmlFile(path, options, _find)


FORMAT = FileFormat(
    name="android", suffixes=(".xml",), read=_read, marks="a comment before the resource", is_this=_is_this
)
