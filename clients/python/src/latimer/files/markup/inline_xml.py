"""Reads the content of an element of any vocabulary as inline nodes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from latimer.files.document import Translated, Unit
from latimer.files.markup.edits import Edit, Part, Span
from latimer.files.markup.inline_codes import Atom, CodedText, InlineNode, Run, Wrap, encode, render
from latimer.files.markup.xml_file import Slot
from latimer.files.markup.xml_source import XmlElement, XmlNode, XmlText, escape_text

# How an inline element is read: "wrap" around words, or as an atom of a kind.
InlineKind = Literal["wrap", "mark", "break", "text"]
_WRAPPED_LINES = re.compile(r"[ \t]*\n\s*")


def read_nodes(
    nodes: Iterable[XmlNode],
    classify: Callable[[XmlElement], InlineKind],
    read_text: Callable[[XmlText], str] = lambda node: node.value,
) -> list[InlineNode]:
    """Returns the inline nodes of XML nodes. `read_text`: returns the words of character data."""
    read: list[InlineNode] = []
    for node in nodes:
        if isinstance(node, XmlText):
            read.append(Run(read_text(node)))
        elif not isinstance(node, XmlElement):
            read.append(Atom((Span(node.start, node.end),)))
        else:
            kind = classify(node)
            if kind != "wrap":
                read.append(Atom((Span(node.start, node.end),), kind, node.text))
            elif node.is_empty_tag:
                read.append(Atom((Span(node.start, node.end),)))
            else:
                read.append(wrap_element(node, read_nodes(node.nodes, classify, read_text)))
    return read


def wrap_element(element: XmlElement, nodes: Sequence[InlineNode]) -> Wrap:
    """Returns an element with its tags as they are around nodes."""
    opening = Span(element.start, element.open_end)
    return Wrap((opening,), (Span(element.close_start, element.end),), tuple(nodes))


def join_lines(text: str) -> str:
    """Returns a text with line breaks and the indentation around them as single spaces."""
    return _WRAPPED_LINES.sub(" ", text) if "\n" in text else text


def content_slot(
    source: str,
    span: Span,
    nodes: Sequence[InlineNode],
    *,
    place: str,
    context: str = "",
    write_text: Callable[[str], str] = escape_text,
    syntaxes: tuple[str, ...] = (),
    extra: Callable[[Translated], Iterable[Edit]] = lambda _: (),
) -> Slot | None:
    """Returns the slot of a unit that fills a span of `source`, or None if the nodes have no letter to translate.

    `write_text`: returns the source of words. `extra`: further edits for a translation, such as a mark of uncertainty.
    A translation that equals the text of its unit leaves the span as it is.
    """
    span, nodes = _leave_space(source, span, nodes)
    coded = encode(nodes)
    if coded is None:
        return None

    def edit(translated: Translated) -> Iterable[Edit]:
        if translated.text is not None and translated.text != coded.text:
            yield Edit(span.start, span.end, tuple(render_coded(coded, translated.text, write_text)))
        yield from extra(translated)

    return Slot(Unit(text=coded.text, form=coded.form, place=place, context=context, syntaxes=syntaxes), edit)


def render_coded(coded: CodedText, translation: str, write_text: Callable[[str], str] = escape_text) -> list[Part]:
    """Returns the source of a translation whose runs have no style."""
    return render(coded.decode(translation), lambda text, _: (write_text(text),))


def _leave_space(source: str, span: Span, nodes: Sequence[InlineNode]) -> tuple[Span, Sequence[InlineNode]]:
    """Leaves white space at the edges of a span outside of it, so that indentation keeps its bytes."""
    kept = list(nodes)
    start, end = span
    if kept and isinstance(kept[0], Run) and kept[0].text[:1].isspace() and source[start : start + 1].isspace():
        kept[0] = Run(kept[0].text.lstrip(), kept[0].style)
        while start < end and source[start].isspace():
            start += 1
    if kept and isinstance(kept[-1], Run) and kept[-1].text[-1:].isspace() and source[end - 1 : end].isspace():
        kept[-1] = Run(kept[-1].text.rstrip(), kept[-1].style)
        while start < end and source[end - 1].isspace():
            end -= 1
    return Span(start, end), kept
