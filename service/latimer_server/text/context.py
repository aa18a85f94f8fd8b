"""Whether a sentence stands by itself, or points to what was said before it.

Pure; English. Other languages have no lists, and the answer is then always that it stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from latimer_server.text import english
from latimer_server.text.words import Token, split_tokens

_OPENINGS = english.LEADING | english.BARE_OPENERS | {"when", "before", "for", "if", "under", "asked", "given"}
_THINGS = frozenset({"the", "a", "an", "no", "every", "each", "some"})
_NEAR = 4
_DEMONSTRATIVES = frozenset({"this", "that", "these", "those"})
_DOING = frozenset({"do", "does", "did", "done", "doing"})


def depends_on_previous(sentence: str, language: str = "en") -> bool:
    """Whether a sentence points back: by its first word (`This ...`), or by the pronoun of a person whom it has
    not named as its subject (`In a letter, he said ...`)."""
    words = [token for token in split_tokens(sentence) if token.is_word]
    if not words or language.split("-")[0] != "en":
        return False
    if words[0].lower in english.DEPENDENT_STARTS or _points_by_word([token.lower for token in words]):
        return True
    personal = next((index for index, token in enumerate(words) if token.lower in english.PERSONAL), None)
    if personal is None:
        return False
    named = any(token.is_name for token in words[1:personal])
    return words[0].lower in _OPENINGS or not (named or _begins_with_name(words))


def _points_by_word(words: Sequence[str]) -> bool:
    """`On that date ...`, `A master who does so ...`, `The latter ...`."""
    pairs = list(pairwise(words))
    told = words[:_NEAR]
    return (
        not english.POINTERS.isdisjoint(words)
        or not english.ANSWERS.isdisjoint(words)
        or any(word in ("later", "earlier", "afterwards") for word in words[: _NEAR + 2])
        or (words[0] in english.ORDINALS)
        or ("neither" in words and "nor" not in words)
        or ("both" in words and "and" not in words)
        or any(first == "the" and second in english.POINTING_ADJECTIVES for first, second in pairs)
        or any(first in english.PREPOSITIONS | _OPENINGS and second in _DEMONSTRATIVES for first, second in pairs)
        or any(first in _DOING and second in ("so", "it") for first, second in pairs)
        or any(word in _DEMONSTRATIVES - {"that"} for word in told)
    )


def _begins_with_name(words: Sequence[Token]) -> bool:
    """`Brandvold said that she ...`; not `The letter said that he ...`."""
    return (
        words[0].text[0].isupper()
        and words[0].lower not in ("i", "we", "you")
        and (words[0].lower not in _THINGS or any(token.is_name for token in words[1:_NEAR]))
    )
