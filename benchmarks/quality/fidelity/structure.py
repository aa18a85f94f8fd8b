"""The skeleton of marked-up text, by parsers of the standard library and markdown-it: nothing of the server's.

Two texts have one skeleton if each has the other's tags, as they are written, inside one another alike, and
the blocks in one order. Inline elements may change places, as words do.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from html.parser import HTMLParser

from markdown_it import MarkdownIt
from markdown_it.token import Token

_VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")
)
# All others are blocks, whose order is the source's.
_INLINE = re.compile(
    "a|abbr|b|bdi|bdo|big|br|cite|code|data|del|dfn|em|emphasis|font|g|i|img|ins|kbd|mark|ph|q|s|samp|small|span|strike"
    "|strong|sub|sup|time|tt|u|var|wbr|x|key|icon|brand|city|a:b"
)


class _Skeleton(HTMLParser):
    """Tags as written, elements with those around them, and the blocks in order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.written: Counter[str] = Counter()
        self.paths: Counter[str] = Counter()
        self.blocks: list[str] = []
        self.inner: dict[str, list[str]] = {}
        self._open: list[tuple[str, str]] = []
        self._texts: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Opens an element, unless it has no content."""
        del attrs
        self._start(tag)
        if tag not in _VOID:
            self._open.append((tag, self.get_starttag_text() or ""))
            self._texts.append([])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element that closes itself."""
        del attrs
        self._start(tag)

    def handle_endtag(self, tag: str) -> None:
        """Closes up to the last open element of this name."""
        self.written[f"</{tag}>"] += 1
        if not _INLINE.fullmatch(tag):
            self.blocks.append(f"</{tag}>")
        if any(name == tag for name, _ in self._open):
            while self._open:
                name, _ = self._open.pop()
                self.inner.setdefault(name, []).append("".join(self._texts.pop()))
                if name == tag:
                    return

    def handle_data(self, data: str) -> None:
        """Text belongs to every element that is open."""
        for texts in self._texts:
            texts.append(data)

    def handle_entityref(self, name: str) -> None:
        """`&name;` is text."""
        self.handle_data(f"&{name};")

    def handle_charref(self, name: str) -> None:
        """`&#name;` is text."""
        self.handle_data(f"&#{name};")

    def handle_comment(self, data: str) -> None:
        """Comments stay as they are."""
        self.written[f"<!--{data}-->"] += 1

    def handle_decl(self, decl: str) -> None:
        """So do declarations."""
        self.written[f"<!{decl}>"] += 1

    def unknown_decl(self, data: str) -> None:
        """CDATA and the like."""
        self.written[f"<![{data.split('[')[0]}["] += 1

    def handle_pi(self, data: str) -> None:
        """So do processing instructions."""
        self.written[f"<?{data}>"] += 1

    def _start(self, tag: str) -> None:
        text = self.get_starttag_text() or ""
        self.written[text] += 1
        self.paths[" ".join(raw for _, raw in [*self._open, (tag, text)])] += 1
        if not _INLINE.fullmatch(tag):
            self.blocks.append(text)


def read_elements(text: str) -> dict[str, list[str]]:
    """The text inside the elements of each name."""
    return _parse(text).inner


def compare_tags(source: str, output: str, *, is_xml: bool = False) -> list[str]:
    """How the tags of `output` differ from those of `source`; nothing if they do not."""
    before, after = _parse(source), _parse(output)
    found = [f"lost {tag}" for tag in (before.written - after.written).elements()]
    found += [f"invented {tag}" for tag in (after.written - before.written).elements()]
    if not found:
        found += [f"no longer nested so: {path}" for path in (before.paths - after.paths).elements()]
    if not found and before.blocks != after.blocks:
        found.append("blocks in another order")
    if is_xml and _is_well_formed(source) and not _is_well_formed(output):
        found.append("no longer well-formed")
    return found


def compare_markdown(source: str, output: str) -> list[str]:
    """How the blocks and the inline marks of `output` differ from those of `source`."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    before, after = parser.parse(source), parser.parse(output)
    found = []
    mine, theirs = ([_describe(token) for token in tokens] for tokens in (before, after))
    if mine != theirs:
        different = [pair for pair in zip(mine, theirs, strict=False) if pair[0] != pair[1]]
        found.append(f"blocks differ: {different[0] if different else (len(mine), len(theirs))}")
    marks = [Counter(_describe(child) for token in tokens for child in _marks(token)) for tokens in (before, after)]
    found += [f"lost {mark}" for mark in (marks[0] - marks[1]).elements()]
    found += [f"invented {mark}" for mark in (marks[1] - marks[0]).elements()]
    return found


def _marks(token: Token) -> list[Token]:
    return [child for child in token.children or [] if child.type not in ("text", "softbreak")]


def _describe(token: Token) -> str:
    content = token.content if token.type in ("fence", "code_block", "html_block", "code_inline", "html_inline") else ""
    attributes = {name: value for name, value in token.attrs.items() if name in ("href", "src", "start", "style")}
    return f"{token.type} {token.tag} {token.markup} {token.info} {attributes or ''} {content}".strip()


def _parse(text: str) -> _Skeleton:
    parser = _Skeleton()
    parser.feed(text)
    parser.close()
    return parser


def _is_well_formed(text: str) -> bool:
    try:
        ET.fromstring(text)
    except ET.ParseError:
        return False
    return True
