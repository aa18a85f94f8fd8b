"""Decides which part of a translation each pair of marks wraps.

Links with the source assign each token of the translation to a pair. Each pair then takes a range of its parent's
tokens, disjoint from the ranges of its siblings. Takes linear time except for sorting, at most `MAX_DEPTH` times.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from latimer_server.core.spans import TextSpan
from latimer_server.text.alignment import Link
from latimer_server.text.markup.document import Block
from latimer_server.text.markup.nesting import MAX_DEPTH, Nesting, Node, TextToken, TokenKind

# A link with more tokens than these on either side decides which pair a token belongs to, but not which token of the
# source it translates.
_MOST_LINKED = 4
# A pair whose own words have no link goes next to the linked words of a neighbour at most this many tokens away, and
# wraps at most this many.
_NEIGHBOURS = 5
# The sign of a pair without words is sought among this many tokens before and behind its place, so that the work grows
# linearly with the text.
_SIGN_REACH = 32
# The weight of an atom when the heaviest tokens of a pair are sought; that of a word is 1.
_ATOM_WEIGHT = 4.0
# A pair may wrap this many tokens of other pairs between two of its own, or as many as it has: `not` is `ne ... pas`.
_LEAST_BRIDGE = 2
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
}
_QUOTES = "\"'“”‘’«»„‚‹›「」『』"


@dataclass(slots=True)
class _Run:
    """A range of the translation's tokens that belong to one pair, with few tokens of other pairs in between.

    `first` and `last`: half-open. `weight` and `count`: those of the pair's own tokens. `foreign`: the number of tokens
    of other pairs from the start of the parent up to `last`.
    """

    first: int
    last: int
    weight: float
    count: int
    foreign: int


class Arrangement:
    """The tokens of a translation and the pair of marks that owns each.

    `claim_atoms`, then `follow_links` or `share_out`, assign tokens to pairs; then `arrange` sets the place of every
    node in the translation. `repaired`: True if the place of a pair was guessed, since no link decides it.
    """

    def __init__(self, block: Block, nesting: Nesting, translation: str, tokens: list[TextToken]) -> None:
        self.repaired = False
        self._source = block.text
        self._nesting = nesting
        self._translation = translation
        self._tokens = tokens
        self._starts = [token.start for token in tokens]
        self._source_starts = [token.start for token in nesting.tokens]
        self._owners: list[Node | None] = [None] * len(tokens)
        self._weights = [1.0] * len(tokens)
        # For each linked token of the source, by index: the score of its best link, and the token of the translation.
        self._answers: dict[int, tuple[float, int]] = {}

    def claim_atoms(self, atoms: Sequence[TextSpan]) -> None:
        """Assigns each atom to the pair around it in the source. `atoms`: spans here, in the order of the source."""
        numbers = {token.start: number for number, token in enumerate(self._tokens) if token.kind is TokenKind.ATOM}
        order = iter(atoms)
        for index, token in enumerate(self._nesting.tokens):
            if token.kind is TokenKind.ATOM:
                number = numbers.get(next(order).start)
                if number is not None:
                    self._owners[number] = self._nesting.owners[index]
                    self._weights[number] = _ATOM_WEIGHT
                    self._answers[index] = (_ATOM_WEIGHT, number)

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
                    elected = self._find_owner(sources, link.source) if self._has_sign(sources, token) else None
                if token.kind is TokenKind.ATOM or elected is None:
                    continue
                overlap = min(token.end, link.target.end) - max(token.start, link.target.start)
                score = (link.score + 0.01) * overlap
                of_token = votes.setdefault(number, {})
                of_token[elected] = of_token.get(elected, 0.0) + score
                if len(sources) <= _MOST_LINKED and len(targets) <= _MOST_LINKED:
                    for index in sources:
                        if score > self._answers.get(index, (0.0, 0))[0]:
                            self._answers[index] = (score, number)
        for number, of_token in votes.items():
            self._owners[number] = max(of_token, key=lambda node: of_token[node])

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

    def share_out(self) -> None:
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
                        self._owners[number] = node
                continue
            inner, outer = (self._range(n) for n in (children[0], node))
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

    def arrange(self) -> None:
        """Sets all nodes' `start` and `end`, offsets in the translation: inside the parent, disjoint from siblings."""
        root = self._nesting.root
        root.last, root.end = len(self._tokens), len(self._translation)
        pending = [root]
        while pending:
            node = pending.pop()
            if node.first == node.last:
                for child in node.children:
                    child.start = child.end = node.start
                    self.repaired = self.repaired or child.has_words
            elif node.children:
                self._arrange_children(node)
            pending += [child for child in node.children if child.children]

    def _arrange_children(self, node: Node) -> None:
        runs = self._find_runs(node)
        for child, run in runs.items():
            child.first, child.last = run.first, run.last
        taken = sorted((run.first, run.last) for run in runs.values())
        placed = list(runs)
        loose = (child for child in node.children if child not in runs)
        placed.extend(child for child in loose if self._place_loose(node, child, taken))
        placed.sort(key=lambda child: child.first)
        end, stop = node.start, node.first
        for index, child in enumerate(placed):
            following = placed[index + 1].first if index + 1 < len(placed) else node.last
            self._take_signs(child, stop, following)
            limit = self._tokens[following].start if following < node.last else node.end
            self._take_places(child, end, limit)
            end, stop = child.end, child.last
        if len(node.path) > MAX_DEPTH:
            position = node.start
            for child in node.children:
                position = child.start = child.end = max(position, child.start)

    def _find_runs(self, node: Node) -> dict[Node, _Run]:
        """Returns the heaviest run of tokens of each child of `node` that owns tokens, itself or by its descendants."""
        depth = len(node.path)
        best: dict[Node, _Run] = {}
        open_runs: dict[Node, _Run] = {}
        latest: Node | None = None
        foreign = 0
        for number in range(node.first, node.last):
            owner = self._owners[number]
            if owner is None:
                continue
            if len(owner.path) <= depth or owner.path[depth - 1] is not node:
                foreign += 1
                continue
            child, weight = owner.path[depth], self._weights[number]
            run = open_runs.get(child)
            if run and latest is child and foreign - run.foreign <= max(_LEAST_BRIDGE, run.count):
                run.last, run.foreign = number + 1, foreign
                run.weight, run.count = run.weight + weight, run.count + 1
            else:
                run = open_runs[child] = _Run(number, number + 1, weight, 1, foreign)
            if child not in best or run.weight > best[child].weight:
                best[child] = run
            latest = child
        return best

    def _place_loose(self, node: Node, child: Node, taken: list[tuple[int, int]]) -> bool:
        """Places a child that owns no tokens next to the linked words of its neighbours, empty or around words there.

        Returns True if it wraps words; these are then added to `taken`, and its offsets are not set yet.
        """
        around, own = self._range(node), self._range(child)
        before = self._find_answer(range(own.start - 1, max(around.start, own.start - _NEIGHBOURS) - 1, -1), node)
        after = self._find_answer(range(own.stop, min(around.stop, own.stop + _NEIGHBOURS)), node)
        low = node.first if own.start == around.start else None if before is None else before + 1
        high = node.last if own.stop == around.stop else after
        if (
            child.is_pair
            and not child.has_words
            and (sign := self._find_sign(low, high, node, child, taken)) is not None
        ):
            child.first, child.last = sign, sign + 1
            insort(taken, (sign, sign + 1))
            return True
        if child.is_pair and (child.has_words or own):
            self.repaired = True
            found = self._find_unclaimed(low, high, node, taken)
            if found is not None:
                child.first, child.last = found
                insort(taken, found)
                return True
        if own.start == around.start:
            position = node.start
        elif own.stop == around.stop:
            position = node.end
        elif before is not None and (after is None or self._nesting.tokens[own.start - 1].end == child.begin):
            end = self._tokens[before].end
            gap = child.begin - self._nesting.tokens[own.start - 1].end
            position = self._step_on(end, min(node.end, end + gap))
        elif after is not None:
            start = self._tokens[after].start
            gap = self._nesting.tokens[own.stop].start - child.finish
            position = self._step_back(start, max(node.start, start - gap))
        else:
            self.repaired = True
            near_end = child.begin - node.begin > node.finish - child.finish
            position = node.end if near_end else node.start
        child.start = child.end = position
        return False

    def _find_sign(
        self, low: int | None, high: int | None, node: Node, child: Node, taken: list[tuple[int, int]]
    ) -> int | None:
        """Returns the index of the first sign between the tokens `low` and `high` that a pair of signs wraps.

        It is equal to one of the pair's signs in the source, and outside the ranges `taken`. None without such a sign.
        An unknown end of the range is near the place that the pair has in its parent in the source.
        """
        own = self._range(child)
        share = (child.begin - node.begin) / max(1, node.finish - node.begin)
        middle = node.first + round(share * (node.last - node.first))
        first = max(node.first, middle - _SIGN_REACH) if low is None else low
        last = min(node.last, middle + _SIGN_REACH) if high is None else high
        for number in range(first, min(last, first + 2 * _SIGN_REACH)):
            token = self._tokens[number]
            if token.kind is TokenKind.SIGN and self._has_sign(own, token) and not self._is_taken(number, taken):
                return number
        return None

    def _find_answer(self, indices: range, node: Node) -> int | None:
        """Returns the index of a token in `node`: the one linked to the first of these source tokens that has one."""
        for index in indices:
            number = self._answers.get(index, (0.0, -1))[1]
            if node.first <= number < node.last:
                return number
        return None

    def _find_unclaimed(
        self, low: int | None, high: int | None, node: Node, taken: list[tuple[int, int]]
    ) -> tuple[int, int] | None:
        """Returns a half-open range of the translation's tokens for a pair without linked words, or None.

        It has the words between the tokens `low` and `high`, if those are at most five in a row, unlinked and outside
        the ranges `taken`. Else it is one word next to `high` (or `low`), outside the ranges `taken`.
        """
        if low is not None and high is not None and low < high <= low + _NEIGHBOURS:
            words = [number for number in range(low, high) if self._is_free(number, taken)]
            is_unbroken = bool(words) and all(self._is_free(n, taken) for n in range(words[0], words[-1] + 1))
            if is_unbroken and all(self._owners[number] is None for number in words):
                return words[0], words[-1] + 1
        near = high if high is not None else low
        if near is None:
            return None
        for number in (near, near - 1):
            if node.first <= number < node.last and self._is_free(number, taken):
                return number, number + 1
        return None

    def _is_free(self, number: int, taken: list[tuple[int, int]]) -> bool:
        """Returns True if a token of the translation (by index) is a word outside the ranges `taken`."""
        return self._tokens[number].kind is TokenKind.WORD and not self._is_taken(number, taken)

    def _is_taken(self, number: int, taken: list[tuple[int, int]]) -> bool:
        place = bisect_right(taken, (number, len(self._tokens) + 1)) - 1
        return place >= 0 and taken[place][1] > number

    def _take_signs(self, child: Node, low: int, high: int) -> None:
        """Widens a pair's tokens over the signs next to them that it also wraps at its edges in the source.

        `low` and `high`: the range of the translation's tokens that it may reach.
        """
        own = [self._nesting.tokens[index] for index in self._range(child)]
        for step, tokens in ((-1, own), (1, own[::-1])):
            signs = []
            for token in tokens:
                if token.kind is not TokenKind.SIGN:
                    break
                signs.append(_normalize_sign(self._source[token.start]))
            inside = range(child.first, child.last) if step < 0 else range(child.last - 1, child.first - 1, -1)
            for number in inside:
                if self._tokens[number].kind is not TokenKind.SIGN:
                    break
                sign = _normalize_sign(self._translation[self._starts[number]])
                if sign in signs:
                    signs.remove(sign)
            while signs:
                number = child.first - 1 if step < 0 else child.last
                if not low <= number < high or self._tokens[number].kind is not TokenKind.SIGN:
                    break
                token = self._tokens[number]
                beside = (
                    token.end == self._starts[child.first]
                    if step < 0
                    else (token.start == self._tokens[child.last - 1].end)
                )
                sign = _normalize_sign(self._translation[token.start])
                if not beside or sign not in signs:
                    break
                signs.remove(sign)
                child.first, child.last = (number, child.last) if step < 0 else (child.first, number + 1)

    def _take_places(self, child: Node, low: int, high: int) -> None:
        """Sets the offsets of a child from its tokens, with as much white space at its edges as the source has there.

        `low` and `high`: the offsets in the translation that it may reach.
        """
        start, end = self._tokens[child.first].start, self._tokens[child.last - 1].end
        text = self._source[child.begin : child.finish]
        start = self._step_back(start, max(low, start - len(text) + len(text.lstrip())))
        end = self._step_on(end, min(high, end + len(text) - len(text.rstrip())))
        child.start, child.end = start, end

    def _step_back(self, place: int, low: int) -> int:
        """Returns the offset before the white space that ends at the offset `place`, but at least `low`."""
        while place > low and self._translation[place - 1].isspace():
            place -= 1
        return place

    def _step_on(self, place: int, high: int) -> int:
        """Returns the offset behind the white space that begins at the offset `place`, but at most `high`."""
        while place < high and self._translation[place].isspace():
            place += 1
        return place

    def _range(self, node: Node) -> range:
        """Returns the indices of the source tokens that a node wraps."""
        return range(bisect_left(self._source_starts, node.begin), bisect_left(self._source_starts, node.finish))

    def _has_sign(self, sources: range, token: TextToken) -> bool:
        """Returns True if one of the source tokens is the sign `token` of the translation, or one of equal meaning."""
        sign = _normalize_sign(self._translation[token.start])
        return any(sign == _normalize_sign(self._source[self._source_starts[index]]) for index in sources)

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


def _normalize_sign(sign: str) -> str:
    """Returns the ASCII sign with the same meaning (`"` for any quotation mark), else the sign itself."""
    return '"' if sign in _QUOTES else _EQUAL_SIGNS.get(sign, sign)
