"""The types that formats and their users share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

# How the server reads the text of a unit: the values of the contract's TextFormat.
TextForm = Literal["plain", "html", "markdown", "xml"]


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A text of a document that is translated as a whole.

    `text`: the text, without escapes of the file format. Inline formatting is markup of `form`. `context`: what tells
    equal texts with different translations apart, such as msgctxt, a resource's name or a path of keys; "" if nothing
    does. `place`: the position in the file in words, such as "line 812" or "slide 3", for messages. `syntaxes`: names
    of the contract's placeholder syntaxes that the text may have.
    """

    text: str
    place: str
    form: TextForm = "plain"
    context: str = ""
    syntaxes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Translated:
    """The translation of a unit.

    `text`: the translation, in the form of its unit; None if it failed, so that the document keeps the source. `flags`:
    names of the warnings of the translation without the prefix `FLAG_`, without notes. A format that can mark uncertain
    units marks those that have flags, and those that failed.
    """

    text: str | None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How a file is read.

    `source_language`: BCP-47; None if unknown. `target_language`: BCP-47; the language that `write` declares where
    the format declares one, and whose plural forms a PO file gets. `encoding`: the encoding of the file; None detects
    it. `paths`: paths of the texts in JSON and YAML; empty for all. `columns`: names or numbers from 1 of the columns
    of a CSV or TSV file with text; empty for all. `header`: True if the first row of a CSV or TSV file names its
    columns; it is not translated then.
    """

    target_language: str
    source_language: str | None = None
    encoding: str | None = None
    paths: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    header: bool = True


class Document(Protocol):
    """An open file. It reads the file again for each call, so a document of any size needs little memory where its
    format can be read in a stream. The file must not change meanwhile."""

    def units(self) -> Iterator[Unit]:
        """Yields the texts to translate, in an order that does not change. Raises `FileError`."""
        ...

    def write(self, target: BinaryIO, translations: Iterator[Translated]) -> None:
        """Writes the document with translations in place of the units' texts.

        `translations`: one for each unit, in the order of `units`; it is advanced only as needed, so that the
        output grows while translations arrive, where the format allows. Raises `FileError`.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class FileFormat:
    """A row of the table of formats.

    `name`: the name of the option `--format`. `suffixes`: the endings of file names, in lower case with the dot.
    `read`: opens a file; raises `FileError` if it is no such file. `marks`: how the format marks uncertain units; ""
    if it cannot. `is_this`: tells formats with the same suffix apart by the first 64 KB of the file; None takes the
    suffix alone. `translates`: False for a format that can only be read and summarized, such as PDF; `write` raises
    `FileError`.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Callable[[Path, ReadOptions], Document]
    marks: str = ""
    is_this: Callable[[bytes], bool] | None = None
    translates: bool = True


class FileError(Exception):
    """A file cannot be read or written.

    `path`: the file. `place`: the position in it, such as "line 812"; "" for the whole. `reason`: what is wrong.
    `cure`: what to do; "" if nothing helps. `str()` has all of them on one line, without text of the file.
    """

    def __init__(self, path: Path, reason: str, *, place: str = "", cure: str = "") -> None:
        where = f"{path}, {place}" if place else str(path)
        super().__init__(f"{where}: {reason}; {cure}" if cure else f"{where}: {reason}")
        self.path = path
        self.place = place
        self.reason = reason
        self.cure = cure
