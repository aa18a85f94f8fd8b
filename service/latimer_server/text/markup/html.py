"""Finds the blocks to translate in an HTML document or fragment.

Tokens follow the HTML standard, but no tree is built: a block ends at every tag of a block element, and tags inside a
block pair by name. Text in attributes is no part of a block, see `attributes`. `translate="yes"` inside
`translate="no"` is not translated.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from latimer_server.text.markup.building import BlockBuilder
from latimer_server.text.markup.document import Block, TextFormat
from latimer_server.text.markup.elements import BLOCKS, VOIDS, is_untranslated
from latimer_server.text.markup.tags import Tag, TokenKind, read_tags, split_entities


def find_html_blocks(source: str, start: int, end: int, ignored: Collection[str]) -> list[Block]:
    """Returns the blocks in a range of `source`. `ignored`: lower-case names of elements that are not translated."""
    builder = BlockBuilder(source, TextFormat.HTML)
    tags = list(read_tags(source, start, end))
    closers = _pair_tags(tags)
    number = 0
    while number < len(tags):
        tag = tags[number]
        if tag.kind is TokenKind.OPEN and tag.name not in VOIDS and is_untranslated(source, tag, ignored):
            number = _keep_element(builder, tags, number, closers)
        else:
            _add_tag(builder, source, tag)
            number += 1
    builder.finish_block()
    return builder.blocks


def _pair_tags(tags: Sequence[Tag]) -> dict[int, int]:
    """Returns a dict from the index of each start tag to that of its end tag, paired by name.

    Start tags without an end tag are not in it.
    """
    opened: dict[str, list[int]] = {}
    closers: dict[int, int] = {}
    for number, tag in enumerate(tags):
        if tag.kind is TokenKind.OPEN:
            opened.setdefault(tag.name, []).append(number)
        elif tag.kind is TokenKind.CLOSE and opened.get(tag.name):
            closers[opened[tag.name].pop()] = number
    return closers


def _keep_element(builder: BlockBuilder, tags: Sequence[Tag], number: int, closers: dict[int, int]) -> int:
    """Passes an element that is not translated to the builder, and returns the index of the token behind it.

    `number`: the index of its start tag. An inline element becomes one atom; a block element ends the current block. An
    element without an end tag reaches to the next start or end tag of a block element.
    """
    tag = tags[number]
    last = closers.get(number)
    if last is None and tag.is_void:
        last = number
    if last is None:
        last = number + 1
        while last < len(tags) and not _ends_block(tags[last]):
            last += 1
        last -= 1
    if tag.name in BLOCKS:
        builder.finish_block()
    else:
        silent = tag.name in ("script", "style", "svg", "iframe", "textarea")
        builder.add_atom(tag.start, tags[last].end, silent=silent)
    return last + 1


def _ends_block(tag: Tag) -> bool:
    return tag.kind in (TokenKind.OPEN, TokenKind.CLOSE) and tag.name in BLOCKS


def _add_tag(builder: BlockBuilder, source: str, tag: Tag) -> None:
    # Raw content that gets here is a title: `find_html_blocks` keeps the other raw elements untranslated.
    if tag.kind is TokenKind.TEXT or tag.kind is TokenKind.RAW:
        for start, end, text in split_entities(source, tag.start, tag.end):
            builder.add_text(start, end, text)
    elif tag.kind is TokenKind.OTHER:
        builder.add_atom(tag.start, tag.end, silent=True)
    elif tag.name in BLOCKS:
        builder.finish_block()
    else:
        add_inline_tag(builder, tag)


def add_inline_tag(builder: BlockBuilder, tag: Tag, *, opaque: bool = False) -> None:
    """Adds an inline tag to the builder's current block: a void element as an atom, else an opening or closing mark.

    `opaque`: the whole element becomes one atom when it closes.
    """
    if tag.name in VOIDS or (tag.kind is TokenKind.OPEN and tag.is_void):
        builder.add_atom(tag.start, tag.end, silent=True, breaks_line=tag.name == "br")
    elif tag.kind is TokenKind.OPEN:
        builder.open_mark(tag.start, tag.end, tag.name, opaque=opaque)
    else:
        builder.close_mark(tag.start, tag.end, tag.name)
