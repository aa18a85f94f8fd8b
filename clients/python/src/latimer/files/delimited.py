"""CSV (RFC 4180) and TSV: a unit is a cell of the chosen columns that is no formula. All other bytes stay.

The delimiter is found in the first rows. A cell in quotation marks may have line breaks and delimiters, and a quotation
mark in it is written twice. Between tabs a cell ends with its line, and is in quotation marks only if it starts and
ends with one, since many such files have plain text that starts with a quotation mark.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from latimer.files.document import FileError, FileFormat, ReadOptions, Unit
from latimer.files.encoding import TextEncoding, find_encoding
from latimer.files.lines import MAX_LINE, Line, read_lines
from latimer.files.splices import Passage, Record, SplicedDocument, has_letter, replace

# Rows by which the delimiter is found.
_SAMPLE = 50
_DELIMITERS = ",;\t|"
_QUOTED = re.compile(r'"[^"]*(?:""[^"]*)*"')
# A formula of a spreadsheet; after a sign or `@` only with a function, or with nothing but references and numbers.
_FORMULA = re.compile(
    r"""\s*(?:=|[+@-]\s*(?:[A-Za-z_][\w.]*\(|[$!A-Za-z0-9_.:+*/^()-]*\$?[A-Za-z]{1,3}\$?[0-9]{1,7}[$!A-Za-z0-9_.:+*/^()-]*$))""",
    re.ASCII,
)
_REST_OF_QUOTED = re.compile(r'[^"]*(?:""[^"]*)*"(?!")')


@dataclass(frozen=True)
class _Cell:
    start: int
    end: int
    quoted: bool


@dataclass(frozen=True)
class _Table:
    """The dialect of a file and the choice of its columns."""

    path: Path
    encoding: TextEncoding
    delimiter: str
    header: bool
    columns: frozenset[int] | None = None  # from 0; None for all
    names: tuple[str, ...] = ()

    def records(self) -> Iterator[Record]:
        for number, (line, row) in enumerate(self.rows()):
            text = "".join(part.text + part.end for part in row)
            raw = b"".join(part.raw for part in row)
            skipped = self.header and number == 0
            cells = () if skipped else self._passages(text, line)
            yield Record(text, raw, line, cells)

    def rows(self) -> Iterator[tuple[int, list[Line]]]:
        """Yields each row as its lines, of which there are several if a cell has line breaks, and its line number."""
        held: list[Line] = []
        length = start = 0
        is_open = False
        for number, line in enumerate(read_lines(self.path, self.encoding), start=1):
            if not held:
                start = number
            held.append(line)
            length += len(line.text)
            if self.delimiter != "\t" and ('"' in line.text or is_open):
                is_open = self._is_open(line.text, is_open=is_open)
            if not is_open:
                yield start, held
                held, length = [], 0
            elif length > MAX_LINE:
                raise self._unclosed(start)
        if held:
            raise self._unclosed(start)

    def cells(self, text: str, line: int) -> Iterator[_Cell]:
        """Yields the cells of a row."""
        end = len(text.rstrip("\r\n"))
        position = 0
        while True:
            quoted = _QUOTED.match(text, position)
            if quoted and (quoted.end() >= end or text[quoted.end()] == self.delimiter):
                yield _Cell(position + 1, quoted.end() - 1, quoted=True)
                position = quoted.end()
            elif quoted and self.delimiter != "\t":
                raise FileError(
                    self.path,
                    "there is text after the closing quotation mark of a cell",
                    place=f"line {line + text.count(chr(10), 0, quoted.end())}",
                    cure="write quotation marks within a cell twice",
                )
            else:
                stop = text.find(self.delimiter, position, end)
                stop = end if stop < 0 else stop
                yield _Cell(position, stop, quoted=False)
                position = stop
            if position >= end:
                return
            position += 1

    def value(self, text: str, cell: _Cell) -> str:
        value = text[cell.start : cell.end]
        return value.replace('""', '"') if cell.quoted else value

    def _passages(self, text: str, line: int) -> Iterator[Passage]:
        for number, cell in enumerate(self.cells(text, line)):
            if self.columns is not None and number not in self.columns:
                continue
            value = self.value(text, cell)
            if not has_letter(value) or _FORMULA.match(value):
                continue
            context = self.names[number] if number < len(self.names) else ""
            place = f"line {line}, column {number + 1}"
            unit = Unit(text=value, place=place, context=context)
            literal = not cell.quoted and value.startswith('"')
            yield replace(cell.start, cell.end, unit, partial(self._write, quoted=cell.quoted, literal=literal))

    def _write(self, text: str, *, quoted: bool, literal: bool) -> str:
        if quoted:
            return text.replace('"', '""')
        if literal:
            return " ".join(re.split(r"[\t\r\n]", text))
        if any(sign in text for sign in (self.delimiter, "\n", "\r")) or text.startswith('"') or text != text.strip():
            return '"' + text.replace('"', '""') + '"'
        return text

    def _is_open(self, line: str, *, is_open: bool) -> bool:
        """Returns True if a quoted cell goes on after a line. A mark within an unquoted cell is text."""
        position = 0
        while True:
            if is_open:
                closing = _REST_OF_QUOTED.match(line, position)
                if closing is None:
                    return True
                position, is_open = closing.end(), False
            delimiter = line.find(self.delimiter, position)
            if position == 0 and line.startswith('"'):
                position, is_open = 1, True
            elif delimiter < 0:
                return False
            else:
                position = delimiter + 1
                if line.startswith('"', position):
                    position, is_open = position + 1, True

    def _unclosed(self, line: int) -> FileError:
        return FileError(
            self.path,
            "a quotation mark opens a cell that is never closed",
            place=f"line {line}",
            cure="close it, or write a quotation mark at the start of a cell as three",
        )


def _read(path: Path, options: ReadOptions, delimiter: str | None = None) -> SplicedDocument:
    encoding = find_encoding(path, options.encoding, options.source_language)
    if delimiter is None:
        delimiter = _find_delimiter([line.text for line in islice(read_lines(path, encoding), _SAMPLE)])
    table = _Table(path, encoding, delimiter, options.header)
    names: tuple[str, ...] = ()
    width = 0
    for line, row in islice(table.rows(), 1):
        text = "".join(part.text + part.end for part in row)
        cells = [table.value(text, cell) for cell in table.cells(text, line)]
        names, width = tuple(cells) if options.header else (), len(cells)
    columns = _choose(path, options, names, width) if options.columns else None
    table = _Table(path, encoding, delimiter, options.header, columns, names)
    return SplicedDocument(path, encoding, table.records)


def _choose(path: Path, options: ReadOptions, names: tuple[str, ...], width: int) -> frozenset[int]:
    chosen: set[int] = set()
    trimmed = [name.strip() for name in names]
    for column in options.columns:
        if column in trimmed:
            chosen.update(number for number, name in enumerate(trimmed) if name == column)
        elif column.isdecimal() and 1 <= int(column) <= width:
            chosen.add(int(column) - 1)
        else:
            known = ", ".join(repr(name) for name in trimmed) if names else f"1 to {width}, since it has no header"
            raise FileError(path, f"there is no column {column!r}", cure=f"its columns are {known}")
    return frozenset(chosen)


def _find_delimiter(lines: list[str]) -> str:
    """Returns the sign that divides most rows into the same number of cells, outside of quotation marks."""
    best = (0.0, 0, ",")
    # Quoted cells may have line breaks and other delimiters.
    rows = [row for row in _QUOTED.sub("", "\n".join(lines)).split("\n") if row.strip()]
    for rank, delimiter in enumerate(_DELIMITERS):
        counts = [row.count(delimiter) for row in rows]
        usual = max(set(counts), key=counts.count, default=0)
        if usual:
            best = max(best, (counts.count(usual) / len(counts), -rank, delimiter))
    return best[2]


CSV = FileFormat(name="csv", suffixes=(".csv",), read=_read)
TSV = FileFormat(name="tsv", suffixes=(".tsv", ".tab"), read=partial(_read, delimiter="\t"))
