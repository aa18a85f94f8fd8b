"""Plain text: each line is a unit, or each paragraph where lines are wrapped. Line ends stay byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from latimer.files.document import FileError, FileFormat, ReadOptions, Translated, Unit


@dataclass(frozen=True)
class _PlainDocument:
    path: Path
    encoding: str

    def units(self) -> Iterator[Unit]:
        for number, (text, _) in enumerate(self._lines(), start=1):
            if text.strip():
                yield Unit(text=text, place=f"line {number}")

    def write(self, target: BinaryIO, translations: Iterator[Translated]) -> None:
        for text, end in self._lines():
            translated = next(translations).text if text.strip() else text
            target.write(((text if translated is None else translated) + end).encode(self.encoding))

    def _lines(self) -> Iterator[tuple[str, str]]:
        """Yields the text of each line and its line end."""
        try:
            with self.path.open(encoding=self.encoding, newline="") as file:
                for line in file:
                    text = line.rstrip("\r\n")
                    yield text, line[len(text) :]
        except (OSError, UnicodeError) as error:
            raise FileError(self.path, str(error)) from error


def _read(path: Path, options: ReadOptions) -> _PlainDocument:
    return _PlainDocument(path, options.encoding or "utf-8")


FORMAT = FileFormat(name="text", suffixes=(".txt", ".text"), read=_read)
