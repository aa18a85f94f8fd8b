"""Marks and edits that the bilingual formats share."""

from __future__ import annotations

from pathlib import Path

from latimer.files.document import FileError, Translated
from latimer.files.languages import is_language
from latimer.files.markup.edits import Edit
from latimer.files.markup.xml_source import XmlElement, escape_attribute


def flag_names(translated: Translated, *more: str) -> str:
    """Returns the names of the flags of an uncertain translation; "" for a sure one. `more`: flags that its format has
    found."""
    return ", ".join(dict.fromkeys((*translated.flags, *more)))


def indentation(element: XmlElement) -> str:
    """Returns the line break and white space before an element, "" if it begins no line."""
    start = element.start
    while start > 0 and element.source[start - 1] in " \t":
        start -= 1
    if start == 0 or element.source[start - 1] != "\n":
        return ""
    start -= 2 if element.source[start - 2 : start] == "\r\n" else 1
    return element.source[start : element.start]


def attribute_edit(element: XmlElement, name: str, value: str) -> Edit | None:
    """Returns the edit that gives an attribute a value, or None if it has it."""
    found = next((each for each in element.attributes() if each.name == name), None)
    if found is None:
        at = element.open_end - (2 if element.is_empty_tag else 1)
        return Edit(at, at, (f' {name}="{escape_attribute(value)}"',))
    return None if found.value == value else Edit(found.start, found.end, (escape_attribute(value),))


def start_tag(element: XmlElement, attributes: dict[str, str]) -> str:
    """Returns the start tag of an element with attributes set, or removed where their value is ""."""
    kept = {each.name: each.value for each in element.attributes()} | attributes
    written = "".join(f' {name}="{escape_attribute(value)}"' for name, value in kept.items() if value)
    return f"<{element.name}{written}>"


def language_edit(element: XmlElement, name: str, wanted: str) -> Edit | None:
    """Returns the edit that declares the target language in an attribute, or None if it declares it."""
    declared = next((each.value for each in element.attributes() if each.name == name), "")
    return None if is_language(declared, wanted) else attribute_edit(element, name, wanted)


def check_target_language(path: Path, declared: str | None, wanted: str, *, line: int) -> None:
    """Raises `FileError` if a file holds translations into another language."""
    if declared and not is_language(declared, wanted):
        cure = "translate into that language, or remove its translations from the file"
        raise FileError(path, f"it holds translations into {declared}, not {wanted}", place=f"line {line}", cure=cure)
