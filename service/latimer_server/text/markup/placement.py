"""Puts the marks of a block into its translation.

Each token of the translation belongs to the pair of marks around the source word that it is linked to. A pair wraps its
own tokens, and is inside or outside another pair as a whole. Pure functions.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from latimer_server.core.spans import TextSpan
from latimer_server.text.alignment import Link
from latimer_server.text.markup.arrangement import Arrangement
from latimer_server.text.markup.document import Block, MarkKind, OffsetRun, PlacedBlock, TextFormat
from latimer_server.text.markup.escaping import find_escapes
from latimer_server.text.markup.flanking import move_delimiters
from latimer_server.text.markup.nesting import (
    Nesting,
    Node,
    TextToken,
    TokenKind,
    merge_tokens,
    read_nesting,
    split_text,
    split_tokens_at,
)
from latimer_server.text.markup.ownership import Ownership

# The most characters of a source word with marks inside. Where the same word is in the translation, it is cut at the
# same places, so that the marks can go inside it; longer words are not cut.
_LONGEST_WORD = 64
# The score of the link between a protected span or number and the same one in the translation, twice the most that a
# model gives to a link.
_CERTAIN_SCORE = 2.0
_NUMBER = re.compile("[0-9]++")


def place_marks(
    block: Block,
    translation: str,
    atoms: Sequence[TextSpan],
    links: Sequence[Link] | None,
    *,
    whole: Sequence[tuple[TextSpan, TextSpan]] = (),
    literal: Sequence[TextSpan] = (),
    edges: Sequence[int] = (),
    copy: bool = True,
) -> PlacedBlock:
    """Returns the translation of a block in its format, escaped and with every mark of the block exactly once.

    `atoms`: the span in `translation` of each ATOM of the block, in the block's order; disjoint, but not necessarily
    ascending. `links`: between `block.text` and `translation`; None if unknown. `whole`: spans of `block.text` and of
    the translation that correspond and inside which no mark may stand, such as a URL; disjoint. `literal`: those in the
    translation that Markdown takes without escapes. `edges`: offsets in the translation at which segments begin and
    end, where words end too. `copy`: if the translation equals the block's text, return the block's source unchanged.
    Raises `ValueError` if the number of atoms is wrong.

    A pair wraps the smallest range with the tokens linked to its words. If words of another pair tear that range
    apart, or more foreign words than own ones (an outlier), it wraps the heaviest part. A pair without linked words
    wraps the unlinked words between the linked words of its neighbours; without such words it is empty there, or at the
    edge of its parent. The result is then `repaired`.

    Without links, a pair around all words keeps all words. Otherwise one pair wraps the whole translation or several
    share it, and the result is `repaired`.
    """
    marks = [number for number, mark in enumerate(block.marks) if mark.kind is MarkKind.ATOM]
    if len(marks) != len(atoms):
        raise ValueError(f"expected {len(marks)} atoms, got {len(atoms)}")
    if copy and translation == block.text and _are_in_order(block, atoms):
        start = block.span.start
        runs = (OffsetRun(p.start, p.end, p.other_start - start, p.other_end - start) for p in block.runs)
        return PlacedBlock(block.source, repaired=False, runs=tuple(runs))
    placed = list(zip(atoms, marks, strict=True))
    if len(marks) == len(block.marks):
        return _write(block, translation, placed, [], literal, repaired=False)
    nesting = read_nesting(block, [source for source, _ in whole])
    numbers = _pair_numbers(nesting, block.text, translation)
    cuts = sorted({*edges, *(edge for _, span in numbers for edge in (span.start, span.end))})
    tokens = split_tokens_at(_split_translation(nesting, block, translation, atoms), cuts)
    tokens = merge_tokens(tokens, [target for _, target in whole])
    ownership = Ownership(block.text, nesting, translation, tokens)
    ownership.claim_atoms(list(atoms))
    if links is None:
        ownership.assign_by_length()
    else:
        certain = [*whole, *numbers]
        ownership.follow_links([*links, *(Link(source, target, _CERTAIN_SCORE) for source, target in certain)])
    arrangement = Arrangement(block.text, nesting, translation, tokens, ownership)
    arrangement.arrange()
    insertions = _list_insertions(nesting, len(translation))
    insertions, moved = move_delimiters(block, translation, insertions, [target for _, target in whole])
    return _write(block, translation, placed, insertions, literal, repaired=arrangement.repaired or moved)


def _are_in_order(block: Block, atoms: Sequence[TextSpan]) -> bool:
    """Returns True if all atoms are at the same offsets in the translation as in the block's text."""
    return all(span == TextSpan(mark.offset, mark.offset + 1) for mark, span in zip(block.atoms, atoms, strict=True))


def _split_translation(nesting: Nesting, block: Block, translation: str, atoms: Sequence[TextSpan]) -> list[TextToken]:
    """Returns the tokens of a translation. Only the given spans are ATOM tokens; any other U+FFFC is a sign.

    A word that has marks inside in the source is cut there.
    """
    tokens: list[TextToken] = []
    position = 0
    for span in [*sorted(atoms, key=lambda span: span.start), TextSpan(len(translation), len(translation))]:
        for token in split_text(translation[position : span.start]):
            kind = TokenKind.SIGN if token.kind is TokenKind.ATOM else token.kind
            tokens.append(TextToken(position + token.start, position + token.end, kind))
        if span.start < span.end:
            tokens.append(TextToken(span.start, span.end, TokenKind.ATOM))
        position = span.end
    return split_tokens_at(tokens, _list_cuts(nesting, block, translation, tokens))


def _pair_numbers(nesting: Nesting, text: str, translation: str) -> list[tuple[TextSpan, TextSpan]]:
    """Returns the spans of numbers that pairs of marks wrap beside letters, with the same numbers of the translation.

    A model reads such a number, as in `note<sup>1</sup>`, as a part of the word. A number that does not occur as often
    in the translation as in the text is left out.
    """
    wrapped = {
        token.start
        for token, owner in zip(nesting.tokens, nesting.owners, strict=True)
        if owner is not nesting.root
        and (text[token.start - 1 : token.start].isalpha() or text[token.end : token.end + 1].isalpha())
    }
    if not any(text[start].isdigit() for start in wrapped):
        return []
    found: dict[str, tuple[list[TextSpan], list[TextSpan]]] = {}
    for which, searched in enumerate((text, translation)):
        for match in _NUMBER.finditer(searched):
            found.setdefault(match.group(), ([], []))[which].append(TextSpan(*match.span()))
    return [
        pair
        for sources, targets in found.values()
        if len(sources) == len(targets)
        for pair in zip(sources, targets, strict=True)
        if pair[0].start in wrapped
    ]


def _list_cuts(nesting: Nesting, block: Block, translation: str, tokens: list[TextToken]) -> list[int]:
    """Returns the offsets in the translation at which to cut words, ascending.

    They are those of marks inside the same word of the source.
    """
    words: dict[str, set[int]] = {}
    cuts: list[int] = []  # inside the current word
    start = 0
    for before, after in pairwise([*nesting.tokens, TextToken(-1, -1, TokenKind.SIGN)]):
        if before.end == after.start and before.kind is after.kind is TokenKind.WORD:
            cuts.append(after.start - start)
            continue
        if cuts and before.end - start <= _LONGEST_WORD:
            words.setdefault(block.text[start : before.end], set()).update(cuts)
        cuts, start = [], after.start
    if not words:
        return []
    pairs = ((token.start, words.get(translation[token.start : token.end], ())) for token in tokens)
    return [start + cut for start, offsets in pairs for cut in sorted(offsets)]


def _list_insertions(nesting: Nesting, length: int) -> list[tuple[int, int]]:
    """Returns (offset in the translation, index among the block's marks) of each mark that is not an atom.

    They are in the order of writing. `length`: that of the translation.
    """
    insertions: list[tuple[int, int]] = []
    position = 0
    nesting.root.end = length
    pending: list[tuple[Node, bool]] = [(nesting.root, False)]
    while pending:
        node, ends = pending.pop()
        if ends:
            position = max(position, node.end)
            if node.closer is not None:
                insertions.append((position, node.closer))
            continue
        position = max(position, node.start)
        insertions.append((position, node.opener))
        if node.is_pair:
            pending.append((node, True))
            _keep_order(node.children)
            # Sorting is stable, so children at the same place keep the order of the source.
            ordered = sorted(node.children, key=lambda child: child.start)
            pending += [(child, False) for child in reversed(ordered)]
    return insertions[1:-1]  # without the root


def _keep_order(nodes: Sequence[Node]) -> None:
    """Moves single marks so that they keep the order of the source: their partners, in other blocks, do so too."""
    least = 0
    for node in nodes:
        if not node.is_pair:
            least = max(least, node.start)
            node.start = node.end = least


class _Writer:
    """Writes the text of a `PlacedBlock` into `parts`, and the runs that map the translation to it into `runs`.

    `escapes`: the result of `find_escapes`. Calls go through the translation from its start to its end.
    """

    def __init__(self, translation: str, escapes: dict[int, tuple[int, str]]) -> None:
        self.parts: list[str] = []
        self.runs: list[OffsetRun] = []
        self._translation = translation
        self._escapes = sorted((start, end, text) for start, (end, text) in escapes.items())
        self._starts = [start for start, _, _ in self._escapes]
        self._position = 0
        self._length = 0

    def write_up_to(self, end: int) -> None:
        """Writes the translation from the end of the last call up to the offset `end`, escaped."""
        index = bisect_left(self._starts, self._position)
        while index < len(self._escapes) and self._escapes[index][0] < end:
            start, stop, text = self._escapes[index]
            index += 1
            if start < self._position:
                continue
            self._write(self._position, start, self._translation[self._position : start])
            self._write(start, stop, text)
        if self._position < end:
            self._write(self._position, end, self._translation[self._position : end])

    def write_mark(self, text: str) -> None:
        """Writes the text of a mark that has no characters in the translation."""
        self.parts.append(text)
        self._length += len(text)

    def write_atom(self, end: int, text: str) -> None:
        """Writes the text of an atom in place of the translation's characters up to `end`."""
        if self._position < end:
            self._write(self._position, end, text)
        else:
            self.write_mark(text)

    def escape_exclamation(self) -> None:
        """Escapes a `!` at the end of the output, because `![` would begin an image."""
        if self.parts and self.parts[-1].endswith("!") and self.runs and self.runs[-1].other_end == self._length:
            end = self.runs[-1].end
            last = self.runs.pop()
            self.parts[-1] = self.parts[-1][:-1]
            self._length -= 1
            if self.parts[-1]:
                self.runs.append(OffsetRun(last.start, end - 1, last.other_start, self._length))
            self._position = end - 1
            self._write(end - 1, end, "\\!")

    def _write(self, start: int, end: int, text: str) -> None:
        if start < end:
            self.runs.append(OffsetRun(start, end, self._length, self._length + len(text)))
            self.write_mark(text)
            self._position = end


def _write(
    block: Block,
    translation: str,
    atoms: list[tuple[TextSpan, int]],
    insertions: list[tuple[int, int]],
    literal: Sequence[TextSpan],
    *,
    repaired: bool,
) -> PlacedBlock:
    """Returns a translation with its marks written into it.

    `atoms`: (span in the translation, index of the mark). `insertions`: (offset in the translation, index of the mark)
    of the other marks, in the order of writing. `literal`: see `place_marks`.
    """
    atoms.sort(key=lambda atom: atom[0].start)
    line_starts = [0, *(span.end for span, number in atoms if block.marks[number].breaks_line)]
    writer = _Writer(translation, find_escapes(translation, block, line_starts, literal, [at for at, _ in insertions]))
    remaining = iter(insertions)
    insertion = next(remaining, None)
    for span, number in [*atoms, (TextSpan(len(translation), len(translation)), -1)]:
        while insertion is not None and (insertion[0] <= span.start or number < 0):
            writer.write_up_to(insertion[0])
            text = block.marks[insertion[1]].written
            if block.format is TextFormat.MARKDOWN and text[0] == "[":
                writer.escape_exclamation()
            writer.write_mark(text)
            insertion = next(remaining, None)
        writer.write_up_to(span.start)
        if number >= 0:
            writer.write_atom(span.end, block.marks[number].written)
    return PlacedBlock("".join(writer.parts), repaired, tuple(writer.runs))
