"""The table of formats. A new format is one module and one row."""

from __future__ import annotations

from pathlib import Path

from latimer.files import (
    delimited,
    epub,
    generic_xml,
    html_text,
    json_text,
    markdown,
    pdf,
    plain,
    po,
    properties,
    yaml_text,
)
from latimer.files.bilingual import tmx, xliff
from latimer.files.catalogs import android, apple_plurals, apple_strings, qt, resx, string_catalog
from latimer.files.document import Document, FileError, FileFormat, ReadOptions
from latimer.files.office import opendocument, presentation, spreadsheet, wordprocessing
from latimer.files.subtitles import ass, srt, vtt

# In the order in which they are tried for a suffix that several have.
FORMATS: tuple[FileFormat, ...] = (
    plain.FORMAT,
    markdown.FORMAT,
    html_text.FORMAT,
    json_text.JSON,
    json_text.JSON_LINES,
    json_text.ARB,
    delimited.CSV,
    delimited.TSV,
    po.FORMAT,
    yaml_text.FORMAT,
    properties.FORMAT,
    pdf.FORMAT,
    srt.FORMAT,
    vtt.FORMAT,
    ass.FORMAT,
    wordprocessing.FORMAT,
    presentation.FORMAT,
    spreadsheet.FORMAT,
    opendocument.FORMAT,
    opendocument.FLAT,
    epub.FORMAT,
    xliff.FORMAT,
    tmx.FORMAT,
    android.FORMAT,
    apple_strings.FORMAT,
    apple_plurals.FORMAT,
    string_catalog.FORMAT,
    qt.FORMAT,
    resx.FORMAT,
    generic_xml.FORMAT,
)

_HEAD = 65_536


def find_format(path: Path, name: str | None = None) -> FileFormat:
    """Returns the format of a file: the named one, else the one of its suffix and content. Raises `FileError`."""
    if name is not None:
        named = next((each for each in FORMATS if each.name == name), None)
        if named is None:
            known = ", ".join(each.name for each in FORMATS)
            raise FileError(path, f"there is no format {name!r}", cure=f"use one of {known}")
        return named
    fitting = [each for each in FORMATS if path.name.lower().endswith(each.suffixes)]
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
