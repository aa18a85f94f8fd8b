"""Finds the spans of tokens, in code points, in a text that a model reads and in one that it writes.

Source: SentencePiece's offset mapping (`Normalize` with offsets, `encode` and `decode` as `offset_mapping`).

All spans are half-open. Their starts ascend, and so do their ends. White space at the edges of a token is outside
its span. A token of white space only, or of no character, has an empty span. If several tokens write one
character (its bytes, or ½ read as 1⁄2), each of them has the span of that character.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import sentencepiece

Span = tuple[int, int]

# The spaces of normalised text: SentencePiece's symbol for one, and the space itself, which a vocabulary may keep.
_SPACES = "\u2581 "


def locate_pieces(processor: sentencepiece.SentencePieceProcessor, text: str) -> list[Span]:
    """Returns the span in `text` of each piece into which `processor` divides it, as many as `encode` gives pieces.

    A piece without characters has an empty span at the start of the next piece.
    """
    return [
        (characters[0][0], characters[-1][1]) if characters else (following, following)
        for characters, following in _read_pieces(processor, text)
    ]


def place_pieces(
    processor: sentencepiece.SentencePieceProcessor, pieces: Sequence[int] | Sequence[str]
) -> tuple[str, list[Span]]:
    """Returns the text that `decode` makes of these pieces (ids or names), and the span of each piece in that text."""
    mapping = processor.decode(pieces, return_type="offset_mapping")
    text: str = mapping["text"]
    spans = []
    for index, (start, end) in zip(mapping["ids"], mapping["offsets"], strict=True):
        # If several byte pieces write one character, SentencePiece gives its span to the last of them only.
        whole = start + 1 if start == end and processor.IsByte(index) else end
        spans.append(trim_span(text, start, min(whole, len(text))))
    return text, spans


def place_tokens(decode: Callable[[Sequence[int]], str], ids: Sequence[int]) -> tuple[str, list[Span]]:
    """Returns the text that `decode` makes of `ids`, and the span of each id in it.

    The span of an id is the difference between the text of the ids up to it and the text of the ids before it, so
    that the result is right for any treatment of spaces and bytes. Takes time quadratic in the number of ids: 3 to
    15 ms for 256.
    """
    text = decode(ids)
    spans: list[Span] = []
    start = last = 0
    for count in range(1, len(ids) + 1):
        written = decode(ids[:count])
        end = start
        if text.startswith(written):
            end = max(start, len(written))
            last = max(last, end)
        else:
            # `written` ends inside a character (shown as U+FFFD), or before a mark that removes the space before it.
            end = max(start, _count_common(text, written))
            last = max(last, min(end + 1, len(text)))
        spans.append(trim_span(text, start, last))
        start = end
    return text, spans


def _count_common(first: str, second: str) -> int:
    """Returns the length of the common prefix of two texts, in code points."""
    length = min(len(first), len(second))
    return next((at for at in range(length) if first[at] != second[at]), length)


def trim_span(text: str, start: int, end: int) -> Span:
    """Returns the span `start` to `end` of `text` without the white space at its edges.

    A span of white space only becomes empty, at `end`.
    """
    part = text[start:end]
    start = end - len(part.lstrip())
    return start, max(start, end - len(part) + len(part.rstrip()))


def _read_pieces(processor: sentencepiece.SentencePieceProcessor, text: str) -> Iterator[tuple[list[Span], int]]:
    """Yields, for each piece, the spans in `text` of its characters (spaces have none) and the start of the next piece.

    Counts pieces through the normalised text, whose characters they cover in order: SentencePiece's own offsets omit
    the first tokens of a character that several tokens write.
    """
    mapping = processor.encode(text, return_type="offset_mapping")
    normalized, origins = processor.Normalize(text, with_offsets=True)
    ranges = _read_ranges(processor, text, normalized, origins)
    at = bytes_left = 0
    for name, index in zip(mapping["pieces"], mapping["ids"], strict=True):
        first = at
        if processor.IsByte(index):
            bytes_left = (bytes_left or len(normalized[at].encode())) - 1
            at += bytes_left == 0
            covered = ranges[first : first + 1]
        else:
            at += len(name)
            covered = ranges[first:at]
        yield [span for span in covered if span is not None], origins[at]


def _read_ranges(
    processor: sentencepiece.SentencePieceProcessor, text: str, normalized: str, origins: Sequence[int]
) -> list[Span | None]:
    """Returns, for each character of the normalised text, the span of `text` that it comes from.

    None stands for a space, unless the space is a part of a normalised character (¨ becomes a space and a mark).
    """
    # SentencePiece adds a space before the first word. This space is not in `text`.
    added = len(normalized) > 1 and normalized[0] in _SPACES and origins[0] == origins[1]
    ranges: list[Span | None] = []
    end = origins[-1]
    for at in range(len(normalized) - 1, -1, -1):
        start = origins[at]
        if start != origins[at + 1]:
            end = _leave_dropped(processor, text, start, origins[at + 1])
        shares = start == origins[at + 1] or (at > added and start == origins[at - 1])
        space = normalized[at] in _SPACES and not (shares and at >= added)
        ranges.append(None if space else (start, end))
    return ranges[::-1]


def _leave_dropped(processor: sentencepiece.SentencePieceProcessor, text: str, start: int, end: int) -> int:
    """Returns where the span that starts at `start` in `text` ends; `end` is the start of the next span.

    Control characters directly before `end`, which the normaliser drops, belong to neither span.
    """
    while end - start > 1 and not processor.Normalize(text[end - 1]):
        end -= 1
    return end
