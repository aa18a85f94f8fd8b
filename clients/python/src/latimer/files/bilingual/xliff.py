"""XLIFF 1.2 and 2.0 (OASIS): sources are translated into their targets.

A target that somebody finished stays: one with a state beyond "needs translation", or without a state but unlike its
source. A new target is `translated`. An uncertain one is `needs-review-translation` with a note of its flags in 1.2,
and has a `subState` of them in 2.0. A unit that fails keeps what it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from latimer.files.bilingual.targets import (
    check_target_language,
    indentation,
    language_edit,
    start_tag,
)
from latimer.files.bilingual.xliff_inline import read_inline
from latimer.files.document import Document, FileError, FileFormat, ReadOptions, Translated, Unit
from latimer.files.markup.edits import Edit, Part, Span
from latimer.files.markup.inline_codes import CodedText, encode
from latimer.files.markup.inline_xml import render_coded
from latimer.files.markup.xml_file import Slot, XmlFile
from latimer.files.markup.xml_source import XmlElement, XmlNode, XmlSource, escape_text

# States of 1.2 in which a target still has to be translated.
_OPEN_STATES = frozenset(("new", "needs-translation", "needs-adaptation", "needs-l10n"))


@dataclass
class _Segment:
    """A text to translate. `span`: its content in the source. `translated`: its translation once it is known."""

    span: Span
    coded: CodedText | None
    translated: Translated | None = None

    def parts(self) -> Sequence[Part]:
        """Returns the content of its target."""
        if self.coded is None or self.translated is None or self.translated.text in (None, self.coded.text):
            return (self.span,)
        return render_coded(self.coded, self.translated.text or "")


@dataclass
class _Target:
    """A target that is made of segments. `frame`: its content: spans of the source, and indexes of segments."""

    source: XmlElement
    target: XmlElement | None
    after: XmlElement
    frame: list[Span | int] = field(default_factory=list)
    segments: list[_Segment] = field(default_factory=list)

    def add(self, content: Span, nodes: Iterable[XmlNode], data: dict[str, str] | None = None) -> None:
        self.frame.append(len(self.segments))
        self.segments.append(_Segment(content, encode(read_inline(nodes, data))))

    def is_open(self, state: str | None, *, open_states: frozenset[str]) -> bool:
        """Returns True if the target has to be translated."""
        if not self.source.inner.end > self.source.inner.start:
            return False
        if self.target is None or not _raw(self.target).strip():
            return True
        return state in open_states if state is not None else _raw(self.target) == _raw(self.source)

    def flags(self) -> list[str]:
        """Returns the names of the flags of all segments, each once."""
        names = (flag for each in self.segments if each.translated is not None for flag in each.translated.flags)
        return list(dict.fromkeys(names))

    def parts(self) -> list[Part]:
        parts: list[Part] = []
        for piece in self.frame:
            parts += self.segments[piece].parts() if isinstance(piece, int) else (piece,)
        return parts

    def element(self, tag: str) -> Edit:
        """Returns the edit that writes the target. `tag`: its start tag."""
        name = self.target.name if self.target else f"{self.source.prefix}target"
        parts = (tag, *self.parts(), f"</{name}>")
        if self.target is not None:
            return Edit(self.target.start, self.target.end, parts)
        return Edit(self.after.end, self.after.end, (indentation(self.source), *parts))


def _raw(element: XmlElement) -> str:
    return element.source[slice(*element.inner)]


def _find(source: XmlSource, options: ReadOptions, path: Path) -> Iterator[Slot | Edit]:
    root = source.root
    if root.local != "xliff":
        raise FileError(path, "it is no XLIFF file", cure="check its name, or name its format")
    version = root.get("version") or ""
    if version.startswith("2"):
        yield from _find_2(source, options, path)
    elif version in ("1.0", "1.1", "1.2"):
        yield from _find_1(source, options, path)
    else:
        cure = "convert it to XLIFF 1.2 or 2.0"
        raise FileError(path, f"it is XLIFF {version[:20]!r}, which is not known", place="line 1", cure=cure)


def _find_1(source: XmlSource, options: ReadOptions, path: Path) -> Iterator[Slot | Edit]:
    for file in source.root.elements("file"):
        if any(each.local == "target" and each.text for each in file.descendants()):
            line = source.line(file.start)
            check_target_language(path, file.get("target-language"), options.target_language, line=line)
        declared = language_edit(file, "target-language", options.target_language)
        if declared is not None:
            yield declared
        for unit in file.descendants():
            if unit.local == "trans-unit" and unit.inherited("translate") != "no" and unit.get("approved") != "yes":
                yield from _read_unit_1(source, unit)


def _read_unit_1(source: XmlSource, unit: XmlElement) -> Iterator[Slot | Edit]:
    text, divided, target = unit.first("source"), unit.first("seg-source"), unit.first("target")
    if text is None:
        return
    found = _Target(text, target, divided or text)
    if not found.is_open(target.get("state") if target is not None else None, open_states=_OPEN_STATES):
        return
    if divided is None:
        found.add(text.inner, text.nodes)
    else:
        position = divided.open_end
        for mark in divided.descendants():
            if mark.local == "mrk" and mark.get("mtype") == "seg":
                found.frame.append(Span(position, mark.open_end))
                found.add(mark.inner, mark.nodes)
                position = mark.close_start
        found.frame.append(Span(position, divided.close_start))
    yield from _slots(source, found, unit.get("resname") or unit.get("id") or "", partial(_write_1, found))


def _write_1(found: _Target) -> Iterator[Edit]:
    flags = ", ".join(found.flags())
    state = "needs-review-translation" if flags else "translated"
    tag = f'<{found.source.prefix}target state="{state}">'
    if found.target is not None:
        tag = start_tag(found.target, {"state": state})
    edit = found.element(tag)
    if flags:
        name = f"{found.source.prefix}note"
        note = f'{indentation(found.source)}<{name} from="latimer">{escape_text(flags)}</{name}>'
        edit = Edit(edit.start, edit.end, (*edit.parts, note))
    yield edit


def _find_2(source: XmlSource, options: ReadOptions, path: Path) -> Iterator[Slot | Edit]:
    root = source.root
    if any(each.local == "target" and each.text for each in root.descendants()):
        check_target_language(path, root.get("trgLang"), options.target_language, line=source.line(root.start))
    declared = language_edit(root, "trgLang", options.target_language)
    if declared is not None:
        yield declared
    for unit in root.descendants():
        if unit.local != "unit" or unit.inherited("translate") == "no":
            continue
        original = unit.first("originalData")
        data = {each.get("id") or "": each.text for each in original.elements("data")} if original else {}
        for segment in unit.elements("segment"):
            text, target = segment.first("source"), segment.first("target")
            if text is None:
                continue
            found = _Target(text, target, text)
            sub_state = segment.get("subState")
            if sub_state is None and found.is_open(segment.get("state"), open_states=frozenset(("initial",))):
                found.add(text.inner, text.nodes, data)
                context = unit.get("name") or unit.get("id") or ""
                yield from _slots(source, found, context, partial(_write_2, found, segment))


def _write_2(found: _Target, segment: XmlElement) -> Iterator[Edit]:
    yield found.element(f"<{found.target.name if found.target else found.source.prefix + 'target'}>")
    flags = ".".join(found.flags())
    attributes = {"state": "translated"} | ({"subState": f"latimer:{flags}"} if flags else {})
    yield Edit(segment.start, segment.open_end, (start_tag(segment, attributes),))


def _slots(source: XmlSource, found: _Target, context: str, write: partial[Iterator[Edit]]) -> Iterator[Slot | Edit]:
    """Yields the slots of the segments of a target. The last one writes it, unless a segment failed."""
    open_segments = [each for each in found.segments if each.coded is not None]
    if not open_segments:
        # A text without letters is its own translation.
        yield from write()
        return

    def edit(segment: _Segment, translated: Translated) -> Iterable[Edit]:
        segment.translated = translated
        if segment is not open_segments[-1]:
            return ()
        failed = any(each.translated is None or each.translated.text is None for each in open_segments)
        return () if failed else write()

    for segment in open_segments:
        if segment.coded is not None:
            place = f"line {source.line(segment.span.start)}"
            unit = Unit(text=segment.coded.text, form=segment.coded.form, place=place, context=context)
            yield Slot(unit, partial(edit, segment))


def _read(path: Path, options: ReadOptions) -> Document:
    return XmlFile(path, options, lambda source, options: _find(source, options, path))


FORMAT = FileFormat(
    name="xliff",
    suffixes=(".xlf", ".xliff", ".sdlxliff", ".mqxliff"),
    read=_read,
    marks='state="needs-review-translation" and a note in 1.2, subState="latimer:FLAG" in 2.0',
)
