"""A document of one XML file: units found in its elements, edits made from their translations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from latimer.files.document import FileError, ReadOptions, Translated, Unit
from latimer.files.markup.edits import Edit, apply_edits
from latimer.files.markup.xml_source import XmlSource, read_xml


@dataclass(frozen=True)
class Slot:
    """A unit, and the edits that put its translation into the file."""

    unit: Unit
    edit: Callable[[Translated], Iterable[Edit]]


# Yields the units of a document, and edits that are made whatever the translations are, in the order of the units.
Finder = Callable[[XmlSource, ReadOptions], Iterator[Slot | Edit]]


@dataclass(frozen=True)
class XmlFile:
    """A document of one XML file. `find`: finds its units. `check`: raises `FileError` if it is
    no file of the format."""

    path: Path
    options: ReadOptions
    find: Finder
    check: Callable[[Path, XmlSource], None] | None = None

    def units(self) -> Iterator[Unit]:
        """Yields the units in the order of the file."""
        for step in self.find(self._read(), self.options):
            if isinstance(step, Slot):
                yield step.unit

    def write(self, target: BinaryIO, translations: Iterator[Translated]) -> None:
        """Writes the file with translations."""
        source = self._read()
        text = apply_edits(source.text, collect_edits(self.find(source, self.options), translations))
        target.write(source.encode(text))

    def _read(self) -> XmlSource:
        source = read_xml(self.path, read_bytes(self.path), encoding=self.options.encoding)
        if self.check is not None:
            self.check(self.path, source)
        return source


def read_bytes(path: Path) -> bytes:
    """Returns the content of a file. Raises `FileError`."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileError(path, error.strerror or str(error)) from error


def collect_edits(steps: Iterable[Slot | Edit], translations: Iterator[Translated]) -> list[Edit]:
    """Returns the edits of steps. Advances `translations` by the number of slots."""
    edits: list[Edit] = []
    for step in steps:
        if isinstance(step, Edit):
            edits.append(step)
        else:
            edits += step.edit(next(translations))
    return edits
