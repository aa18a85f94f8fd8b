r"""Finds pairs of tags around words in a plain text, such as `<Link>terms</Link>` of JSX and `<0>here</0>` of i18next.

Also finds links of MediaWiki (`[[page|word]]`) and of Markdown (`[word](target)`), tags of BBCode, commands of TeX
(`\emph{word}`), and the signs of emphasis of wikis and chats (`**word**`). Software strings have them, although they
are no documents. A model that reads two placeholders instead of such a pair often moves the words out of it; as marks,
the tags follow their words. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import NamedTuple

from latimer_server.text.markup.building import BlockBuilder
from latimer_server.text.markup.document import MarkupDocument, TextFormat
from latimer_server.text.markup.elements import BLOCKS, UNTOUCHED, VOIDS

_TAG = re.compile(
    r"<(?P<close>/?)(?P<name>[A-Za-z][\w.:-]{0,63}|\d{1,3})(?P<rest>(?:\s[^<>]{0,500})?)>|"
    r"\[(?P<ends>/?)(?P<code>b|i|u|s|url|color|size|font|quote|center|spoiler|email)(?:=[^\[\]\n]{0,300})?\]"
)
# A text between signs of emphasis, or in a command of TeX.
_DELIMITED = re.compile(
    r"(?<![\w*'])(?P<open>(?P<sign>\*\*|'''|'')|\\(?:emph|text(?:bf|it|tt|sc|sf|rm|sl)|underline|mbox|enquote)\{)"
    r"(?=\S)(?P<text>[^*'{}\\\n]{1,200})(?<=\S)(?(sign)(?P=sign)|\})(?![*'])"
)
# Words between single signs, as mails and chats emphasize them. Inside the signs are letters at both edges.
_EMPHASIZED = re.compile(
    r"(?<![\w*\\'/`.:=@#$-])(?P<sign>[*_])(?=[^\W\d_])(?P<text>[^*_{}()<>=`\\\n]{1,60})(?<=[^\W_])"
    r"(?P=sign)(?![\w*'/(`:=-]|\.\w)"
)
# A link of Markdown whose text has no brackets. Behind a word or bracket the form is code, such as `table[key](event)`.
_LINK = re.compile(
    r"(?<![\w!\\\]\[)])\[(?P<text>[^\[\]\n]{1,300})(?P<close>\]\([^()\s]{1,256}(?: \"[^\"\n]{0,128}\")?\))"
)
# A link of MediaWiki with a text of its own.
_WIKI_LINK = re.compile(r"\[\[[^\[\]|\n]{1,64}\|(?P<text>[^\[\]|\n]{1,200})\]\]")
_SPACE_REFERENCE = re.compile("&(?:nbsp|ensp|emsp|thinsp|#160|#xA0|#xa0|#8239|#x202F|#x202f);")
# Comments, and elements whose content is no text.
_UNREAD = re.compile("<!|<(?:script|style|textarea|title|xmp|iframe|noembed|noframes)[\\s>]", re.IGNORECASE)
_LETTER = re.compile(r"[^\W\d_]")
# Elements of XLIFF whose content is code.
_CODE = frozenset(("bpt", "ept", "ph", "it"))


def read_inline_tags(source: str) -> MarkupDocument | None:
    """Returns a plain text as blocks whose marks are the pairs of tags around words. None without such a pair.

    Tags without a partner are text. Block elements of HTML divide the text if they are well nested around all its
    words. If they are not, or if the text has comments or scripts beside them, all its tags are text.
    """
    tags = _find_paired(source) if has_tags(source) else []
    if not tags:
        return None
    builder = BlockBuilder(source, TextFormat.PLAIN)
    position = 0
    kept = ""
    has_blocks = any(tag.name in BLOCKS for tag in tags)
    for tag in tags:
        if tag.start < position:
            continue
        if kept:
            kept = "" if tag.closes and tag.name == kept else kept
            position = tag.end
            continue
        _add_text(builder, source, position, tag.start, reads_spaces=has_blocks)
        if tag.name in BLOCKS:
            builder.finish_block()
            kept = tag.name if tag.name in UNTOUCHED and not tag.closes else ""
        elif tag.closes:
            builder.close_mark(tag.start, tag.end, tag.name)
        else:
            builder.open_mark(tag.start, tag.end, tag.name, opaque=tag.name in UNTOUCHED)
        position = tag.end
    _add_text(builder, source, position, len(source), reads_spaces=has_blocks)
    builder.finish_block()
    return MarkupDocument(source, tuple(builder.blocks)) if builder.blocks else None


def _add_text(builder: BlockBuilder, source: str, start: int, end: int, *, reads_spaces: bool) -> None:
    """Adds a text to the builder. `reads_spaces`: references such as `&nbsp;` are spaces, other ones are text."""
    if reads_spaces and start < end:
        for match in _SPACE_REFERENCE.finditer(source, start, end):
            builder.add_text(start, match.start())
            builder.add_text(*match.span(), unescape(match.group()))
            start = match.end()
    builder.add_text(start, end)


def has_tags(source: str) -> bool:
    """Returns True if a text may have a pair of tags: a sign that each pair contains, or emphasized words."""
    return any(sign in source for sign in ("</", "[/", "](", "[[", "**", "''", "\\")) or (
        _EMPHASIZED.search(source) is not None
    )


class _Tag(NamedTuple):
    start: int
    end: int
    name: str
    closes: bool


class _BlockNesting:
    """Reads the tags of the block elements of a text in order, and tells whether they enclose all its words."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._open: list[str] = []
        self._end = 0
        self._found = False

    def add(self, tag: _Tag) -> bool:
        """Adds a tag. Returns False if it closes another element than the last one, or a word is before the blocks."""
        if not self._found and _UNREAD.search(self._source):
            return False
        self._found = True
        if not self._open and _LETTER.search(self._source, self._end, tag.start):
            return False
        self._end = tag.end
        if tag.closes:
            return bool(self._open) and self._open.pop() == tag.name
        if tag.name not in VOIDS and not self._source.endswith("/>", tag.start, tag.end):
            self._open.append(tag.name)
        return True

    def is_complete(self) -> bool:
        """Returns True if every block element is closed and no word is behind them, or there is none."""
        if not self._found:
            return True
        return not self._open and _LETTER.search(self._source, self._end) is None


def _find_paired(source: str) -> list[_Tag]:
    """Returns the tags that are in pairs around a letter, and those of block elements, in order.

    Returns [] if block elements do not divide the text, see `read_inline_tags`.
    """
    elements = _find_elements(source)
    return [] if elements is None else sorted([*elements, *_find_delimited(source)])


def _find_elements(source: str) -> list[_Tag] | None:
    """Returns the tags of `_find_paired` that are in `<>` or `[]`; None if block elements do not divide the text."""
    paired: list[_Tag] = []
    nesting = _BlockNesting(source)
    opened: dict[str, list[_Tag]] = {}
    for match in _TAG.finditer(source):
        name = match["name"] or f"[{match['code']}]"
        tag = _Tag(match.start(), match.end(), name, bool(match["close"] or match["ends"]))
        if name in BLOCKS:
            if not nesting.add(tag):
                return None
            paired.append(tag)
        elif name.lower() in _CODE or (match["rest"] or "").endswith("/"):
            continue
        elif not tag.closes:
            opened.setdefault(name, []).append(tag)
        elif opened.get(name):
            opening = opened[name].pop()
            if _LETTER.search(source, opening.end, tag.start):
                paired += (opening, tag)
    return paired if nesting.is_complete() else None


def _find_delimited(source: str) -> Iterator[_Tag]:
    """Yields the ends of links of Markdown, of words with signs of emphasis, and of commands of TeX."""
    for match in _LINK.finditer(source if "](" in source else ""):
        if _LETTER.search(source, *match.span("text")):
            yield _Tag(match.start(), match.start("text"), "[", closes=False)
            yield _Tag(match.start("close"), match.end(), "[", closes=True)
    for match in _WIKI_LINK.finditer(source if "[[" in source else ""):
        yield _Tag(match.start(), match.start("text"), "[[", closes=False)
        yield _Tag(match.end("text"), match.end(), "[[", closes=True)
    for match in _DELIMITED.finditer(source):
        if _LETTER.search(source, *match.span("text")):
            name = match["sign"] or "\\"
            yield _Tag(match.start(), match.start("text"), name, closes=False)
            yield _Tag(match.end("text"), match.end(), name, closes=True)
    for match in _EMPHASIZED.finditer(source):
        yield _Tag(match.start(), match.start("text"), match["sign"], closes=False)
        yield _Tag(match.end("text"), match.end(), match["sign"], closes=True)
