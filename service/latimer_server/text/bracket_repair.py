"""Puts back brackets that a model dropped, by the word alignment: around the words that answer those inside.

Pure functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from latimer_server.core.spans import TextSpan
from latimer_server.text.alignment import Link
from latimer_server.text.protection.masking import ProtectedText, list_unprotected
from latimer_server.text.rewriting import Edit

_PAIRS = (("(", ")"), ("[", "]"))
# Segments with more pairs of a kind are data, not text.
_MOST_PAIRS = 12
# A bracket of the output belongs to a pair of the source if it is at most this many code points from its place.
_NEAR = 4


def loses_brackets(source: ProtectedText, output: ProtectedText) -> bool:
    """Returns True if an output has fewer brackets of a kind than its source, which has them in pairs."""
    return any(True for _ in _find_lost(source, output))


def restore_brackets(source: ProtectedText, output: ProtectedText, links: Sequence[Link]) -> Iterator[Edit]:
    """Yields the insertion of the brackets that an output lacks. `links`: between the source and the output.

    A pair of which both brackets are lost comes back only if the words inside are together in the output.
    """
    for opening, closing in _find_lost(source, output):
        pairs = _match_pairs(source, opening, closing)
        opened, closed = _find_all(output, opening), _find_all(output, closing)
        for pair in pairs:
            place = _find_place(output.text, pair, links)
            if place is None:
                continue
            start = _take(opened, place.start, single=len(pairs) == 1)
            end = _take(closed, place.end, single=len(pairs) == 1)
            if start is None and end is None and not _is_apart(pair, place, links):
                continue
            if start is None and (end is None or place.start < end):
                yield Edit(place.start, place.start, opening)
            if end is None and (start is None or start < place.end):
                yield Edit(place.end, place.end, closing)


def _find_lost(source: ProtectedText, output: ProtectedText) -> Iterator[tuple[str, str]]:
    for opening, closing in _PAIRS:
        if opening not in source.text:
            continue
        wanted = len(_match_pairs(source, opening, closing))
        found = len(_find_all(output, opening)), len(_find_all(output, closing))
        if 0 < wanted <= _MOST_PAIRS and max(found) <= wanted and min(found) < wanted:
            yield opening, closing


def _find_all(guarded: ProtectedText, sign: str) -> list[int]:
    return [
        at
        for part in list_unprotected(guarded)
        for at in range(part.start, part.end)
        if guarded.text[at] == sign and not _is_mark(guarded.text, at)
    ]


def _is_mark(text: str, at: int) -> bool:
    """Returns True if a bracket is the one behind the mark of a list item, as in `a) the buyer`."""
    return text[at] == ")" and at < 3 and "(" not in text[:at]


def _match_pairs(source: ProtectedText, opening: str, closing: str) -> list[TextSpan]:
    """Returns the spans inside the pairs of brackets of a source, ascending; none if they are not well nested."""
    opened: list[int] = []
    pairs: list[TextSpan] = []
    for at in sorted((*_find_all(source, opening), *_find_all(source, closing))):
        if source.text[at] == opening:
            opened.append(at + 1)
        elif not opened:
            return []
        else:
            pairs.append(TextSpan(opened.pop(), at))
    return [] if opened else sorted(pairs, key=lambda pair: pair.start)


def _find_place(text: str, pair: TextSpan, links: Sequence[Link]) -> TextSpan | None:
    """Returns the span of the output that answers the text inside a pair; None without a link."""
    targets = [
        _trim(text, link.target) for link in links if pair.start <= link.source.start and link.source.end <= pair.end
    ]
    targets = [target for target in targets if any(map(str.isalnum, text[target.start : target.end]))]
    if not targets:
        return None
    return TextSpan(min(target.start for target in targets), max(target.end for target in targets))


def _trim(text: str, span: TextSpan) -> TextSpan:
    start = span.start
    while start < span.end and not text[start].isalnum():
        start += 1
    end = span.end
    while end > start and not text[end - 1].isalnum():
        end -= 1
    return TextSpan(start, end)


def _take(found: list[int], place: int, *, single: bool) -> int | None:
    """Takes the offset of the bracket of the output that belongs to a place out of a list; None if there is none."""
    near = found[:1] if single else [at for at in found if abs(at - place) <= _NEAR]
    if not near:
        return None
    found.remove(near[0])
    return near[0]


def _is_apart(pair: TextSpan, place: TextSpan, links: Sequence[Link]) -> bool:
    """Returns True if no word outside a pair of brackets is linked into the place of the words inside."""
    return not any(
        place.start < link.target.end
        and link.target.start < place.end
        and (link.source.end <= pair.start or link.source.start >= pair.end)
        for link in links
    )
