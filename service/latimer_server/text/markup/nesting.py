"""Reads the marks of a block as a tree of pairs, and finds the innermost pair around each token of its text.

Pure, iterative functions that take linear time. The marks of pairs nested deeper than `MAX_DEPTH` become single nodes,
which wrap no text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from latimer_server.core.scripts import UNSPACED_CHARACTERS
from latimer_server.core.spans import TextSpan
from latimer_server.text.markup.document import OBJECT, Block, MarkKind

# The levels of nested pairs in a tree. The marks of deeper pairs stay in order, next to the text that they follow or
# precede, but wrap nothing.
MAX_DEPTH = 32
# An atom, a word or number, or a sign. Each character of a script without spaces is a word.
_TOKEN = re.compile(
    rf"(?P<atom>{OBJECT})|(?P<word>[0-9]++(?:[.,:][0-9]++)*+|[{UNSPACED_CHARACTERS}]"
    rf"|(?:[^\W{UNSPACED_CHARACTERS}]|[\u0300-\u036f])++)|(?P<sign>[^\s\w])"
)


class TokenKind(Enum):
    """Kinds of tokens: a word or number, a sign such as a comma, or an atom (U+FFFC, for an object without text)."""

    WORD = "word"
    SIGN = "sign"
    ATOM = "atom"


@dataclass(frozen=True, slots=True)
class TextToken:
    """A word, sign or atom of a text. `start` and `end`: its half-open span, in code points."""

    start: int
    end: int
    kind: TokenKind


def split_text(text: str) -> list[TextToken]:
    """Returns the words, signs and atoms of a text. Every character except white space is in one of them."""
    kinds = {"atom": TokenKind.ATOM, "word": TokenKind.WORD, "sign": TokenKind.SIGN}
    return [TextToken(match.start(), match.end(), kinds[match.lastgroup or "sign"]) for match in _TOKEN.finditer(text)]


@dataclass(slots=True, eq=False)
class Node:
    """A pair of marks in the tree of a block, or a mark without a partner (`closer` None).

    `opener` and `closer`: indices of the block's marks. `begin` and `finish`: the wrapped part of the block's text.
    `path`: the nodes from the root to this pair; () for a single mark. `has_words`: True if it wraps a word.
    `Arrangement` sets the rest: `first` and `last` are the range of the translation's tokens that the pair wraps,
    half-open, and `start` and `end` the offsets in the translation where its marks go.
    """

    opener: int
    closer: int | None
    begin: int
    finish: int
    path: tuple[Node, ...] = ()
    children: list[Node] = field(default_factory=list)
    has_words: bool = False
    first: int = 0
    last: int = 0
    start: int = 0
    end: int = 0

    @property
    def is_pair(self) -> bool:
        """True for a pair, False for a single mark."""
        return self.closer is not None


@dataclass(frozen=True)
class Nesting:
    """The tree of a block's marks, and the tokens of its text.

    `root`: a node without marks that wraps the whole text. `tokens`: those of the text, cut at marks. `owners`: for
    each token the innermost node around it.
    """

    root: Node
    tokens: list[TextToken]
    owners: list[Node]


def split_tokens_at(tokens: list[TextToken], cuts: list[int]) -> list[TextToken]:
    """Returns the tokens of a text, with those divided that have an offset of `cuts` inside. `cuts`: ascending."""
    parts: list[TextToken] = []
    index = 0
    for token in tokens:
        start = token.start
        while index < len(cuts) and cuts[index] <= start:
            index += 1
        while index < len(cuts) and cuts[index] < token.end:
            parts.append(TextToken(start, cuts[index], token.kind))
            start = cuts[index]
            index += 1
        parts.append(TextToken(start, token.end, token.kind))
    return parts


def merge_tokens(tokens: list[TextToken], whole: Sequence[TextSpan]) -> list[TextToken]:
    """Returns the tokens of a text with all tokens of each span of `whole` merged into one word. Atoms stay."""
    spans = sorted((span for span in whole if span.start < span.end), key=lambda span: span.start)
    tokens = split_tokens_at(tokens, sorted({edge for span in spans for edge in (span.start, span.end)}))
    merged: list[TextToken] = []
    remaining = iter(spans)
    span = next(remaining, None)
    for token in tokens:
        while span is not None and span.end <= token.start:
            span = next(remaining, None)
        begins_inside = bool(merged) and span is not None and span.start < merged[-1].end
        if span is None or token.end <= span.start or token.kind is TokenKind.ATOM:
            merged.append(token)
        elif begins_inside and merged[-1].kind is not TokenKind.ATOM:
            merged[-1] = TextToken(merged[-1].start, token.end, TokenKind.WORD)
        else:
            merged.append(TextToken(token.start, token.end, TokenKind.WORD))
    return merged


def read_nesting(block: Block, whole: Sequence[TextSpan] = ()) -> Nesting:
    """Returns the tree of a block's marks, and the tokens of its text with the node around each.

    Each span of `whole`, inside which no mark stands, is one word.
    """
    root = Node(-1, len(block.marks), 0, len(block.text))
    root.path = (root,)
    tokens = split_tokens_at(split_text(block.text), sorted({mark.offset for mark in block.marks}))
    tokens = merge_tokens(tokens, whole)
    owners: list[Node] = []
    current = root
    too_deep = 0  # number of open pairs that are too deep for the tree
    for number, mark in enumerate(block.marks):
        while len(owners) < len(tokens) and tokens[len(owners)].start < mark.offset:
            owners.append(current)
        if mark.kind is MarkKind.ATOM:
            continue
        if mark.partner is None or too_deep or (mark.kind is MarkKind.OPEN and len(current.path) > MAX_DEPTH):
            if mark.partner is not None:
                too_deep += 1 if mark.kind is MarkKind.OPEN else -1
            current.children.append(Node(number, None, mark.offset, mark.offset))
        elif mark.kind is MarkKind.OPEN:
            node = Node(number, mark.partner, mark.offset, block.marks[mark.partner].offset)
            node.path = (*current.path, node)
            current.children.append(node)
            current = node
        else:
            current = current.path[-2]
    owners += [current] * (len(tokens) - len(owners))
    _note_words(tokens, owners)
    return Nesting(root, tokens, owners)


def _note_words(tokens: list[TextToken], owners: list[Node]) -> None:
    """Sets `has_words` of all nodes that wrap a word. `owners`: the innermost node around each token."""
    for owner, token in zip(owners, tokens, strict=True):
        if token.kind is not TokenKind.WORD:
            continue
        for node in reversed(owner.path):
            if node.has_words:
                break
            node.has_words = True
