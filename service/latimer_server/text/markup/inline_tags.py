r"""Finds pairs of tags around words in a plain text, such as `<Link>terms</Link>` of JSX and `<0>here</0>` of i18next.

Also finds those of BBCode and of TeX (`\emph{word}`), and the signs of emphasis of wikis and chats (`**word**`).
Software strings have them, although they are no documents. A model that reads two placeholders instead of such a pair
often moves the words out of it; as marks, the tags follow their words. Pure functions.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from latimer_server.text.markup.building import BlockBuilder
from latimer_server.text.markup.document import MarkupDocument, TextFormat
from latimer_server.text.markup.elements import BLOCKS, UNTOUCHED

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
_LETTER = re.compile(r"[^\W\d_]")
# Elements of XLIFF whose content is code.
_CODE = frozenset(("bpt", "ept", "ph", "it"))


def read_inline_tags(source: str) -> MarkupDocument | None:
    """Returns a plain text as one block whose marks are the pairs of tags around words. None without such a pair.

    Tags without a partner are text. So are all tags of a text with block elements of HTML, which is a document.
    """
    tags = _find_paired(source) if has_tags(source) else []
    if not tags:
        return None
    builder = BlockBuilder(source, TextFormat.PLAIN)
    position = 0
    for tag in tags:
        if tag.start < position:
            continue
        builder.add_text(position, tag.start)
        if tag.closes:
            builder.close_mark(tag.start, tag.end, tag.name)
        else:
            builder.open_mark(tag.start, tag.end, tag.name, opaque=tag.name in UNTOUCHED)
        position = tag.end
    builder.add_text(position, len(source))
    builder.finish_block()
    return MarkupDocument(source, tuple(builder.blocks)) if builder.blocks else None


def has_tags(source: str) -> bool:
    """Returns True if a text may have a pair of tags: a sign that each pair contains, or emphasized words."""
    return any(sign in source for sign in ("</", "[/", "**", "''", "\\")) or (_EMPHASIZED.search(source) is not None)


class _Tag(NamedTuple):
    start: int
    end: int
    name: str
    closes: bool


def _find_paired(source: str) -> list[_Tag]:
    """Returns the tags that are in pairs around a letter, in order; [] if one of all tags is of a block element."""
    paired: list[_Tag] = []
    opened: dict[str, list[_Tag]] = {}
    for match in _TAG.finditer(source):
        name = match["name"] or f"[{match['code']}]"
        tag = _Tag(match.start(), match.end(), name, bool(match["close"] or match["ends"]))
        if name in BLOCKS:
            return []
        if name.lower() in _CODE or (match["rest"] or "").endswith("/"):
            continue
        if not tag.closes:
            opened.setdefault(name, []).append(tag)
        elif opened.get(name):
            opening = opened[name].pop()
            if _LETTER.search(source, opening.end, tag.start):
                paired += (opening, tag)
    for match in _DELIMITED.finditer(source):
        if _LETTER.search(source, *match.span("text")):
            name = match["sign"] or "\\"
            paired.append(_Tag(match.start(), match.start("text"), name, closes=False))
            paired.append(_Tag(match.end("text"), match.end(), name, closes=True))
    for match in _EMPHASIZED.finditer(source):
        paired.append(_Tag(match.start(), match.start("text"), match["sign"], closes=False))
        paired.append(_Tag(match.end("text"), match.end(), match["sign"], closes=True))
    return sorted(paired)
