"""A document of several XML files in a zip archive."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from latimer.files.document import ReadOptions, Translated, Unit
from latimer.files.markup.edits import Edit, apply_edits
from latimer.files.markup.xml_file import Slot, collect_edits
from latimer.files.markup.xml_source import XmlSource, read_xml
from latimer.files.zipped.archive import Archive, open_archive


@dataclass(frozen=True)
class XmlPart:
    """A member with text. `find`: yields its units and edits."""

    name: str
    find: Callable[[XmlSource], Iterator[Slot | Edit]]


@dataclass
class PartReader:
    """Reads XML members of an archive."""

    archive: Archive
    names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.names = frozenset(self.archive.names)

    def read(self, name: str) -> XmlSource:
        """Returns a member as XML. Raises `FileError`."""
        return read_xml(self.archive.path, self.archive.read(name), part=name)


@dataclass(frozen=True)
class ZippedXml:
    """A document of XML members. `find_parts`: yields those with text, in the order in which people read them."""

    path: Path
    options: ReadOptions
    find_parts: Callable[[PartReader, ReadOptions], Iterable[XmlPart]]

    def units(self) -> Iterator[Unit]:
        """Yields the units of all parts."""
        with open_archive(self.path) as archive:
            reader = PartReader(archive)
            for part in self.find_parts(reader, self.options):
                for step in part.find(reader.read(part.name)):
                    if isinstance(step, Slot):
                        yield step.unit

    def write(self, target: BinaryIO, translations: Iterator[Translated]) -> None:
        """Writes the archive with translations. A member without a changed text keeps its packed bytes."""
        with open_archive(self.path) as archive:
            reader = PartReader(archive)
            changed: dict[str, bytes] = {}
            for part in self.find_parts(reader, self.options):
                source = reader.read(part.name)
                text = apply_edits(source.text, collect_edits(part.find(source), translations))
                if text != source.text:
                    changed[part.name] = source.encode(text)
            archive.write_copy(target, changed)
