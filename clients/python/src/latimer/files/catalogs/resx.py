"""RESX of .NET: the values of `data` that are texts.

Values with a type or a MIME type, and names that begin with `>>`, belong to the designer and stay. An uncertain text
has its flags in its `comment` if it has none yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from latimer.files.bilingual.targets import flag_names, indentation
from latimer.files.catalogs.access_keys import read_label
from latimer.files.catalogs.html_strings import keep_characters, string_form
from latimer.files.document import Document, FileError, FileFormat, ReadOptions, Translated, Unit
from latimer.files.markup.edits import Edit
from latimer.files.markup.xml_file import Slot, XmlFile
from latimer.files.markup.xml_source import XmlElement, XmlSource, escape_text

# Properties of Windows Forms that are no text although they have no type.
_PROPERTIES = (".Name", ".Type", ".Parent", ".ZOrder", ".ImageStream")


def _find(source: XmlSource, _: ReadOptions) -> Iterator[Slot]:
    for data in source.root.elements("data"):
        name = data.get("name") or ""
        value = data.first("value")
        if value is None or data.get("type") or data.get("mimetype"):
            continue
        if name.startswith(">>") or name.endswith(_PROPERTIES) or not any(map(str.isalpha, value.text)):
            continue
        yield _slot(source, data, value, name)


def _slot(source: XmlSource, data: XmlElement, value: XmlElement, name: str) -> Slot:
    form = string_form(value.text)
    label = read_label(value.text, "" if form == "html" else "&_")

    def edit(translated: Translated) -> Iterable[Edit]:
        if translated.text is None:
            return
        written = keep_characters(value.text, label.write(translated.text))
        if written != value.text:
            yield Edit(*value.inner, (escape_text(written),))
        flags = flag_names(translated, *label.find_flags(written))
        if flags and data.first("comment") is None:
            note = f"{indentation(value)}<{value.prefix}comment>latimer: {flags}</{value.prefix}comment>"
            yield Edit(value.end, value.end, (note,))

    place = f"line {source.line(value.start)}"
    syntaxes = ("icu",) if "{0" in label.text else ()
    return Slot(Unit(text=label.text, form=form, place=place, context=name, syntaxes=syntaxes), edit)


def _check(path: Path, source: XmlSource) -> None:
    if source.root.local != "root":
        raise FileError(path, "it is no RESX file", cure="check its name, or name its format")


def _read(path: Path, options: ReadOptions) -> Document:
    return XmlFile(path, options, _find, _check)


FORMAT = FileFormat(name="resx", suffixes=(".resx", ".resw"), read=_read, marks="a comment of the text")
