"""The results of a document as lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from latimer.files import Document, Translated, Unit


@dataclass(frozen=True)
class JsonLinesDocument:
    """A document whose output has one JSON object for each unit: file, place, source, text and flags."""

    document: Document
    name: str

    def units(self) -> Iterator[Unit]:
        """Yields the units of the document."""
        return self.document.units()

    def write(self, target: BinaryIO, translations: Iterator[Translated]) -> None:
        """Writes a line for each unit; `text` is null if the unit failed."""
        for unit, translated in zip(self.document.units(), translations, strict=True):
            value = {
                "file": self.name,
                "place": unit.place,
                "source": unit.text,
                "text": translated.text,
                "flags": translated.flags,
            }
            target.write(json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")
