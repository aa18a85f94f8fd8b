"""Apple's .stringsdict: plural forms of texts in a property list.

Missing plural forms of the target language are added with the translation of `other`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from latimer.files.bilingual.targets import flag_names, indentation
from latimer.files.catalogs.plural_categories import CATEGORIES, plural_categories
from latimer.files.document import Document, FileError, FileFormat, ReadOptions, Translated, Unit
from latimer.files.markup.edits import Edit, Part
from latimer.files.markup.xml_file import Slot, XmlFile
from latimer.files.markup.xml_source import XmlElement, XmlSource, escape_text

_VARIABLE = re.compile(r"%(?:\d+\$)?#@\w+@")


def _find(source: XmlSource, options: ReadOptions) -> Iterator[Slot]:
    top = source.root.first("dict")
    for name, entry in _pairs(top):
        for key, value in _pairs(entry):
            if key == "NSStringLocalizedFormatKey":
                if any(map(str.isalpha, _VARIABLE.sub("", value.text))):
                    yield _slot(source, value, name, ())
            elif value.local == "dict":
                yield from _read_forms(source, value, name, options)


def _read_forms(source: XmlSource, forms: XmlElement, name: str, options: ReadOptions) -> Iterator[Slot]:
    pairs = dict(_pairs(forms))
    missing = [each for each in plural_categories(options.target_language) if each not in pairs]
    for key, value in pairs.items():
        if key in CATEGORIES and any(map(str.isalpha, value.text)):
            yield _slot(source, value, f"{name}[{key}]", missing if key == "other" else ())


def _pairs(element: XmlElement | None) -> Iterator[tuple[str, XmlElement]]:
    """Yields the keys of a `dict` with their values."""
    children = iter(element.elements() if element is not None else ())
    for key in children:
        value = next(children, None)
        if key.local == "key" and value is not None:
            yield key.text, value


def _slot(source: XmlSource, value: XmlElement, context: str, missing: Sequence[str]) -> Slot:
    text = value.text

    def edit(translated: Translated) -> Iterable[Edit]:
        if translated.text is None:
            return
        changed = translated.text != text
        content: Part = escape_text(translated.text) if changed else value.inner
        if changed:
            yield Edit(*value.inner, (content,))
        break_ = indentation(value)
        if translated.flags:
            yield Edit(value.start, value.start, (f"<!-- latimer: {flag_names(translated)} -->{break_}",))
        for category in missing:
            tags = f"{break_}<key>{category}</key>{break_}<string>"
            yield Edit(value.end, value.end, (tags, content, "</string>"))

    place = f"line {source.line(value.start)}"
    return Slot(Unit(text=text, place=place, context=context, syntaxes=("printf",)), edit)


def _check(path: Path, source: XmlSource) -> None:
    if source.root.local != "plist":
        raise FileError(path, "it is no property list", cure="convert it to XML with plutil")


def _read(path: Path, options: ReadOptions) -> Document:
    return XmlFile(path, options, _find, _check)


FORMAT = FileFormat(name="stringsdict", suffixes=(".stringsdict",), read=_read, marks="a comment before the text")
