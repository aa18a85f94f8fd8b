"""TMX 1.4 (LISA): translation units without the target language get it.

An uncertain translation has `<prop type="latimer:flags">` with the names of its flags.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from latimer.files.bilingual.targets import flag_names, indentation
from latimer.files.bilingual.xliff_inline import read_inline
from latimer.files.document import Document, FileError, FileFormat, ReadOptions, Translated, Unit
from latimer.files.languages import is_language
from latimer.files.markup.edits import Edit
from latimer.files.markup.inline_codes import encode
from latimer.files.markup.inline_xml import render_coded
from latimer.files.markup.xml_file import Slot, XmlFile
from latimer.files.markup.xml_source import (
    XML_NAMESPACE,
    XmlElement,
    XmlSource,
    escape_attribute,
    escape_text,
)


def _find(source: XmlSource, options: ReadOptions) -> Iterator[Slot | Edit]:
    header = source.root.first("header")
    wanted = options.source_language or (header.get("srclang") if header is not None else None) or "*all*"
    for unit in source.root.descendants():
        if unit.local != "tu":
            continue
        variants = {_language(each): each for each in unit.elements("tuv")}
        if any(is_language(code, options.target_language) for code in variants):
            continue
        fitting = [each for code, each in variants.items() if is_language(code, unit.get("srclang") or wanted)]
        segment = fitting[0].first("seg") if fitting else None
        if segment is not None:
            yield from _read_segment(source, fitting[0], segment, unit.get("tuid") or "", options)


def _language(variant: XmlElement) -> str:
    return variant.get("lang", XML_NAMESPACE) or variant.get("lang") or ""


def _read_segment(
    source: XmlSource, variant: XmlElement, segment: XmlElement, context: str, options: ReadOptions
) -> Iterator[Slot]:
    coded = encode(read_inline(segment.nodes))
    if coded is None:
        return
    break_, code = indentation(variant), escape_attribute(options.target_language)
    prefix = variant.prefix

    def edit(translated: Translated) -> Iterable[Edit]:
        if translated.text is None:
            return
        flags = flag_names(translated)
        note = f'<{prefix}prop type="latimer:flags">{escape_text(flags)}</{prefix}prop>' if flags else ""
        opening = f'{break_}<{prefix}tuv xml:lang="{code}">{note}<{prefix}seg>'
        parts = (opening, *render_coded(coded, translated.text), f"</{prefix}seg></{prefix}tuv>")
        yield Edit(variant.end, variant.end, parts)

    place = f"line {source.line(segment.start)}"
    yield Slot(Unit(text=coded.text, form=coded.form, place=place, context=context), edit)


def _check(path: Path, source: XmlSource) -> None:
    if source.root.local != "tmx":
        raise FileError(path, "it is no TMX file", cure="check its name, or name its format")


def _read(path: Path, options: ReadOptions) -> Document:
    return XmlFile(path, options, _find, _check)


FORMAT = FileFormat(name="tmx", suffixes=(".tmx",), read=_read, marks='<prop type="latimer:flags">')
