"""Decides which part of a translation each pair of marks wraps.

`Ownership` has assigned each token of the translation to a pair. Each pair takes a range of its parent's tokens,
disjoint from the ranges of its siblings. Takes linear time except for sorting, at most `MAX_DEPTH` times.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from dataclasses import dataclass

from latimer_server.text.markup.nesting import MAX_DEPTH, Nesting, Node, TextToken, TokenKind
from latimer_server.text.markup.ownership import Ownership, normalize_sign

# A pair whose own words have no link goes next to the linked words of a neighbour at most this many tokens away, and
# wraps at most this many.
_NEIGHBOURS = 5
# The sign of a pair without words is sought among this many tokens before and behind its place, so that the work grows
# linearly with the text.
_SIGN_REACH = 32
# A pair may wrap this many tokens of other pairs between two of its own, or as many as it has: `not` is `ne ... pas`.
_LEAST_BRIDGE = 2


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
    """The place of each pair of marks in a translation, by the owners of its tokens.

    `arrange` sets the place of every node. `repaired`: True if the place of a pair was guessed, since no link decides
    it.
    """

    def __init__(
        self, source: str, nesting: Nesting, translation: str, tokens: list[TextToken], ownership: Ownership
    ) -> None:
        self.repaired = ownership.repaired
        self._source = source
        self._nesting = nesting
        self._translation = translation
        self._tokens = tokens
        self._ownership = ownership

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
            owner = self._ownership.owners[number]
            if owner is None:
                continue
            if len(owner.path) <= depth or owner.path[depth - 1] is not node:
                foreign += 1
                continue
            child, weight = owner.path[depth], self._ownership.weights[number]
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
        around, own = self._ownership.list_source_tokens(node), self._ownership.list_source_tokens(child)
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
        own = self._ownership.list_source_tokens(child)
        share = (child.begin - node.begin) / max(1, node.finish - node.begin)
        middle = node.first + round(share * (node.last - node.first))
        first = max(node.first, middle - _SIGN_REACH) if low is None else low
        last = min(node.last, middle + _SIGN_REACH) if high is None else high
        for number in range(first, min(last, first + 2 * _SIGN_REACH)):
            token = self._tokens[number]
            if (
                token.kind is TokenKind.SIGN
                and self._ownership.has_sign(own, token)
                and not self._is_taken(number, taken)
            ):
                return number
        return None

    def _find_answer(self, indices: range, node: Node) -> int | None:
        """Returns the index of a token in `node`: the one linked to the first of these source tokens that has one."""
        for index in indices:
            number = self._ownership.answers.get(index, (0.0, -1))[1]
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
            if is_unbroken and all(self._ownership.owners[number] is None for number in words):
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
        own = [self._nesting.tokens[index] for index in self._ownership.list_source_tokens(child)]
        for step, tokens in ((-1, own), (1, own[::-1])):
            signs = []
            for token in tokens:
                if token.kind is not TokenKind.SIGN:
                    break
                signs.append(normalize_sign(self._source[token.start]))
            inside = range(child.first, child.last) if step < 0 else range(child.last - 1, child.first - 1, -1)
            for number in inside:
                if self._tokens[number].kind is not TokenKind.SIGN:
                    break
                sign = normalize_sign(self._translation[self._tokens[number].start])
                if sign in signs:
                    signs.remove(sign)
            while signs:
                number = child.first - 1 if step < 0 else child.last
                if not low <= number < high or self._tokens[number].kind is not TokenKind.SIGN:
                    break
                token = self._tokens[number]
                beside = (
                    token.end == self._tokens[child.first].start
                    if step < 0
                    else (token.start == self._tokens[child.last - 1].end)
                )
                sign = normalize_sign(self._translation[token.start])
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
