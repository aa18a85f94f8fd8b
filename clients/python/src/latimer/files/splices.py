"""Documents whose texts are replaced by position, so that everything else keeps its bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from latimer.files.document import Document, FileError, Translated, Unit
from latimer.files.encoding import TextEncoding, encode, read_whole
from latimer.files.identifiers import has_letter
from latimer.files.key_paths import TextChoice

__all__ = [
    "Edit",
    "Passage",
    "Record",
    "Source",
    "SplicedDocument",
    "constant",
    "find_left_out",
    "find_line_end",
    "has_letter",
    "replace",
    "whole_file",
]


@dataclass(frozen=True)
class Edit:
    """A replacement of the code points from `start` to `end` of a record."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Passage:
    """Units that are written together, such as the sentence of several subtitles or the plurals of a message.

    `edit`: returns the edits for the translations of the units, one for each. They are ascending and disjoint, also
    across the passages of a record. A passage without units has edits that need no translation.
    """

    units: tuple[Unit, ...]
    edit: Callable[[Sequence[Translated]], list[Edit]]


@dataclass(frozen=True)
class Record:
    """A part of a file that is read at a time: a row, a line or the whole. `line`: the number of its first line."""

    text: str
    raw: bytes
    line: int
    passages: Iterable[Passage]


@dataclass(frozen=True)
class SplicedDocument:
    """A document in records.

    `escape`: writes a character that the encoding lacks; None makes it an error. `choice`: chooses among its strings.
    """

    path: Path
    encoding: TextEncoding
    records: Callable[[], Iterator[Record]]
    escape: Callable[[str], str] | None = None
    choice: TextChoice | None = None

    def units(self) -> Iterator[Unit]:
        """Yields the units of all records in order. Raises `FileError` at the end if a path chose nothing."""
        if self.choice:
            self.choice.begin()
        for record in self.records():
            for passage in record.passages:
                yield from passage.units
        if self.choice:
            self.choice.check()

    def write(self, target: BinaryIO, translations: Iterator[Translated]) -> None:
        """Writes each record as soon as its translations are there."""
        target.write(self.encoding.bom)
        for record in self.records():
            start = 0
            cut = _Cutter(self, record)
            for passage in record.passages:
                for edit in passage.edit(list(islice(translations, len(passage.units)))):
                    target.write(cut.take(record.text[start : edit.start]))
                    cut.take(record.text[edit.start : edit.end])
                    line = partial(_line_of, record, edit)
                    target.write(encode(self.path, edit.text, self.encoding, line=line, escape=self.escape))
                    start = edit.end
            target.write(cut.take(record.text[start:]) if start else record.raw)


def _line_of(record: Record, edit: Edit) -> int:
    return record.line + record.text.count("\n", 0, edit.start)


class _Cutter:
    """Takes the bytes of a record from its start to its end, by the lengths of its text.

    Some encodings write a character in two ways, both of the same length (Shift JIS), so text that is encoded again
    may have other bytes than the file.
    """

    def __init__(self, document: SplicedDocument, record: Record) -> None:
        self._document = document
        self._record = record
        self._position = 0
        self._same: bool | None = None

    def take(self, text: str) -> bytes:
        """Returns the bytes of the next code points of the record, which are `text`."""
        codec = self._document.encoding.codec
        if self._same is None:
            encoded = self._record.text.encode(codec, "replace")
            self._same = encoded == self._record.raw
            if len(encoded) != len(self._record.raw):
                raise FileError(
                    self._document.path,
                    f"its characters have several forms in {codec}, of different lengths",
                    place=f"line {self._record.line}",
                    cure="convert the file to UTF-8 first",
                )
        encoded = text.encode(codec)
        if self._same:
            return encoded
        start, self._position = self._position, self._position + len(encoded)
        return self._record.raw[start : self._position]


def find_line_end(text: str) -> str:
    """Returns the line end of a text: CRLF if it has one, else LF, or CR if it has no other."""
    return next((end for end in ("\r\n", "\n", "\r") if end in text), "\n")


class Source:
    """The text of a file that is read whole, with the places of offsets in it. `line_end`: that of its lines."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.text = text
        self.line_end = find_line_end(text)
        self._counted = (0, 1)

    def line(self, offset: int) -> int:
        """Returns the number of the line of an offset. Takes time for the distance from the offset asked for before."""
        counted, line = self._counted
        if offset < counted:
            counted, line = 0, 1
        line += self.text.count(self.line_end[-1], counted, offset)
        self._counted = (offset, line)
        return line

    def place(self, offset: int) -> str:
        """Returns the place of an offset in words."""
        return f"line {self.line(offset)}"

    def fault(self, offset: int, reason: str, cure: str = "") -> FileError:
        """Returns the error of an offset."""
        return FileError(self.path, reason, place=self.place(offset), cure=cure)


def whole_file(path: Path, encoding: TextEncoding, passages: Callable[[Source], Iterator[Passage]]) -> Iterator[Record]:
    """Yields the one record of a file that is read whole."""
    text, raw = read_whole(path, encoding)
    yield Record(text, raw, 1, passages(Source(path, text)))


def replace(start: int, end: int, unit: Unit, write: Callable[[str], str]) -> Passage:
    """Returns the passage of one unit that stands at one place. `write`: the file's form of a text.

    A translation that equals the text of the unit changes nothing, so that an escape keeps its form.
    """

    def edit(translations: Sequence[Translated]) -> list[Edit]:
        text = translations[0].text
        return [] if text is None or text == unit.text else [Edit(start, end, write(text))]

    return Passage((unit,), edit)


def constant(start: int, end: int, text: str) -> Passage:
    """Returns the passage of an edit that needs no translation."""
    return Passage((), lambda _: [Edit(start, end, text)])


def find_left_out(document: Document) -> int:
    """Returns how many values of a document, whose units were read, were left out as identifiers."""
    return document.choice.left_out if isinstance(document, SplicedDocument) and document.choice else 0
