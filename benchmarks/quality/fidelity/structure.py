"""Compares the structure of marked-up texts by the parsers of the standard library and markdown-it.

Shares no code with the server. Two texts have the same structure if they have the same tags, character by character,
with the same nesting, and the same blocks in the same order. Inline elements may change places, as words do.
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
# All other elements are blocks, which must keep their order.
_INLINE = re.compile(
    "a|abbr|b|bdi|bdo|big|br|cite|code|data|del|dfn|em|emphasis|font|g|i|img|ins|kbd|mark|ph|q|s|samp|small|span|strike"
    "|strong|sub|sup|time|tt|u|var|wbr|x|key|icon|brand|city|a:b"
)


class _Skeleton(HTMLParser):
    """Collects the tags as written, the path of each element, and the blocks in order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.written: Counter[str] = Counter()
        self.paths: Counter[str] = Counter()
        self.blocks: list[str] = []
        self.inner: dict[str, list[str]] = {}
        self._open: list[tuple[str, str]] = []
        self._texts: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Opens an element, unless it is void."""
        del attrs
        self._start(tag)
        if tag not in _VOID:
            self._open.append((tag, self.get_starttag_text() or ""))
            self._texts.append([])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Counts an element that closes itself."""
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
        """Adds text to every open element."""
        for texts in self._texts:
            texts.append(data)

    def handle_entityref(self, name: str) -> None:
        """Adds `&name;` as text."""
        self.handle_data(f"&{name};")

    def handle_charref(self, name: str) -> None:
        """Adds `&#name;` as text."""
        self.handle_data(f"&#{name};")

    def handle_comment(self, data: str) -> None:
        """Counts a comment, which must be kept."""
        self.written[f"<!--{data}-->"] += 1

    def handle_decl(self, decl: str) -> None:
        """Counts a declaration, which must be kept."""
        self.written[f"<!{decl}>"] += 1

    def unknown_decl(self, data: str) -> None:
        """Counts a marked section such as CDATA by its name."""
        self.written[f"<![{data.split('[')[0]}["] += 1

    def handle_pi(self, data: str) -> None:
        """Counts a processing instruction, which must be kept."""
        self.written[f"<?{data}>"] += 1

    def _start(self, tag: str) -> None:
        text = self.get_starttag_text() or ""
        self.written[text] += 1
        self.paths[" ".join(raw for _, raw in [*self._open, (tag, text)])] += 1
        if not _INLINE.fullmatch(tag):
            self.blocks.append(text)


def read_elements(text: str) -> dict[str, list[str]]:
    """Returns the texts inside the elements of each name."""
    return _parse(text).inner


def compare_tags(source: str, output: str, *, is_xml: bool = False) -> list[str]:
    """Returns the differences between the tags of `output` and those of `source`."""
    before, after = _parse(source), _parse(output)
    found = [f"lost {tag}" for tag in (before.written - after.written).elements()]
    found += [f"invented {tag}" for tag in (after.written - before.written).elements()]
    if not found:
        found += [f"nesting lost: {path}" for path in (before.paths - after.paths).elements()]
    if not found and before.blocks != after.blocks:
        found.append("blocks in another order")
    if is_xml and _is_well_formed(source) and not _is_well_formed(output):
        found.append("no longer well-formed")
    return found


def compare_markdown(source: str, output: str) -> list[str]:
    """Returns the differences between the blocks and inline marks of `output` and those of `source`."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    before, after = parser.parse(source), parser.parse(output)
    found = []
    old, new = ([_describe(token) for token in tokens] for tokens in (before, after))
    if old != new:
        different = [pair for pair in zip(old, new, strict=False) if pair[0] != pair[1]]
        found.append(f"blocks differ: {different[0] if different else (len(old), len(new))}")
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
