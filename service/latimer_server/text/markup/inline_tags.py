"""Finds pairs of tags around words in a plain text, such as `<Link>terms</Link>` of JSX and `<0>here</0>` of i18next.

Software strings have them, although they are no documents. A model that reads two placeholders instead of such a pair
often moves the words out of it; as marks, the tags follow their words. Pure functions.
"""

from __future__ import annotations

import re

from latimer_server.text.markup.building import BlockBuilder
from latimer_server.text.markup.document import MarkupDocument, TextFormat
from latimer_server.text.markup.elements import BLOCKS, UNTOUCHED

_TAG = re.compile(r"<(?P<close>/?)(?P<name>[A-Za-z][\w.:-]{0,63}|\d{1,3})(?P<rest>(?:\s[^<>]{0,500})?)>")
_LETTER = re.compile(r"[^\W\d_]")
# Elements of XLIFF whose content is code.
_CODE = frozenset(("bpt", "ept", "ph", "it"))


def read_inline_tags(source: str) -> MarkupDocument | None:
    """Returns a plain text as one block whose marks are the pairs of tags around words. None without such a pair.

    Tags without a partner are text. So are all tags of a text with block elements of HTML, which is a document.
    """
    if "</" not in source:
        return None
    tags = _find_paired(source)
    if not tags:
        return None
    builder = BlockBuilder(source, TextFormat.PLAIN)
    position = 0
    for tag in tags:
        builder.add_text(position, tag.start())
        if tag["close"]:
            builder.close_mark(tag.start(), tag.end(), tag["name"])
        else:
            builder.open_mark(tag.start(), tag.end(), tag["name"], opaque=tag["name"] in UNTOUCHED)
        position = tag.end()
    builder.add_text(position, len(source))
    builder.finish_block()
    return MarkupDocument(source, tuple(builder.blocks)) if builder.blocks else None


def _find_paired(source: str) -> list[re.Match[str]]:
    """Returns the tags that are in pairs around a letter, in order; [] if one of all tags is of a block element."""
    paired: list[re.Match[str]] = []
    opened: dict[str, list[re.Match[str]]] = {}
    for tag in _TAG.finditer(source):
        name = tag["name"]
        if name in BLOCKS:
            return []
        if name.lower() in _CODE or tag["rest"].endswith("/"):
            continue
        if not tag["close"]:
            opened.setdefault(name, []).append(tag)
        elif opened.get(name):
            opening = opened[name].pop()
            if _LETTER.search(source, opening.end(), tag.start()):
                paired += (opening, tag)
    return sorted(paired, key=lambda tag: tag.start())
