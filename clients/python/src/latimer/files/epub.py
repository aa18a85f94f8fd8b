"""EPUB 2 and 3: the chapters in reading order, the table of contents and the title.

The chapters are XHTML. Pages in other formats, text in pictures and the values of attributes stay.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import unquote

from latimer.files.document import Document, FileError, FileFormat, ReadOptions
from latimer.files.languages import is_language
from latimer.files.markup.edits import Edit
from latimer.files.markup.html_blocks import find_html_slots, language_edits
from latimer.files.markup.inline_xml import content_slot, read_nodes
from latimer.files.markup.xml_file import Slot
from latimer.files.markup.xml_source import XmlElement, XmlSource, escape_text
from latimer.files.zipped.zipped_xml import PartReader, XmlPart, ZippedXml

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_XHTML = "application/xhtml+xml"
_NCX = "application/x-dtbncx+xml"


def _find_parts(reader: PartReader, options: ReadOptions) -> Iterator[XmlPart]:
    path = reader.archive.path
    if _CONTAINER not in reader.names:
        raise FileError(path, "it is no EPUB book", cure="check its name, or name its format")
    rootfile = next((each for each in reader.read(_CONTAINER).root.descendants() if each.local == "rootfile"), None)
    package = unquote(rootfile.get("full-path") or "") if rootfile else ""
    if package not in reader.names:
        raise FileError(path, "it names no package document", place=_CONTAINER, cure="make the book again")
    root = reader.read(package).root
    protected = _find_protected(reader)
    yield XmlPart(package, partial(_find_titles, options=options))
    for name, kind in _list_parts(root, package):
        if name not in reader.names:
            continue
        if name in protected:
            raise FileError(path, "it is protected against copying", place=name, cure="get it without protection")
        find = _find_page if kind == _XHTML else _find_contents
        yield XmlPart(name, partial(find, name=name, options=options))


def _list_parts(root: XmlElement, package: str) -> Iterator[tuple[str, str]]:
    """Yields the names and media types of the parts with text: the spine in its order, then tables of contents."""
    manifest, spine = root.first("manifest"), root.first("spine")
    items = list(manifest.elements("item")) if manifest else []
    by_id = {item.get("id"): item for item in items}
    listed = [by_id.get(each.get("idref")) for each in (spine.elements("itemref") if spine else ())]
    listed += [item for item in items if "nav" in (item.get("properties") or "").split()]
    listed += [item for item in items if item.get("media-type") == _NCX]
    seen: set[str] = set()
    for item in listed:
        kind = item.get("media-type") if item else None
        if item is None or kind not in (_XHTML, _NCX):
            continue
        href = unquote((item.get("href") or "").partition("#")[0])
        name = posixpath.normpath(posixpath.join(posixpath.dirname(package), href))
        if name not in seen:
            seen.add(name)
            yield name, kind or ""


def _find_protected(reader: PartReader) -> set[str]:
    """Returns the names of encrypted members. Fonts may be among them, which does no harm."""
    if _ENCRYPTION not in reader.names:
        return set()
    references = reader.read(_ENCRYPTION).root.descendants()
    return {unquote(each.get("URI") or "") for each in references if each.local == "CipherReference"}


def _find_titles(source: XmlSource, options: ReadOptions) -> Iterator[Slot | Edit]:
    metadata = source.root.first("metadata")
    for element in metadata.elements() if metadata else ():
        if element.local == "title":
            yield from _whole_slot(element, "title of the book")
        elif element.local == "language" and is_language(element.text.strip(), options.source_language or ""):
            yield from _set_text(element, options.target_language)


def _set_text(element: XmlElement, text: str) -> Iterator[Edit]:
    if element.text != text:
        yield Edit(*element.inner, (escape_text(text),))


def _find_page(source: XmlSource, name: str, options: ReadOptions) -> Iterator[Slot | Edit]:
    yield from language_edits(source.root, options)
    body = source.root.first("body")
    if body is not None:
        yield from language_edits(body, options)
    yield from find_html_slots(source, name)


def _find_contents(source: XmlSource, name: str, options: ReadOptions) -> Iterator[Slot | Edit]:
    """Finds the labels of an NCX, the table of contents of EPUB 2."""
    yield from language_edits(source.root, options)
    for element in source.root.descendants():
        if element.local == "text":
            yield from _whole_slot(element, f"{name}, line {source.line(element.start)}")


def _whole_slot(element: XmlElement, place: str) -> Iterator[Slot]:
    slot = content_slot(element.source, element.inner, read_nodes(element.nodes, lambda _: "wrap"), place=place)
    if slot is not None:
        yield slot


def _read(path: Path, options: ReadOptions) -> Document:
    return ZippedXml(path, options, _find_parts)


FORMAT = FileFormat(name="epub", suffixes=(".epub",), read=_read)
