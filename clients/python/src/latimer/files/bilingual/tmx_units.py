"""Translation units of TMX 1.4 files in a stream, for translation memories of any size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from xml.parsers import expat

from latimer.files.document import FileError
from latimer.files.languages import is_language
from latimer.files.markup.xml_source import MAX_DEPTH, XML_NAMESPACE, escape_attribute, escape_text

_CHUNK = 1 << 18
# Elements whose content is code, not text.
_CODES = frozenset(("bpt", "ept", "ph", "it", "ut"))
# Bound of one text, in code points.
_MAX_TEXT = 10_000_000


@dataclass(frozen=True, kw_only=True)
class TranslationUnit:
    """A text and its translation. Inline codes are left out.

    `changed`: the time of the last change of the translation as TMX writes it, `20261130T160000Z`; "" if unknown.
    `context`: the id of the unit, "" if it has none.
    """

    source: str
    target: str
    changed: str = ""
    context: str = ""


def read_translation_units(path: Path, source_language: str, target_language: str) -> Iterator[TranslationUnit]:
    """Yields the translation units that have both languages, in the order of the file, in little memory.

    A unit with several variants of a language gives its first one. Raises `FileError`.
    """
    try:
        with path.open("rb") as file:
            reader = _Reader(path, source_language, target_language)
            while chunk := file.read(_CHUNK):
                yield from reader.feed(chunk, last=False)
            yield from reader.feed(b"", last=True)
    except OSError as error:
        raise FileError(path, error.strerror or str(error)) from error


def write_translation_units(
    target: BinaryIO, units: Iterable[TranslationUnit], source_language: str, target_language: str, *, version: str
) -> None:
    """Writes a TMX file in a stream. `version`: that of the program, for the header."""
    source, translated = escape_attribute(source_language), escape_attribute(target_language)
    target.write(
        '<?xml version="1.0" encoding="UTF-8"?>\n<tmx version="1.4">\n'
        f'<header creationtool="latimer" creationtoolversion="{escape_attribute(version)}" segtype="block" '
        f'o-tmf="latimer" adminlang="en" srclang="{source}" datatype="plaintext"/>\n<body>\n'.encode()
    )
    for unit in units:
        changed = f' changedate="{escape_attribute(unit.changed)}"' if unit.changed else ""
        context = f' tuid="{escape_attribute(unit.context)}"' if unit.context else ""
        target.write(
            f'<tu{context}><tuv xml:lang="{source}"><seg>{escape_text(unit.source)}</seg></tuv>'
            f'<tuv xml:lang="{translated}"{changed}><seg>{escape_text(unit.target)}</seg></tuv></tu>\n'.encode()
        )
    target.write(b"</body>\n</tmx>\n")


@dataclass
class _Variant:
    language: str
    changed: str
    pieces: list[str] = field(default_factory=list)


class _Reader:
    """Reads TMX with expat, chunk by chunk."""

    def __init__(self, path: Path, source_language: str, target_language: str) -> None:
        self._path = path
        self._languages = (source_language, target_language)
        self._found: list[TranslationUnit] = []
        self._variants: list[_Variant] = []
        self._names: list[str] = []
        self._context = self._changed = ""
        self._codes = 0
        self._length = 0
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._add_text
        self._parser.EntityDeclHandler = self._refuse_entity

    def feed(self, chunk: bytes, *, last: bool) -> Iterator[TranslationUnit]:
        try:
            self._parser.Parse(chunk, last)
        except expat.ExpatError as error:
            reason = f"it is no well-formed XML ({expat.ErrorString(error.code)})"
            raise FileError(self._path, reason, place=f"line {error.lineno}") from error
        found, self._found = self._found, []
        yield from found

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(" ")[2]
        if not self._names and name != "tmx":
            raise FileError(self._path, "it is no TMX file", cure="check its name")
        self._names.append(name)
        if len(self._names) > MAX_DEPTH:
            raise self._fail(f"it has elements nested deeper than {MAX_DEPTH}")
        if name == "tu":
            self._variants = []
            self._context, self._changed = attributes.get("tuid", ""), attributes.get("changedate", "")
        elif name == "tuv":
            language = attributes.get(f"{XML_NAMESPACE} lang") or attributes.get("lang", "")
            self._variants.append(_Variant(language, attributes.get("changedate", self._changed)))
            self._length = 0
        elif name in _CODES:
            self._codes += 1

    def _end(self, name: str) -> None:
        name = self._names.pop()
        if name in _CODES:
            self._codes -= 1
        elif name == "tu":
            source, target = (
                next((each for each in self._variants if is_language(each.language, language)), None)
                for language in self._languages
            )
            if source is not None and target is not None and source is not target:
                texts = ["".join(each.pieces) for each in (source, target)]
                if all(texts):
                    unit = TranslationUnit(
                        source=texts[0], target=texts[1], changed=target.changed, context=self._context
                    )
                    self._found.append(unit)

    def _add_text(self, text: str) -> None:
        if self._variants and not self._codes and "seg" in self._names:
            self._length += len(text)
            if self._length > _MAX_TEXT:
                raise self._fail(f"it has a text of more than {_MAX_TEXT:,} characters")
            self._variants[-1].pieces.append(text)

    def _refuse_entity(self, *_: object) -> None:
        raise self._fail("it defines an entity in its document type, which is not allowed")

    def _fail(self, reason: str) -> FileError:
        return FileError(self._path, reason, place=f"line {self._parser.CurrentLineNumber}")
