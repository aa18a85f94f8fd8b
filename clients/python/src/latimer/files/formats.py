"""The table of formats. A new format is one module and one row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, overload

from latimer.files.document import Document, FileError, FileFormat, ReadOptions


class _Row(NamedTuple):
    """A format and where it is: `name` and the `suffixes` of its `FileFormat`, its module, and the name in there."""

    name: str
    suffixes: str
    module: str
    attribute: str = "FORMAT"

    def load(self) -> FileFormat:
        """Returns the format. Its module is imported now, because all of them and their libraries take long."""
        module = import_module(f"latimer.files.{self.module}")
        loaded: FileFormat = getattr(module, self.attribute)
        return loaded


# In the order in which they are tried for a suffix that several have.
_ROWS: tuple[_Row, ...] = (
    _Row("text", ".txt .text", "plain"),
    _Row("markdown", ".md .markdown .mdown", "markdown"),
    _Row("html", ".html .htm .xhtml", "html_text"),
    _Row("json", ".json", "json_text", "JSON"),
    _Row("jsonl", ".jsonl .ndjson", "json_text", "JSON_LINES"),
    _Row("arb", ".arb", "json_text", "ARB"),
    _Row("csv", ".csv", "delimited", "CSV"),
    _Row("tsv", ".tsv .tab", "delimited", "TSV"),
    _Row("po", ".po .pot", "po"),
    _Row("yaml", ".yaml .yml", "yaml_text"),
    _Row("properties", ".properties", "properties"),
    _Row("pdf", ".pdf", "pdf"),
    _Row("srt", ".srt", "subtitles.srt"),
    _Row("vtt", ".vtt", "subtitles.vtt"),
    _Row("ass", ".ass .ssa", "subtitles.ass"),
    _Row("docx", ".docx .docm .dotx .dotm", "office.wordprocessing"),
    _Row("pptx", ".pptx .pptm .ppsx .ppsm .potx", "office.presentation"),
    _Row("xlsx", ".xlsx .xlsm .xltx .xltm", "office.spreadsheet"),
    _Row("odf", ".odt .ods .odp .ott .ots .otp .odg", "office.opendocument"),
    _Row("flat-odf", ".fodt .fods .fodp .fodg", "office.opendocument", "FLAT"),
    _Row("epub", ".epub", "epub"),
    _Row("xliff", ".xlf .xliff .sdlxliff .mqxliff", "bilingual.xliff"),
    _Row("tmx", ".tmx", "bilingual.tmx"),
    _Row("android", ".xml", "catalogs.android"),
    _Row("strings", ".strings", "catalogs.apple_strings"),
    _Row("stringsdict", ".stringsdict", "catalogs.apple_plurals"),
    _Row("xcstrings", ".xcstrings", "catalogs.string_catalog"),
    _Row("qt", ".ts", "catalogs.qt"),
    _Row("resx", ".resx .resw", "catalogs.resx"),
    _Row("xml", ".xml .dbk .dita .ditamap", "generic_xml"),
)


class _Formats(Sequence[FileFormat]):
    """All formats. Each is imported when it is read here."""

    def __len__(self) -> int:
        return len(_ROWS)

    @overload
    def __getitem__(self, index: int) -> FileFormat: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[FileFormat, ...]: ...
    def __getitem__(self, index: int | slice) -> FileFormat | tuple[FileFormat, ...]:
        if isinstance(index, slice):
            return tuple(row.load() for row in _ROWS[index])
        return _ROWS[index].load()

    def __iter__(self) -> Iterator[FileFormat]:
        return (row.load() for row in _ROWS)


FORMATS: Sequence[FileFormat] = _Formats()

_HEAD = 65_536


def find_format(path: Path, name: str | None = None) -> FileFormat:
    """Returns the format of a file: the named one, else the one of its suffix and content. Raises `FileError`."""
    if name is not None:
        named = next((row for row in _ROWS if row.name == name), None)
        if named is None:
            known = ", ".join(row.name for row in _ROWS)
            raise FileError(path, f"there is no format {name!r}", cure=f"use one of {known}")
        return named.load()
    fitting = [row.load() for row in _ROWS if path.name.lower().endswith(tuple(row.suffixes.split()))]
    if len(fitting) > 1 or any(each.is_this for each in fitting):
        try:
            with path.open("rb") as file:
                head = file.read(_HEAD)
        except OSError as error:
            raise FileError(path, error.strerror or str(error)) from error
        fitting = [each for each in fitting if each.is_this is None or each.is_this(head)]
    if not fitting:
        raise FileError(path, "the format of this file is not known", cure="name it with --format")
    return fitting[0]


def open_document(path: Path, options: ReadOptions, name: str | None = None) -> Document:
    """Opens a file by its format. `name`: the name of the format; None finds it. Raises `FileError`."""
    return find_format(path, name).read(path, options)
