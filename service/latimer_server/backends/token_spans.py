"""Where the tokens of a text stand in it, in code points: of a text that was read, and of one that was written.

Sources: SentencePiece's offset mapping (`Normalize` with offsets, `encode` and `decode` as `offset_mapping`). Knows
no model and no vocabulary's ids but what SentencePiece itself says of them.

All spans are half-open and ascend, in their starts and in their ends. White space at the edges of a token is not
part of its span; a token that is nothing else, or that stands for no character, has an empty one. Where a
character is written with several tokens (bytes, or ½ read as 1⁄2) each of them has that character's range.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import sentencepiece

Span = tuple[int, int]

# How SentencePiece writes a space; a vocabulary may keep it as it is.
_SPACES = "\u2581 "


@dataclass(frozen=True)
class _Piece:
    """A piece of a text: its name, its id in the SentencePiece model, the ranges of the characters that it stands
    for (spaces have none), and where the next piece goes on."""

    name: str
    id: int
    characters: list[Span]
    next: int


def locate_pieces(processor: sentencepiece.SentencePieceProcessor, text: str) -> list[Span]:
    """Where each piece of `text` stands in it, as many as `encode` gives."""
    return [
        (piece.characters[0][0], piece.characters[-1][1]) if piece.characters else (piece.next, piece.next)
        for piece in _read_pieces(processor, text)
    ]


def find_unknown_pieces(
    processor: sentencepiece.SentencePieceProcessor, text: str, is_unknown: Callable[[str, int], bool]
) -> list[Span]:
    """The ranges of `text` in pieces of which `is_unknown` says so, by name and SentencePiece id: each as long as
    it can be, without spaces and without characters that the normaliser drops."""
    return merge_spans(
        span for piece in _read_pieces(processor, text) if is_unknown(piece.name, piece.id) for span in piece.characters
    )


def place_pieces(
    processor: sentencepiece.SentencePieceProcessor, pieces: Sequence[int] | Sequence[str]
) -> tuple[str, list[Span]]:
    """The text of these pieces (ids or names), exactly that of `decode`, and where each stands in it."""
    mapping = processor.decode(pieces, return_type="offset_mapping")
    text: str = mapping["text"]
    spans = []
    for index, (start, end) in zip(mapping["ids"], mapping["offsets"], strict=True):
        # Of the bytes of a character SentencePiece gives it to the last.
        whole = start + 1 if start == end and processor.IsByte(index) else end
        spans.append(trim_span(text, start, min(whole, len(text))))
    return text, spans


def place_tokens(decode: Callable[[Sequence[int]], str], ids: Sequence[int]) -> tuple[str, list[Span]]:
    """The text that `decode` makes of `ids`, and where each of them stands in it: what the ids up to it write
    less what those before it write, whatever the decoder does with spaces and bytes.

    Takes time with the square of `ids`: 3 to 15 ms for 256.
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
            # It ends inside a character (which shows as U+FFFD), or before a mark that takes its space away.
            end = max(start, _count_common(text, written))
            last = max(last, min(end + 1, len(text)))
        spans.append(trim_span(text, start, last))
        start = end
    return text, spans


def _count_common(one: str, other: str) -> int:
    """How many characters both begin with."""
    length = min(len(one), len(other))
    return next((at for at in range(length) if one[at] != other[at]), length)


def trim_span(text: str, start: int, end: int, white_space: str | None = None) -> Span:
    """The span without the white space at its edges (all that Python knows, or these characters); what is nothing
    else is empty, at its end."""
    part = text[start:end]
    start = end - len(part.lstrip(white_space))
    return start, max(start, end - len(part) + len(part.rstrip(white_space)))


def merge_spans(spans: Iterable[Span]) -> list[Span]:
    """Ascending spans, those that touch or overlap as one; empty ones say nothing."""
    merged: list[Span] = []
    for start, end in spans:
        if start == end:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((start, end))
    return merged


def _read_pieces(processor: sentencepiece.SentencePieceProcessor, text: str) -> Iterator[_Piece]:
    """The pieces of `text` with the characters that each stands for. The offsets that SentencePiece itself gives
    them leave out the first tokens of a character that it writes with several, so they are counted through the
    normalised text, whose characters the pieces are in turn."""
    mapping = processor.encode(text, return_type="offset_mapping")
    normalized, origins = processor.Normalize(text, with_offsets=True)
    ranges = _read_ranges(processor, text, normalized, origins)
    at = bytes_left = 0
    for name, index in zip(mapping["pieces"], mapping["ids"], strict=True):
        first = at
        if processor.IsByte(index):
            bytes_left = (bytes_left or len(normalized[at].encode())) - 1
            at += bytes_left == 0
            own = ranges[first : first + 1]
        else:
            at += len(name)
            own = ranges[first:at]
        yield _Piece(name, index, [span for span in own if span is not None], origins[at])


def _read_ranges(
    processor: sentencepiece.SentencePieceProcessor, text: str, normalized: str, origins: Sequence[int]
) -> list[Span | None]:
    """For each character of the normalised text the range of `text` that it was made of; None for a space, unless
    it is part of what a character was read as (¨ is a space and a mark)."""
    # Before the first word a space is put that no text holds.
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
    """Where a character ends of which the normaliser says that the next one starts at `end`: control characters
    that it drops in between belong to neither."""
    while end - start > 1 and not processor.Normalize(text[end - 1]):
        end -= 1
    return end
