"""Puts the marks of a block into its translation.

Each token of the translation belongs to the pair round the word that it answers; a pair wraps the tokens that are its
own, and never a part of what another one wraps. Pure; knows links, and no model.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from latimer_server.core.spans import TextSpan
from latimer_server.text.alignment import Link
from latimer_server.text.markup.arrangement import Arrangement
from latimer_server.text.markup.document import Block, MarkKind, OffsetRun, PlacedBlock, TextFormat
from latimer_server.text.markup.escaping import find_escapes
from latimer_server.text.markup.nesting import (
    Nesting,
    Node,
    TextToken,
    TokenKind,
    read_nesting,
    split_text,
    split_tokens_at,
)

# With marks inside of it; what is longer is no word that a translation could share.
_LONGEST_WORD = 64


def place_marks(
    block: Block, translation: str, atoms: Sequence[TextSpan], links: Sequence[Link] | None, *, copy: bool = True
) -> PlacedBlock:
    """The translation of a block in its format: escaped, and with every mark of the block exactly once.

    `atoms` say where each ATOM of the block, in its order, stands in `translation` (they don't overlap, but may stand
    in any order); ValueError where there are not as many. `links` are between `block.text` and `translation`.

    A pair wraps the smallest range with the tokens that answer its words. Where that is torn apart by another pair's
    words, or by more words of others than are its own (an outlier), it wraps the heaviest part. A pair whose words
    nothing answers wraps what no word is answered by between its neighbours' answers, or stands empty there, else at
    the edge of what is round it: `repaired`. Without links (None) a pair that wraps all words still does; others wrap
    the whole too, or several of them share it out: `repaired`.

    A translation that is the text itself is written as the source is (unless `copy` is false).
    """
    marks = [number for number, mark in enumerate(block.marks) if mark.kind is MarkKind.ATOM]
    if len(marks) != len(atoms):
        raise ValueError(f"{len(atoms)} atoms for {len(marks)}")
    if copy and translation == block.text and _are_in_order(block, atoms):
        start = block.span.start
        runs = (OffsetRun(p.start, p.end, p.other_start - start, p.other_end - start) for p in block.runs)
        return PlacedBlock(block.source, repaired=False, runs=tuple(runs))
    placed = list(zip(atoms, marks, strict=True))
    if len(marks) == len(block.marks):
        return _write(block, translation, placed, [], repaired=False)
    nesting = read_nesting(block)
    tokens = _split_translation(nesting, block, translation, atoms)
    arrangement = Arrangement(block, nesting, translation, tokens)
    arrangement.claim_atoms(list(atoms))
    if links is None:
        arrangement.share_out()
    else:
        arrangement.follow_links(links)
    arrangement.arrange()
    insertions = _list_insertions(nesting, len(translation))
    return _write(block, translation, placed, insertions, repaired=arrangement.repaired)


def _are_in_order(block: Block, atoms: Sequence[TextSpan]) -> bool:
    return all(span == TextSpan(mark.offset, mark.offset + 1) for mark, span in zip(block.atoms, atoms, strict=True))


def _split_translation(nesting: Nesting, block: Block, translation: str, atoms: Sequence[TextSpan]) -> list[TextToken]:
    """The tokens of a translation, with the atoms where it is said that they stand; other U+FFFC are signs."""
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


def _list_cuts(nesting: Nesting, block: Block, translation: str, tokens: list[TextToken]) -> list[int]:
    """Where words that the source has too, with a mark in the middle, are cut like there."""
    words: dict[str, set[int]] = {}
    cuts: list[int] = []  # in the word that goes on
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
    found = ((token.start, words.get(translation[token.start : token.end], ())) for token in tokens)
    return [start + cut for start, cuts in found for cut in sorted(cuts)]


def _list_insertions(nesting: Nesting, length: int) -> list[tuple[int, int]]:
    """Where in the translation each mark that is no atom stands, in the order in which they are written."""
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
            # Sorting is stable: at one place they stand as in the source.
            ordered = sorted(node.children, key=lambda child: child.start)
            pending += [(child, False) for child in reversed(ordered)]
    return insertions[1:-1]  # the root is no mark


class _Writer:
    """Collects what comes out, and from where in the translation it is."""

    def __init__(self, translation: str, escapes: dict[int, tuple[int, str]]) -> None:
        self.parts: list[str] = []
        self.runs: list[OffsetRun] = []
        self._translation = translation
        self._escapes = sorted((start, end, text) for start, (end, text) in escapes.items())
        self._starts = [start for start, _, _ in self._escapes]
        self._position = 0
        self._length = 0

    def write_up_to(self, end: int) -> None:
        """The text of the translation up to `end`."""
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
        """A mark: no text of the translation."""
        self.parts.append(text)
        self._length += len(text)

    def write_atom(self, end: int, text: str) -> None:
        """An atom, which stands for the translation up to `end`."""
        if self._position < end:
            self._write(self._position, end, text)
        else:
            self.write_mark(text)

    def escape_exclamation(self) -> None:
        """Before a bracket: `![` would be an image."""
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
    *,
    repaired: bool,
) -> PlacedBlock:
    atoms.sort(key=lambda atom: atom[0].start)
    line_starts = [0, *(span.end for span, number in atoms if block.marks[number].breaks_line)]
    writer = _Writer(translation, find_escapes(translation, block, line_starts))
    waiting = iter(insertions)
    insertion = next(waiting, None)
    for span, number in [*atoms, (TextSpan(len(translation), len(translation)), -1)]:
        while insertion is not None and (insertion[0] <= span.start or number < 0):
            writer.write_up_to(insertion[0])
            text = block.marks[insertion[1]].written
            if block.format is TextFormat.MARKDOWN and text[0] == "[":
                writer.escape_exclamation()
            writer.write_mark(text)
            insertion = next(waiting, None)
        writer.write_up_to(span.start)
        if number >= 0:
            writer.write_atom(span.end, block.marks[number].written)
    return PlacedBlock("".join(writer.parts), repaired, tuple(writer.runs))
