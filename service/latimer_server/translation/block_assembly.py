"""Block assembly: puts the marks of a block of markup into its translation, by the outputs of its segments.

Pure functions.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from latimer_server.core.spans import TextSpan
from latimer_server.text.alignment import Link, Move, map_span, shift_link
from latimer_server.text.markup import OBJECT, Block, Mark, MarkKind, PlacedBlock, place_marks
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.segmentation import Rebuilt
from latimer_server.translation.segment_output import SegmentOutput
from latimer_server.translation.segmenting import ContentPart

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*+://|[wW]{3}\.")


def place_block(
    part: ContentPart,
    block: Block,
    outputs: Sequence[SegmentOutput | None],
    finished: Sequence[SegmentOutput],
    rebuilt: Rebuilt,
) -> PlacedBlock:
    """Returns the translation of a block with its marks.

    `outputs`: for each segment of the part what the models returned; None without a model. `finished`: the outputs of
    all segments. `rebuilt`: the block's text with these outputs.
    """
    atoms = list(_find_atoms(part, outputs, finished, rebuilt))
    links = _link_block(part, outputs, finished, rebuilt)
    whole = list(_find_whole(part, block, outputs, finished, rebuilt))
    literal = [new for old, new in whole if _is_literal_address(block, old)]
    edges = [edge for span in rebuilt.spans for edge in (span.start, span.end)]
    return place_marks(block, rebuilt.text, atoms, links, whole=whole, literal=literal, edges=edges)


def _find_atoms(
    part: ContentPart, outputs: Sequence[SegmentOutput | None], finished: Sequence[SegmentOutput], rebuilt: Rebuilt
) -> Iterator[TextSpan]:
    """Yields the spans of a block's objects (U+FFFC) in its rebuilt text, in the order of the block."""
    before = after = 0
    document = part.document
    for index, (source, target) in enumerate(zip(document.spans, rebuilt.spans, strict=True)):
        yield from _find_objects(document.text, before, source.start, after - before)
        segment, output = part.segments[index], finished[index]
        if outputs[index] is None:
            yield from _find_objects(document.text, source.start, source.end, target.start - source.start)
        else:
            for old, new in zip(segment.spans, output.protected, strict=True):
                yield from _find_objects(segment.text, old.start, old.end, target.start + new.start - old.start)
        before, after = source.end, target.end
    yield from _find_objects(document.text, before, len(document.text), after - before)


def _find_objects(text: str, start: int, end: int, shift: int) -> Iterator[TextSpan]:
    position = text.find(OBJECT, start, end)
    while position >= 0:
        yield TextSpan(position + shift, position + shift + 1)
        position = text.find(OBJECT, position + 1, end)


def _find_whole(
    part: ContentPart,
    block: Block,
    outputs: Sequence[SegmentOutput | None],
    finished: Sequence[SegmentOutput],
    rebuilt: Rebuilt,
) -> Iterator[Move]:
    """Yields (span of a block's text, span of its rebuilt text) for the parts inside which no mark may stand.

    These are its protected spans, divided where the source has marks and objects inside. A glossary term with a mark
    inside is left out, because its translation says nothing about the place of the mark.
    """
    cuts = sorted({edge for mark in block.marks for edge in _list_edges(mark)})
    for index, (source, target) in enumerate(zip(part.document.spans, rebuilt.spans, strict=True)):
        segment = part.segments[index]
        olds = [map_span(segment.moves, span) for span in segment.spans]
        for old, new in zip(olds, finished[index].protected if outputs[index] else olds, strict=True):
            first = bisect_right(cuts, source.start + old.start)
            inside = cuts[first : bisect_left(cuts, source.start + old.end)]
            start, shift = target.start + new.start, target.start + new.start - source.start - old.start
            if not inside:
                yield _move(old, source.start), TextSpan(start, target.start + new.end)
            elif old.end - old.start == new.end - new.start:
                edges = [source.start + old.start, *inside, source.start + old.end]
                yield from ((TextSpan(*edge), TextSpan(edge[0] + shift, edge[1] + shift)) for edge in pairwise(edges))


def _is_literal_address(block: Block, span: TextSpan) -> bool:
    """Returns True if a span of a block's text is a URL that the source writes without escapes.

    Renderers of Markdown take a bare URL as it is written, so that escapes would become a part of it.
    """
    text, place = block.text[span.start : span.end], block.locate(span)
    start = place.start - block.span.start
    return _ADDRESS.match(text) is not None and block.source[start : start + len(text)] == text


def _move(span: TextSpan, offset: int) -> TextSpan:
    return TextSpan(span.start + offset, span.end + offset)


def _list_edges(mark: Mark) -> tuple[int, ...]:
    """Returns the offsets in a block's text at which a mark begins and ends: one offset for a tag or delimiter."""
    return (mark.offset, mark.offset + 1) if mark.kind is MarkKind.ATOM else (mark.offset,)


def _link_block(
    part: ContentPart, outputs: Sequence[SegmentOutput | None], finished: Sequence[SegmentOutput], rebuilt: Rebuilt
) -> list[Link] | None:
    """Returns the links of all segments of a block; None if models translated segments but returned no links.

    A segment without links, or without a model, gets one link from its whole source to its whole target.
    """
    if not any(output and output.links is not None for output in outputs) and any(outputs):
        return None
    links: list[Link] = []
    for index, (source, target) in enumerate(zip(part.document.spans, rebuilt.spans, strict=True)):
        placed = place_links(part.segments[index], finished[index], source, target) if outputs[index] else None
        links += [Link(source, target, 1.0)] if placed is None else placed
    return links


def place_links(segment: ProtectedText, output: SegmentOutput, source: TextSpan, target: TextSpan) -> list[Link] | None:
    """Returns the links of a segment, moved to the text of its whole part; None if it has none.

    `source` and `target` are the spans of the segment in the part's text and in its translation.
    """
    if output.links is None:
        return None
    moved = [replace(link, source=map_span(segment.moves, link.source)) for link in output.links]
    return [shift_link(link, source.start, target.start) for link in moved]
