"""HTML: a unit is a run of text and inline elements within a block, in the server's form `html`. All else stays.

Scripts, styles, preformatted text and elements with `translate="no"` stay, and so do attributes. The attribute `lang`
of the root becomes the target language. Source: the WHATWG's HTML, section 13.2.5 (tokens).
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from latimer.files.document import FileError, FileFormat, ReadOptions, Unit
from latimer.files.encoding import find_encoding, is_same_encoding
from latimer.files.splices import Passage, Source, SplicedDocument, constant, has_letter, replace, whole_file

# Bounds on a tag, since a "<" without its ">" would be searched to the end of the file each time.
_TOKEN = re.compile(
    r"<!--.*?(?:-->|$)|<!\[CDATA\[.*?(?:\]\]>|$)|<[!?][^>]{0,4000}>|"
    r"<(?P<end>/?)(?P<name>[a-zA-Z][^\s/<>]{0,100})"
    r"(?P<attributes>[^'\"<>]{0,4000}(?:(?:\"[^\"]*\"|'[^']*')[^'\"<>]{0,4000}){0,200})>",
    re.DOTALL,
)
_INLINE_NAMES = """a abbr acronym b bdi bdo big br cite code data del dfn em font i img ins kbd mark nobr q rp rt ruby s
    samp small span strike strong sub sup time tt u var wbr"""
_VOID_NAMES = "area base br col embed hr img input link meta source track wbr"
# Elements whose content is no prose, or no markup.
_KEPT_NAMES = "script style pre textarea template svg math object iframe canvas noembed noframes xmp"
_INLINE, _VOID, _KEPT = (frozenset(names.split()) for names in (_INLINE_NAMES, _VOID_NAMES, _KEPT_NAMES))
_NOT_TRANSLATED = re.compile(
    r"""\stranslate\s*=\s*["']?no\b|\sclass\s*=\s*(?:"[^"]*\bnotranslate\b|'[^']*\bnotranslate\b)""", re.IGNORECASE
)
_LANG = re.compile(r"""(?<=\s)(?:xml:)?lang\s*=\s*(["']?)([A-Za-z-]+)\1""")
_CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_META_BYTES = 4096


@dataclass(frozen=True)
class _Tag:
    start: int
    end: int
    name: str
    is_end: bool


def _read(path: Path, options: ReadOptions) -> SplicedDocument:
    encoding = find_encoding(path, options.encoding, options.source_language, declared=_declared(path))
    passages = partial(_passages, options)
    return SplicedDocument(
        path, encoding, partial(whole_file, path, encoding, passages), lambda each: f"&#{ord(each)};"
    )


def _declared(path: Path) -> str | None:
    """Returns the encoding that a meta element declares; a byte order mark goes before it."""
    try:
        with path.open("rb") as file:
            head = file.read(_META_BYTES)
    except OSError as error:
        raise FileError(path, error.strerror or str(error)) from error
    match = None if head.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")) else _CHARSET.search(head)
    name = match[1].decode().lower() if match else ""
    # Browsers read these names as the encoding of Windows (WHATWG Encoding, 4.2), and UTF-16 here as UTF-8.
    return {"": None, "iso-8859-1": "cp1252", "latin1": "cp1252", "us-ascii": "cp1252", "utf-16": "utf-8"}.get(
        name, name
    )


def _passages(options: ReadOptions, source: Source) -> Iterator[Passage]:
    text = source.text
    start = position = 0
    tags: list[_Tag] = []
    while match := _TOKEN.search(text, position):
        position = match.end()
        name, is_end = (match["name"] or "").lower(), bool(match["end"])
        if not name:  # a comment, which may stand within a sentence
            continue
        is_kept = name in _KEPT or _NOT_TRANSLATED.search(match["attributes"]) is not None
        if name in _INLINE and not is_kept:
            tags.append(_Tag(match.start(), match.end(), name, is_end))
            continue
        if name in _INLINE and not is_end and name not in _VOID:
            # Kept words within a sentence stay in the unit, where the server keeps them.
            position = _end_of(text, position, name)
            continue
        yield from _run(source, start, match.start(), tags)
        tags = []
        if name == "html" and not is_end:
            yield from _language(options, match)
        if name == "meta" and options.encoding:
            yield from _correct_charset(options.encoding, match)
        if is_kept and not is_end and name not in _VOID and not match["attributes"].endswith("/"):
            position = _end_of(text, position, name)
        start = position
    yield from _run(source, start, len(text), tags)


def _end_of(text: str, position: int, name: str) -> int:
    """Returns the offset after the end tag of an element, whose content may have elements of the same name."""
    depth = 1
    for match in re.compile(rf"<(/?){re.escape(name)}(?=[\s/>])[^>]*>", re.IGNORECASE).finditer(text, position):
        depth += -1 if match[1] else 1
        if depth == 0 or (match[1] and name in ("script", "style", "textarea")):
            return match.end()
    return len(text)


def _run(source: Source, start: int, end: int, tags: list[_Tag]) -> Iterator[Passage]:
    """Yields the units of a run, which is divided at inline tags whose other tag is in another block."""
    for tag in _unpaired(tags):
        yield from _unit(source, start, tag.start)
        start = tag.end
    yield from _unit(source, start, end)


def _unit(source: Source, start: int, end: int) -> Iterator[Passage]:
    written = source.text[start:end]
    stripped = written.strip()
    if not stripped or not has_letter(html.unescape(_TOKEN.sub("", stripped))):
        return
    start += len(written) - len(written.lstrip())
    unit = Unit(text=stripped, place=source.place(start), form="html")
    yield replace(start, start + len(stripped), unit, str)


def _unpaired(tags: list[_Tag]) -> list[_Tag]:
    """Returns the tags without their other tag, ascending."""
    opened: list[_Tag] = []
    alone: list[_Tag] = []
    names: Counter[str] = Counter()
    for tag in tags:
        if tag.name in _VOID:
            continue
        if not tag.is_end:
            opened.append(tag)
            names[tag.name] += 1
        elif names[tag.name]:
            while opened[-1].name != tag.name:
                names[opened[-1].name] -= 1
                alone.append(opened.pop())
            opened.pop()
            names[tag.name] -= 1
        else:
            alone.append(tag)
    return sorted([*alone, *opened], key=lambda tag: tag.start)


def _correct_charset(encoding: str, match: re.Match[str]) -> Iterator[Passage]:
    """Yields the edit of a meta element that declares another encoding than the file has, which is `encoding`."""
    found = re.search(r"charset\s*=\s*[\"']?\s*([\w.:-]+)", match["attributes"], re.IGNORECASE)
    if found and not is_same_encoding(found[1], encoding):
        offset = match.start("attributes")
        yield constant(offset + found.start(1), offset + found.end(1), encoding)


def _language(options: ReadOptions, match: re.Match[str]) -> Iterator[Passage]:
    source = (options.source_language or "").split("-")[0].lower()
    for found in _LANG.finditer(match["attributes"]):
        language = found[2].split("-")[0].lower()
        if (not source or language == source) and language != options.target_language.split("-")[0].lower():
            offset = match.start("attributes")
            yield constant(offset + found.start(2), offset + found.end(2), options.target_language)


FORMAT = FileFormat(name="html", suffixes=(".html", ".htm", ".xhtml"), read=_read)
