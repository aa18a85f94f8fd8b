"""Inline elements of XLIFF 1.2 (2.3) and 2.0 (4.3) as inline nodes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from latimer.files.markup.edits import Span
from latimer.files.markup.inline_codes import Atom, AtomKind, InlineNode, Run, Wrap
from latimer.files.markup.inline_xml import wrap_element
from latimer.files.markup.xml_source import XmlElement, XmlNode, XmlText

_WRAPPERS = frozenset(("g", "mrk", "pc"))
_STARTS = frozenset(("bpt", "bx", "sc", "sm"))
_ENDS = frozenset(("ept", "ex", "ec", "em"))
# Angular writes pairs as two `x`.
_NAMED_PAIR = re.compile(r"(START|CLOSE)_(.+)")
_TAG = re.compile(r"\s*</?[A-Za-z][^<>]*>\s*")
_LINE_BREAK = re.compile(r"\s*<br\b[^<>]*>\s*|\n")


@dataclass(frozen=True)
class _Start:
    """The start of a pair that is two elements. `at`: the index of its node."""

    key: str
    at: int


def read_inline(nodes: Iterable[XmlNode], data: Mapping[str, str] | None = None) -> list[InlineNode]:
    """Returns the inline nodes of a source. `data`: the original data of a unit of XLIFF 2.0 by id.

    Two elements that begin and end a pair are a pair if they nest with other elements.
    """
    read: list[InlineNode] = []
    starts: list[_Start] = []
    for node in nodes:
        if isinstance(node, XmlText):
            read.append(Run(node.value))
            continue
        span = Span(node.start, node.end)
        if not isinstance(node, XmlElement):
            read.append(Atom((span,)))
        elif node.local in _WRAPPERS and not _is_protected(node):
            read.append(wrap_element(node, read_inline(node.nodes, data)))
        elif (key := _start_key(node)) is not None:
            starts.append(_Start(key, len(read)))
            read.append(Atom((span,)))
        elif (key := _end_key(node)) is not None and any(start.key == key for start in starts):
            while starts[-1].key != key:
                starts.pop()
            at = starts.pop().at
            opening = read[at]
            parts = opening.parts if isinstance(opening, Atom) else ()
            read[at:] = [Wrap(parts, (span,), tuple(read[at + 1 :]))]
        else:
            shown = _shown_text(node, data or {})
            read.append(Atom((span,), _kind(node, shown), shown))
    return read


def _is_protected(element: XmlElement) -> bool:
    return element.get("mtype") == "protected" or element.get("translate") == "no"


def _start_key(element: XmlElement) -> str | None:
    if element.local in _STARTS:
        return element.get("rid") or element.get("id") or ""
    named = _NAMED_PAIR.fullmatch(element.get("id") or "") if element.local == "x" else None
    return f"name {named[2]}" if named and named[1] == "START" else None


def _end_key(element: XmlElement) -> str | None:
    if element.local in _ENDS:
        return element.get("startRef") or element.get("rid") or element.get("id") or ""
    named = _NAMED_PAIR.fullmatch(element.get("id") or "") if element.local == "x" else None
    return f"name {named[2]}" if named and named[1] == "CLOSE" else None


def _shown_text(element: XmlElement, data: Mapping[str, str]) -> str:
    """Returns the words that stand in the place of an element."""
    given = element.get("equiv-text") or element.get("equiv") or element.get("disp")
    return given or element.text or data.get(element.get("dataRef") or "", "")


def _kind(element: XmlElement, shown: str) -> AtomKind:
    if element.get("ctype") in ("lb", "x-br") or element.get("subType") == "fmt:lb" or _LINE_BREAK.fullmatch(shown):
        return "break"
    return "mark" if not shown.strip() or _TAG.fullmatch(shown) else "text"
