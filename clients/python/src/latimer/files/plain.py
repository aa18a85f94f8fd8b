"""Plain text: a unit is a line, or a paragraph where the lines of the file are wrapped at a width.

A wrapped paragraph is joined with spaces, translated whole and wrapped again at the width of the file; see
docs/decisions/0076-lines-of-plain-text.md. All other lines keep their number. White space around a line and line ends
keep their bytes.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from latimer.files.document import FileFormat, ReadOptions, Translated, Unit
from latimer.files.encoding import TextEncoding, encode, find_encoding
from latimer.files.lines import Line, read_lines
from latimer.files.wrapping import find_width, split_paragraphs

# Lines that show whether and where a file is wrapped.
_SAMPLE = 2_000
# Lines of a paragraph; a longer one is divided, so that a file without blank lines takes little memory.
_MAX_PARAGRAPH = 200


@dataclass(frozen=True)
class _PlainDocument:
    path: Path
    encoding: TextEncoding
    width: int | None

    def units(self) -> Iterator[Unit]:
        number = 1
        for paragraph in self._paragraphs():
            text = _join(paragraph)
            if text:
                yield Unit(text=text, place=f"line {number}")
            number += len(paragraph)

    def write(self, target: BinaryIO, translations: Iterator[Translated]) -> None:
        target.write(self.encoding.bom)
        number = 1
        for paragraph in self._paragraphs():
            text = _join(paragraph)
            translated = next(translations).text if text else None
            if translated is None or translated == text:
                target.writelines(line.raw for line in paragraph)
            else:
                written = self._fill(paragraph, translated)
                target.write(encode(self.path, written, self.encoding, line=partial(int, number)))
            number += len(paragraph)

    def _fill(self, paragraph: list[Line], text: str) -> str:
        first, last = paragraph[0], paragraph[-1]
        indent = _indent(first.text)
        if len(paragraph) == 1:
            trail = first.text[len(first.text.rstrip()) :]
            return indent + " ".join(text.split("\n")) + trail + first.end
        lines = textwrap.wrap(
            text,
            self.width or 70,
            initial_indent=indent,
            subsequent_indent=_indent(paragraph[1].text),
            break_long_words=False,
            break_on_hyphens=False,
        )
        return first.end.join(lines) + last.end

    def _paragraphs(self) -> Iterator[list[Line]]:
        lines = read_lines(self.path, self.encoding)
        if self.width is None:
            return ([line] for line in lines)
        return split_paragraphs(lines, self.width, _MAX_PARAGRAPH)


def _join(paragraph: list[Line]) -> str:
    if len(paragraph) == 1:
        return paragraph[0].text.strip()
    return " ".join(line.text.strip() for line in paragraph)


def _indent(text: str) -> str:
    return text[: len(text) - len(text.lstrip())]


def _read(path: Path, options: ReadOptions) -> _PlainDocument:
    encoding = find_encoding(path, options.encoding, options.source_language)
    width = find_width(line.text for line in islice(read_lines(path, encoding), _SAMPLE))
    return _PlainDocument(path, encoding, width)


FORMAT = FileFormat(name="text", suffixes=(".txt", ".text"), read=_read)
