"""Whether a sentence stands by itself, or points to what was said before it.

Pure; English. Other languages have no lists, and the answer is then always that it stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from latimer_server.summarization.evidence import english
from latimer_server.summarization.evidence.words import Token, list_word_tokens, list_words

_OPENINGS = english.LEADING | english.BARE_OPENERS | {"when", "before", "for", "if", "under", "asked", "given"}
_THINGS = frozenset({"the", "a", "an", "no", "every", "each", "some"})
_NEAR = 4
# `I wanted to be helpful`: what is shorter leans on its neighbours.
_LEAST_WORDS = 8
_DEMONSTRATIVES = frozenset({"this", "that", "these", "those"})
_QUOTES = "\"'“‘«"
_SEVERAL = frozenset({"and", "people", "children", "men", "women", "police", "who", "everybody", "nobody", "those"})
_DOING = frozenset({"do", "does", "did", "done", "doing"})


def depends_on_previous(sentence: str, language: str = "en") -> bool:
    """Whether a sentence points back: by its first word (`This ...`), or by the pronoun of a person whom it has
    not named as its subject (`In a letter, he said ...`)."""
    words = list_word_tokens(sentence)
    if not words or language.split("-")[0] != "en":
        return False
    if words[0].lower in english.DEPENDENT_STARTS or _points_by_word([token.lower for token in words]):
        return True
    if sentence.lstrip()[0] in _QUOTES or "it" in [token.lower for token in words[:_NEAR]]:
        return True  # who speaks, and of what, was said before
    if _lacks_plural([token.lower for token in words]):
        return True
    if len(words) < _LEAST_WORDS:
        return True
    personal = next((index for index, token in enumerate(words) if token.lower in english.PERSONAL), None)
    if personal is None:
        return False
    if 0 < personal < _NEAR and words[personal].lower in ("him", "them") and _begins_with_name(words):
        return True  # `Haak dismissed him`
    named = any(token.is_name for token in words[1:personal])
    return words[0].lower in _OPENINGS or not (named or _begins_with_name(words))


def _lacks_plural(words: Sequence[str]) -> bool:
    """`Anna Lind claims them`: nothing before it that they could be."""
    plural = next((index for index, word in enumerate(words) if word in ("they", "them", "their", "theirs")), None)
    if plural is None:
        return False
    before = words[: max(0, plural - 1)]
    return not any(word in _SEVERAL or (word.endswith("s") and not word.endswith(("ss", "'s"))) for word in before)


def list_mentions(sentences: Sequence[str], language: str = "en") -> list[frozenset[str]]:
    """For each sentence whom it names, and the thing that it begins with as if it were known (`The fee is ...`).
    English, where capitals tell names."""
    if language.split("-")[0] != "en":
        return [frozenset()] * len(sentences)
    told = [list_word_tokens(sentence) for sentence in sentences]
    names = {token.owner for words in told for token in words if token.is_name} - {"I"}
    names = {name for name in names if name.lower() not in english.TIMES}
    return [frozenset({token.owner for token in words} & names | _find_subject(words)) for words in told]


def list_introductions(sentences: Sequence[str], language: str = "en") -> list[frozenset[int]]:
    """For each sentence the earlier ones that first name what it mentions: without them a reader may take `Garside`
    or `The fee` for another one."""
    first: dict[str, int] = {}
    introductions = []
    for index, (sentence, mine) in enumerate(zip(sentences, list_mentions(sentences, language), strict=True)):
        for word in list_words(sentence) | mine:
            first.setdefault(word, index)
        introductions.append(frozenset(first[word] for word in mine) - {index})
    return introductions


def find_back_references(sentences: Sequence[str], language: str = "en") -> frozenset[int]:
    """The sentences of a document that point back, to a word or to a thing that none before them has named: `The
    fee is ...`. The first has nothing to point to."""
    if language.split("-")[0] != "en":
        return frozenset()
    seen: set[str] = set()
    pointing = set()
    for index, sentence in enumerate(sentences):
        if index and (depends_on_previous(sentence, language) or not _find_subject(list_word_tokens(sentence)) <= seen):
            pointing.add(index)
        seen |= list_words(sentence)
    return frozenset(pointing)


def _find_subject(words: Sequence[Token]) -> set[str]:
    known = len(words) > 1 and words[0].lower == "the" and words[1].text.islower()
    return {words[1].text} if known else set()


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
        or any(first == "both" and second.endswith("s") for first, second in pairs)
        or any(first == "the" and second in english.POINTING_AFTER_THE for first, second in pairs)
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
