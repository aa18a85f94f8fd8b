"""The parts of an Office Open XML package and the relationships between them (ECMA-376 part 2)."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from urllib.parse import unquote

from latimer.files.document import FileError
from latimer.files.zipped.zipped_xml import PartReader

_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class Relationship:
    """A relationship from one part to another. `kind`: the last word of its type, such as "slide"."""

    kind: str
    target: str


def read_relationships(reader: PartReader, name: str) -> dict[str, Relationship]:
    """Returns the relationships of a part by their ids, without those to places outside of the package."""
    folder, _, file = name.rpartition("/")
    member = f"{folder}/_rels/{file}.rels" if folder else f"_rels/{file}.rels"
    if member not in reader.names:
        return {}
    found: dict[str, Relationship] = {}
    for element in reader.read(member).root.elements("Relationship"):
        target = unquote(element.get("Target") or "")
        if element.get("TargetMode") == "External" or not target:
            continue
        path = target.lstrip("/") if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
        kind = (element.get("Type") or "").rpartition("/")[2]
        found[element.get("Id") or ""] = Relationship(kind, path)
    return found


def find_main_part(reader: PartReader, local: str, description: str) -> str:
    """Returns the name of the main part. `local`: the name of its root element. Raises `FileError`."""
    for relationship in read_relationships(reader, "").values():
        name = relationship.target
        if relationship.kind != "officeDocument" or name not in reader.names:
            continue
        if reader.read(name).root.local == local:
            return name
    raise FileError(reader.archive.path, f"it is no {description}", cure="check its name, or name its format")


def related(reader: PartReader, name: str, *kinds: str) -> list[str]:
    """Returns the names of parts that a part refers to, by kind in the order of `kinds`, then by number."""
    targets = [each for each in read_relationships(reader, name).values() if each.target in reader.names]
    names = [sorted({each.target for each in targets if each.kind == kind}, key=_natural) for kind in kinds]
    return [name for each in names for name in each]


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts numbers in names by value."""
    return [(int(piece), "") if piece.isdigit() else (0, piece) for piece in _DIGITS.split(name)]
