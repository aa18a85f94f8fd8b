"""Inline elements as short tags of a unit: `<g1>words</g1>`, `<x2/>`, `<br id="3"/>`, `<g4 translate="no">code</g4>`.

The short tags stand for the original ones, which may be long and mean nothing to a translator. The server reads them as
HTML: a pair follows its words, `<x2/>` keeps its place, `<br/>` ends a sentence, and the words of an element with
`translate="no"` stay. A translation with broken tags is repaired, so that a document is always valid.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import unescape
from typing import Literal

from latimer.files.document import TextForm
from latimer.files.markup.edits import Part

AtomKind = Literal["mark", "break", "text"]

_TAG = re.compile(r'<(/?)(g|x)([0-9]{1,6})( translate="no")?\s?(/?)>|<br id="([0-9]{1,6})"\s?/?>')


@dataclass(frozen=True, slots=True)
class Run:
    """Text of one formatting. `style`: names it; "" for none."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Atom:
    """An object without words to translate. `parts`: its source.

    `kind`: "mark" keeps its place among the words; "break" ends a sentence, such as a line break or a tab; "text" has
    words that are part of the sentence but are not translated: `text`. "mark" and "break" at the edges of a unit stay
    outside of it.
    """

    parts: tuple[Part, ...]
    kind: AtomKind = "mark"
    text: str = ""


@dataclass(frozen=True, slots=True)
class Wrap:
    """An element around other nodes, such as a link. `opening`, `closing`: the source of its tags."""

    opening: tuple[Part, ...]
    closing: tuple[Part, ...]
    nodes: tuple[InlineNode, ...]


InlineNode = Run | Atom | Wrap


@dataclass(frozen=True)
class CodedText:
    """The text of a unit whose inline elements are short tags.

    `text`, `form`: those of the unit. `base`: the style of runs without a tag. `head`, `tail`: the nodes before and
    after the text. `around`: elements that hold all of it, the outermost first, each with its own head and tail.
    """

    text: str
    form: TextForm
    base: str
    head: tuple[InlineNode, ...] = ()
    tail: tuple[InlineNode, ...] = ()
    around: tuple[tuple[Wrap, tuple[InlineNode, ...], tuple[InlineNode, ...]], ...] = ()
    codes: dict[int, _Code] = field(default_factory=dict, repr=False)

    def decode(self, translation: str) -> list[InlineNode]:
        """Returns the nodes of a translation, with every atom and every element of the source exactly once."""
        if self.form == "plain":
            nodes: list[InlineNode] = [Run(translation, self.base)] if translation else []
        else:
            nodes = _Reader(self.codes, self.base).read(translation)
        inner = [*self.head, *nodes, *self.tail]
        for wrap, head, tail in reversed(self.around):
            inner = [*head, Wrap(wrap.opening, wrap.closing, tuple(inner)), *tail]
        return inner


@dataclass(frozen=True)
class _Code:
    """A tag: a node, or a style. `parent`: the number of the wrap around a wrap, 0 for none. `is_whole`: True if the
    tag stands for the node with all that is in it."""

    node: InlineNode | None
    style: str = ""
    parent: int = 0
    is_whole: bool = False


def encode(nodes: Sequence[InlineNode]) -> CodedText | None:
    """Returns the nodes of a text as the text of a unit, or None if they have no letter to translate."""
    nodes = _merge(nodes)
    around: list[tuple[Wrap, tuple[InlineNode, ...], tuple[InlineNode, ...]]] = []
    while True:
        head, nodes, tail = _trim(nodes)
        if len(nodes) != 1 or not isinstance(nodes[0], Wrap):
            break
        around.append((nodes[0], tuple(head), tuple(tail)))
        nodes = _merge(nodes[0].nodes)
    if not _has_letter(nodes):
        return None
    base = _find_base(nodes)
    writer = _Writer()
    writer.write(nodes, base, 0)
    if writer.codes:
        return CodedText("".join(writer.written), "html", base, tuple(head), tuple(tail), tuple(around), writer.codes)
    text = "".join(node.text for node in nodes if isinstance(node, Run))
    return CodedText(text, "plain", base, tuple(head), tuple(tail), tuple(around))


def keeps_codes(source: str, translation: str) -> bool:
    """Returns True if a translation of a unit of form html has all short tags of its source, properly nested."""

    def count(text: str) -> Counter[tuple[str | None, ...]]:
        return Counter(match.groups() for match in _TAG.finditer(text))

    opened: list[str] = []
    for match in _TAG.finditer(translation):
        if match[2] != "g":
            continue
        if not match[1]:
            opened.append(match[3])
        elif not opened or opened.pop() != match[3]:
            return False
    return not opened and count(source) == count(translation)


def render(nodes: Iterable[InlineNode], render_run: Callable[[str, str], Sequence[Part]]) -> list[Part]:
    """Returns the source of nodes. `render_run`: returns the source of a text and its style."""
    parts: list[Part] = []
    for node in nodes:
        if isinstance(node, Run):
            parts += render_run(node.text, node.style)
        elif isinstance(node, Atom):
            parts += node.parts
        else:
            parts += [*node.opening, *render(node.nodes, render_run), *node.closing]
    return parts


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _merge(nodes: Iterable[InlineNode]) -> list[InlineNode]:
    """Joins runs of equal style, and atoms that are no breaks. White space takes the style of its neighbour."""
    merged: list[InlineNode] = []
    for node in nodes:
        last = merged[-1] if merged else None
        if isinstance(node, Run) and not node.text:
            continue
        if isinstance(node, Run) and isinstance(last, Run) and (last.style == node.style or not node.text.strip()):
            merged[-1] = Run(last.text + node.text, last.style)
        elif isinstance(node, Run) and isinstance(last, Run) and not last.text.strip():
            merged[-1] = Run(last.text + node.text, node.style)
        elif isinstance(node, Atom) and isinstance(last, Atom) and "break" not in (node.kind, last.kind):
            kind: AtomKind = "text" if "text" in (node.kind, last.kind) else "mark"
            shown = "".join(each.text for each in (last, node) if each.kind == "text")
            merged[-1] = Atom(last.parts + node.parts, kind, shown)
        else:
            merged.append(node)
    return merged


def _trim(nodes: list[InlineNode]) -> tuple[list[InlineNode], list[InlineNode], list[InlineNode]]:
    """Divides nodes into those before the text, the text, and those behind it."""
    head: list[InlineNode] = []
    tail: list[InlineNode] = []
    nodes = list(nodes)
    while nodes and (kept := _split_edge(nodes[0], at_start=True)) is not None:
        edge, rest = kept
        head.append(edge)
        nodes[:1] = [rest] if rest is not None else []
        if rest is not None:
            break
    while nodes and (kept := _split_edge(nodes[-1], at_start=False)) is not None:
        edge, rest = kept
        tail.insert(0, edge)
        nodes[-1:] = [rest] if rest is not None else []
        if rest is not None:
            break
    return head, nodes, tail


def _split_edge(node: InlineNode, *, at_start: bool) -> tuple[InlineNode, InlineNode | None] | None:
    """Returns the part of a node that stays outside of the unit, and the rest; None if all of it is inside."""
    if isinstance(node, Run):
        kept = node.text.lstrip() if at_start else node.text.rstrip()
        if len(kept) == len(node.text):
            return None
        space = node.text[: len(node.text) - len(kept)] if at_start else node.text[len(kept) :]
        return Run(space, node.style), Run(kept, node.style) if kept else None
    if isinstance(node, Atom):
        return (node, None) if node.kind != "text" else None
    return None if _has_words(node.nodes) else (node, None)


def _has_words(nodes: Iterable[InlineNode]) -> bool:
    return any(_has_words(node.nodes) if isinstance(node, Wrap) else bool(node.text.strip()) for node in nodes)


def _has_letter(nodes: Iterable[InlineNode]) -> bool:
    for node in nodes:
        if isinstance(node, Wrap) and _has_letter(node.nodes):
            return True
        if isinstance(node, Run) and any(map(str.isalpha, node.text)):
            return True
    return False


def _find_base(nodes: Iterable[InlineNode]) -> str:
    """Returns the style of most of the text, of equal ones the first."""
    lengths: dict[str, int] = {}
    for node in nodes:
        if isinstance(node, Run):
            lengths[node.style] = lengths.get(node.style, 0) + len(node.text.strip())
    return max(lengths, key=lengths.__getitem__) if lengths else ""


class _Writer:
    """Writes nodes as a text with short tags. `codes`: what their numbers stand for."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.codes: dict[int, _Code] = {}

    def write(self, nodes: Iterable[InlineNode], base: str, parent: int) -> None:
        for node in nodes:
            if isinstance(node, Run):
                self._write_run(node, base)
            elif isinstance(node, Atom):
                number = self._add(_Code(node, is_whole=True))
                if node.kind == "text":
                    self.written.append(f'<g{number} translate="no">{_escape(node.text)}</g{number}>')
                else:
                    self.written.append(f'<br id="{number}"/>' if node.kind == "break" else f"<x{number}/>")
            else:
                inner = _merge(node.nodes)
                if not _has_words(inner):
                    number = self._add(_Code(node, is_whole=True))
                    self.written.append(f"<x{number}/>")
                    continue
                inner_base = _find_base(inner)
                number = self._add(_Code(node, inner_base, parent))
                self.written.append(f"<g{number}>")
                self.write(inner, inner_base, number)
                self.written.append(f"</g{number}>")

    def _write_run(self, run: Run, base: str) -> None:
        text = run.text.strip()
        if run.style == base or not text:
            self.written.append(_escape(run.text))
            return
        start = run.text.index(text)
        number = self._add(_Code(None, run.style))
        after = run.text[start + len(text) :]
        self.written.append(f"{run.text[:start]}<g{number}>{_escape(text)}</g{number}>{after}")

    def _add(self, code: _Code) -> int:
        number = len(self.codes) + 1
        self.codes[number] = code
        return number


@dataclass
class _Open:
    """An element that is being read. `number`: 0 for the whole text."""

    number: int
    style: str
    nodes: list[InlineNode]


class _Reader:
    """Reads a translation with short tags. Broken tags are dropped, missing ones added at the end."""

    def __init__(self, codes: dict[int, _Code], base: str) -> None:
        self._codes = codes
        self._used: set[int] = set()
        self._stack = [_Open(0, base, [])]

    def read(self, text: str) -> list[InlineNode]:
        position = 0
        for match in _TAG.finditer(text):
            if match.start() < position:
                continue
            self._add_text(text[position : match.start()])
            position = match.end()
            number = int(match[3] or match[6])
            if match[1]:
                self._close(number)
            elif number in self._codes and number not in self._used:
                self._open(number, match)
                if self._codes[number].is_whole and match[2] == "g" and not match[5]:
                    position = max(position, text.find(f"</g{number}>", position))
        self._add_text(text[position:])
        while len(self._stack) > 1:
            self._close(self._stack[-1].number)
        return [*self._stack[0].nodes, *self._missing()]

    def _open(self, number: int, match: re.Match[str]) -> None:
        """Reads a start tag, or a tag without words."""
        code = self._codes[number]
        if code.is_whole and code.node is not None:
            self._stack[-1].nodes.append(code.node)
        elif match[2] == "g" and (code.node is None or self._wrap() == code.parent):
            self._stack.append(_Open(number, code.style, []))
            if match[5]:
                self._close(number)
        else:
            return
        self._used.add(number)

    def _missing(self) -> Iterator[InlineNode]:
        """Yields the elements without a tag. One whose words cannot be told apart any more stays without words."""
        for number, code in self._codes.items():
            if number in self._used or code.node is None:
                continue
            if isinstance(code.node, Wrap) and not code.is_whole:
                yield Wrap(code.node.opening, code.node.closing, ())
            else:
                yield code.node

    def _add_text(self, text: str) -> None:
        if text:
            self._stack[-1].nodes.append(Run(unescape(text), self._stack[-1].style))

    def _wrap(self) -> int:
        """Returns the number of the innermost element that is being read; a style is none."""
        for opened in reversed(self._stack):
            code = self._codes.get(opened.number)
            if code is not None and code.node is not None:
                return opened.number
        return 0

    def _close(self, number: int) -> None:
        """Ends an element, and those inside it that have no end of their own."""
        if all(opened.number != number for opened in self._stack[1:]):
            return
        while True:
            opened = self._stack.pop()
            node = self._codes[opened.number].node
            if isinstance(node, Wrap):
                self._stack[-1].nodes.append(Wrap(node.opening, node.closing, tuple(opened.nodes)))
            else:
                self._stack[-1].nodes += opened.nodes
            if opened.number == number:
                return
