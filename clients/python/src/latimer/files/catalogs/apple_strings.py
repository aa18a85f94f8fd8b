r"""Apple's .strings files: `"key" = "text";` with comments, in UTF-8 or UTF-16.

An uncertain text has a comment before its entry.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from latimer.files.bilingual.targets import flag_names
from latimer.files.catalogs.html_strings import keep_characters, string_form
from latimer.files.document import Document, FileError, FileFormat, ReadOptions, Translated, Unit
from latimer.files.markup.edits import Edit, apply_edits
from latimer.files.markup.xml_file import Slot, collect_edits, read_bytes
from latimer.files.splices import find_line_end

_SPACE = re.compile(r"(?:\s+|/\*.*?\*/|//[^\n]*)*", re.DOTALL)
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_BARE_KEY = re.compile(r"([\w.$/-]+)")
_ESCAPE = re.compile(r"\\(?:[Uu]([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_READ = {"n": "\n", "t": "\t", "r": "\r"}
_WRITTEN = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": None})


@dataclass(frozen=True)
class _StringsFile:
    path: Path
    options: ReadOptions

    def units(self) -> Iterator[Unit]:
        text, _, _ = self._read()
        for slot in self._slots(text):
            yield slot.unit

    def write(self, target: BinaryIO, translations: Iterator[Translated]) -> None:
        text, bom, encoding = self._read()
        written = apply_edits(text, collect_edits(self._slots(text), translations))
        target.write(bom + written.encode(encoding, "replace"))

    def _read(self) -> tuple[str, bytes, str]:
        data = read_bytes(self.path)
        if data.startswith(b"bplist"):
            raise FileError(self.path, "it is a binary property list", cure="convert it with plutil -convert xml1")
        marks = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
        bom, encoding = next(((bom, name) for bom, name in marks if data.startswith(bom)), (b"", ""))
        if not encoding:
            encoding = self.options.encoding or ("utf-16-le" if data[1:2] == b"\0" else "utf-8")
        try:
            return data[len(bom) :].decode(encoding), bom, encoding
        except (UnicodeError, LookupError) as error:
            raise FileError(self.path, f"it is not in the encoding {encoding}", cure="name its encoding") from error

    def _slots(self, text: str) -> Iterator[Slot]:
        position = _skip_space(text, 0)
        while position < len(text):
            entry = _read_entry(text, position)
            if entry is None:
                line = text.count("\n", 0, position) + 1
                cure = 'write "key" = "text"; and close each comment'
                raise FileError(self.path, "it has no entry where one should be", place=f"line {line}", cure=cure)
            if any(map(str.isalpha, entry.text)):
                yield _slot(text, entry)
            position = _skip_space(text, entry.end)


@dataclass(frozen=True)
class _Entry:
    """An entry, with its quoted texts as written. `text`: that at `text_start`, "" for an entry without a text."""

    start: int
    end: int
    key: str
    text: str
    text_start: int


def _read_entry(source: str, start: int) -> _Entry | None:
    """Returns the entry at a position, or None. White space and comments may stand between its parts."""
    key = _STRING.match(source, start) or _BARE_KEY.match(source, start)
    if key is None:
        return None
    position = _skip_space(source, key.end())
    value = None
    if source.startswith("=", position):
        value = _STRING.match(source, _skip_space(source, position + 1))
        if value is None:
            return None
        position = _skip_space(source, value.end())
    if not source.startswith(";", position):
        return None
    text, text_start = (value[1], value.start(1)) if value is not None else ("", position)
    return _Entry(start, position + 1, key[1], text, text_start)


def _skip_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _slot(source: str, entry: _Entry) -> Slot:
    text = _unescape(entry.text)

    def edit(translated: Translated) -> Iterator[Edit]:
        if translated.text is None:
            return
        if translated.flags:
            yield Edit(entry.start, entry.start, (f"/* latimer: {flag_names(translated)} */{find_line_end(source)}",))
        if translated.text != text:
            end = entry.text_start + len(entry.text)
            yield Edit(entry.text_start, end, (keep_characters(text, translated.text).translate(_WRITTEN),))

    place = f"line {source.count(chr(10), 0, entry.start) + 1}"
    syntaxes = ("printf",) if "%" in text else ()
    unit = Unit(text=text, form=string_form(text), place=place, context=_unescape(entry.key), syntaxes=syntaxes)
    return Slot(unit, edit)


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)) if match[1] else _READ.get(match[2], match[2]), text)


def _read(path: Path, options: ReadOptions) -> Document:
    return _StringsFile(path, options)


FORMAT = FileFormat(name="strings", suffixes=(".strings",), read=_read, marks="a comment before the entry")
