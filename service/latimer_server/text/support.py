"""Whether a text supports a sentence that a model wrote about it.

Blind to meaning and therefore strict: every number and name, and nearly all content words in their order, must
stand in one sentence of the source, with as many negations. Pure functions over text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from latimer_server.text import english
from latimer_server.text.words import Token, split_tokens

# Of the content words of a grounded sentence, this share stands in its source, in order.
_GROUNDED_SHARE = 0.85
_MAX_TOKENS = 400
_NEAREST = 5


@dataclass(frozen=True)
class Support:
    """The source sentence that says what a sentence says, by its index; None where there is none like it."""

    index: int | None
    supported: bool


def find_support(sentence: str, sources: Sequence[str]) -> Support:
    """The source sentence nearest to `sentence`, and whether it supports it."""
    words = {token.lower for token in split_tokens(sentence) if token.is_word}
    shares = [
        (len(words & {token.lower for token in split_tokens(source) if token.is_word}) / max(1, len(words)), -index)
        for index, source in enumerate(sources)
    ]
    ranked = [-index for share, index in sorted(shares, reverse=True) if share > 0][:_NEAREST]
    for index in ranked:
        if is_grounded(sentence, sources[index]):
            return Support(index, supported=True)
    return Support(ranked[0] if ranked else None, supported=False)


def is_grounded(sentence: str, source: str) -> bool:
    """Whether numbers, names, negations and nearly all content words of `sentence` stand in `source`, in order."""
    mine, theirs = split_tokens(sentence), split_tokens(source)
    if not mine or len(mine) > _MAX_TOKENS or len(theirs) > _MAX_TOKENS:
        return False
    known = {token.lower for token in theirs}
    if any(token.lower not in known for token in mine if token.is_number or token.is_name):
        return False
    if sum(map(negates, mine)) != sum(map(negates, theirs)) and any(map(negates, (*mine, *theirs))):
        return False
    content = [token.lower for token in mine if token.is_word and len(token.text) > 3]
    others = [token.lower for token in theirs if token.is_word]
    return _longest_common(content, others) >= _GROUNDED_SHARE * max(1, len(content))


def negates(token: Token) -> bool:
    """Whether a word denies something (English)."""
    return token.lower in english.NEGATIONS or token.lower.endswith("n't")


def _longest_common(first: Sequence[str], second: Sequence[str]) -> int:
    row = [0] * (len(second) + 1)
    for word in first:
        before = row[:]
        for index, other in enumerate(second):
            row[index + 1] = before[index] + 1 if word == other else max(row[index], before[index + 1])
    return row[-1]
