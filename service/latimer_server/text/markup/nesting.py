"""The marks of a block as a tree: which pair wraps which, and which tokens of the text each is about.

Pure, iterative and linear: nesting deeper than anybody writes is kept in order, without a place of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum

from latimer_server.core.scripts import UNSPACED_CHARACTERS
from latimer_server.text.markup.document import OBJECT, Block, MarkKind

# Pairs deeper than this go where the text near them goes, in their order.
MAX_DEPTH = 32
# Each character of a script without spaces is a token.
_TOKEN = re.compile(
    rf"(?P<atom>{OBJECT})|(?P<word>[0-9]++(?:[.,:][0-9]++)*+|[{UNSPACED_CHARACTERS}]"
    rf"|(?:[^\W{UNSPACED_CHARACTERS}]|[\u0300-\u036f])++)|(?P<sign>[^\s\w])"
)


class TokenKind(Enum):
    """What a token is: a word or a number, a sign such as a comma, or an atom."""

    WORD = "word"
    SIGN = "sign"
    ATOM = "atom"


@dataclass(frozen=True, slots=True)
class TextToken:
    """A token of a text, in code points."""

    start: int
    end: int
    kind: TokenKind


def split_text(text: str) -> list[TextToken]:
    """The words, signs and atoms of a text; everything but white space is in one."""
    kinds = {"atom": TokenKind.ATOM, "word": TokenKind.WORD, "sign": TokenKind.SIGN}
    return [TextToken(match.start(), match.end(), kinds[match.lastgroup or "sign"]) for match in _TOKEN.finditer(text)]


@dataclass(slots=True, eq=False)
class Node:
    """A pair of marks, or a mark without a partner (`closer` None), and what it wraps of the block's text.

    `path` are the nodes from the root to this one. `first` and `last` are for whoever places it: tokens of the
    translation, half-open; `start` and `end` places in it.
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
        """Whether it wraps anything."""
        return self.closer is not None


@dataclass(frozen=True)
class Nesting:
    """A block as a tree: `root` wraps all; `owners` has for each token of the text the innermost pair round it."""

    root: Node
    tokens: list[TextToken]
    owners: list[Node]


def split_tokens_at(tokens: list[TextToken], cuts: list[int]) -> list[TextToken]:
    """The tokens with those cut in two that hold a place of `cuts`, which ascend."""
    found: list[TextToken] = []
    place = 0
    for token in tokens:
        start = token.start
        while place < len(cuts) and cuts[place] <= start:
            place += 1
        while place < len(cuts) and cuts[place] < token.end:
            found.append(TextToken(start, cuts[place], token.kind))
            start = cuts[place]
            place += 1
        found.append(TextToken(start, token.end, token.kind))
    return found


def read_nesting(block: Block) -> Nesting:
    """The tree of a block."""
    root = Node(-1, len(block.marks), 0, len(block.text))
    root.path = (root,)
    tokens = split_tokens_at(split_text(block.text), sorted({mark.offset for mark in block.marks}))
    owners: list[Node] = []
    current, depth = root, 0  # how many pairs are open that got no place in the tree
    for number, mark in enumerate(block.marks):
        while len(owners) < len(tokens) and tokens[len(owners)].start < mark.offset:
            owners.append(current)
        if mark.kind is MarkKind.ATOM:
            continue
        if mark.partner is None or depth or (mark.kind is MarkKind.OPEN and len(current.path) > MAX_DEPTH):
            if mark.partner is not None:
                depth += 1 if mark.kind is MarkKind.OPEN else -1
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
    for owner, token in zip(owners, tokens, strict=True):
        if token.kind is not TokenKind.WORD:
            continue
        for node in reversed(owner.path):
            if node.has_words:
                break
            node.has_words = True
