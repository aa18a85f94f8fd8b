"""Decides which pair of marks each token of a translation belongs to.

Links with the source say so; without links the words are shared by length. Takes linear time.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

from latimer_server.core.spans import TextSpan
from latimer_server.text.alignment import Link
from latimer_server.text.markup.nesting import Nesting, Node, TextToken, TokenKind

# A link with more tokens than these on either side decides which pair a token belongs to, but not which token of the
# source it translates.
_MOST_LINKED = 4
# The weight of an atom when the heaviest tokens of a pair are sought; that of a word is 1.
_ATOM_WEIGHT = 4.0
_EQUAL_SIGNS = {
    "。": ".",
    "、": ",",
    "،": ",",
    "؟": "?",
    "؛": ";",
    "？": "?",
    "！": "!",
    "：": ":",
    "；": ";",
    "，": ",",
    "−": "-",
    "–": "-",
    "—": "-",
}
_QUOTES = "\"'“”‘’«»„‚‹›「」『』"


class Ownership:
    """The tokens of a translation and the pair of marks that owns each.

    `claim_atoms`, then `follow_links` or `assign_by_length`, fill `owners`: for each token the innermost pair, None
    without one. `weights`: those of the tokens. `answers`: for each linked token of the source, by index, the score of
    its best link and the index of the token of the translation. `repaired`: True if several pairs share words by
    length.
    """

    def __init__(self, source: str, nesting: Nesting, translation: str, tokens: list[TextToken]) -> None:
        self.repaired = False
        self.owners: list[Node | None] = [None] * len(tokens)
        self.weights = [1.0] * len(tokens)
        self.answers: dict[int, tuple[float, int]] = {}
        self._source = source
        self._nesting = nesting
        self._translation = translation
        self._tokens = tokens
        self._starts = [token.start for token in tokens]
        self._source_starts = [token.start for token in nesting.tokens]

    def claim_atoms(self, atoms: Sequence[TextSpan]) -> None:
        """Assigns each atom to the pair around it in the source. `atoms`: spans here, in the order of the source."""
        numbers = {token.start: number for number, token in enumerate(self._tokens) if token.kind is TokenKind.ATOM}
        order = iter(atoms)
        for index, token in enumerate(self._nesting.tokens):
            if token.kind is TokenKind.ATOM:
                number = numbers.get(next(order).start)
                if number is not None:
                    self.owners[number] = self._nesting.owners[index]
                    self.weights[number] = _ATOM_WEIGHT
                    self.answers[index] = (_ATOM_WEIGHT, number)

    def follow_links(self, links: Sequence[Link]) -> None:
        """Assigns each token of the translation to the pair around the source words that it is linked to.

        Links with a score above 1 are certain: those of protected spans and numbers, each to the same one in the
        translation. A pair whose words all have such links takes no words by others.
        """
        votes: dict[int, dict[Node, float]] = {}
        closed = self._find_closed([link.source for link in links if link.score > 1])
        for link in self._cut_links(links):
            sources = _find_tokens(self._nesting.tokens, self._source_starts, link.source)
            targets = _find_tokens(self._tokens, self._starts, link.target)
            content = [index for index in sources if self._nesting.tokens[index].kind is not TokenKind.SIGN]
            owner = self._find_owner(content, link.source) if content else None
            while owner is not None and owner in closed and link.score <= 1 and len(owner.path) > 1:
                owner = owner.path[-2]
            for number in targets:
                token = self._tokens[number]
                elected = owner
                if token.kind is TokenKind.SIGN:
                    elected = self._find_owner(sources, link.source) if self.has_sign(sources, token) else None
                if token.kind is TokenKind.ATOM or elected is None:
                    continue
                overlap = min(token.end, link.target.end) - max(token.start, link.target.start)
                score = (link.score + 0.01) * overlap
                of_token = votes.setdefault(number, {})
                of_token[elected] = of_token.get(elected, 0.0) + score
                if len(sources) <= _MOST_LINKED and len(targets) <= _MOST_LINKED:
                    for index in sources:
                        if score > self.answers.get(index, (0.0, 0))[0]:
                            self.answers[index] = (score, number)
        for number, of_token in votes.items():
            self.owners[number] = max(of_token, key=lambda node: of_token[node])

    def _find_closed(self, certain: Sequence[TextSpan]) -> set[Node]:
        """Returns the nodes with words of their own that are all inside the spans `certain` of the source."""
        closed: set[Node] = set()
        open_nodes: set[Node] = set()
        covered = {index for span in certain for index in _find_tokens(self._nesting.tokens, self._source_starts, span)}
        for index, (token, owner) in enumerate(zip(self._nesting.tokens, self._nesting.owners, strict=True)):
            if token.kind is TokenKind.WORD:
                (closed if index in covered else open_nodes).add(owner)
        return closed - open_nodes

    def _cut_links(self, links: Sequence[Link]) -> Iterator[Link]:
        """Yields the links, with one between equal texts cut into its tokens, which end at the marks of the source."""
        for link in links:
            source, target = link.source, link.target
            sources = _find_tokens(self._nesting.tokens, self._source_starts, source)
            written = self._source[source.start : source.end]
            if not 1 < len(sources) <= _MOST_LINKED or written != self._translation[target.start : target.end]:
                yield link
                continue
            for index in sources:
                token, step = self._nesting.tokens[index], target.start - source.start
                start, end = max(token.start, source.start), min(token.end, source.end)
                yield Link(TextSpan(start, end), TextSpan(start + step, end + step), link.score)

    def assign_by_length(self) -> None:
        """Assigns the words of the translation to pairs by length, for a translation without links.

        A single pair gets all words of its parent; several pairs get consecutive shares by their length in the source.
        """
        # The number of words and atoms before each token of the source.
        content = [0, *accumulate(token.kind is not TokenKind.SIGN for token in self._nesting.tokens)]
        pending = [(self._nesting.root, 0, len(self._tokens))]
        while pending:
            node, first, last = pending.pop()
            children = [child for child in node.children if child.has_words]
            if not children:
                for number in range(first, last):
                    if self._tokens[number].kind is TokenKind.WORD:
                        self.owners[number] = node
                continue
            inner, outer = (self.list_source_tokens(n) for n in (children[0], node))
            wraps_all = len(children) == 1 and content[inner.stop] - content[inner.start] == (
                content[outer.stop] - content[outer.start]
            )
            self.repaired = self.repaired or not wraps_all
            start = first
            for child, following in zip(children, [*children[1:], None], strict=True):
                middle = (child.finish + following.begin) / 2 if following else node.finish
                share = (middle - node.begin) / max(1, node.finish - node.begin)
                stop = first + round(share * (last - first))
                pending.append((child, start, stop))
                start = stop

    def list_source_tokens(self, node: Node) -> range:
        """Returns the indices of the source tokens that a node wraps."""
        return range(bisect_left(self._source_starts, node.begin), bisect_left(self._source_starts, node.finish))

    def has_sign(self, sources: range, token: TextToken) -> bool:
        """Returns True if one of the source tokens is the sign `token` of the translation, or one of equal meaning."""
        sign = normalize_sign(self._translation[token.start])
        return any(sign == normalize_sign(self._source[self._source_starts[index]]) for index in sources)

    def _find_owner(self, indices: Sequence[int], span: TextSpan) -> Node:
        """Returns the innermost node around at least half of a link's span in these source tokens (by index)."""
        owners = self._nesting.owners
        if len(indices) == 1 or all(owners[index] is owners[indices[0]] for index in indices):
            return owners[indices[0]]
        shares: dict[Node, int] = {}
        total = 0
        for index in indices:
            token = self._nesting.tokens[index]
            size = min(token.end, span.end) - max(token.start, span.start)
            total += size
            for node in owners[index].path:
                shares[node] = shares.get(node, 0) + size
        half = [node for node, share in shares.items() if 2 * share >= total]
        return max(half, key=lambda node: len(node.path))


def _find_tokens(tokens: list[TextToken], starts: list[int], span: TextSpan) -> range:
    """Returns the indices of the tokens that a span overlaps. `starts`: the start of each token."""
    first = bisect_right(starts, span.start) - 1
    if first < 0 or tokens[first].end <= span.start:
        first += 1
    return range(first, max(first, bisect_left(starts, span.end)))


def normalize_sign(sign: str) -> str:
    """Returns the ASCII sign with the same meaning (`"` for any quotation mark), else the sign itself."""
    return '"' if sign in _QUOTES else _EQUAL_SIGNS.get(sign, sign)
