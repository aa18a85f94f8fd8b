"""Context: decides whether a sentence can be understood by itself or refers to an earlier one.

The rules are for English. In other languages every sentence counts as understandable by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from latimer_server.core.languages import primary_subtag
from latimer_server.summarization.evidence import english
from latimer_server.summarization.evidence.words import Token, list_word_tokens, list_words

_OPENINGS = english.LEADING | english.BARE_OPENERS | {"when", "before", "for", "if", "under", "asked", "given"}
_THINGS = frozenset({"the", "a", "an", "no", "every", "each", "some"})
# Several rules look for pronouns and names only in this many words from the start of a sentence.
_NEAR = 4
# A sentence with fewer words counts as dependent on its neighbours: `I wanted to be helpful`.
_MIN_WORDS = 8
_DEMONSTRATIVES = frozenset({"this", "that", "these", "those"})
_QUOTES = "\"'“‘«"
_SEVERAL = frozenset({"and", "people", "children", "men", "women", "police", "who", "everybody", "nobody", "those"})
_DOING = frozenset({"do", "does", "did", "done", "doing"})


def depends_on_previous(sentence: str, language: str = "en") -> bool:
    """True if a sentence refers to an earlier one.

    Examples are a first word such as `This`, a pronoun for a person that the sentence does not name (`In a letter, he
    said ...`), a quotation mark at the start, and a length of fewer than 8 words.
    """
    words = list_word_tokens(sentence)
    if not words or primary_subtag(language) != "en":
        return False
    if words[0].lower in english.DEPENDENT_STARTS or _refers_by_word([token.lower for token in words]):
        return True
    if sentence.lstrip()[0] in _QUOTES or "it" in [token.lower for token in words[:_NEAR]]:
        return True  # an earlier sentence names the speaker of a quotation or the meaning of `it`
    if _lacks_plural([token.lower for token in words]):
        return True
    if len(words) < _MIN_WORDS:
        return True
    personal = next((index for index, token in enumerate(words) if token.lower in english.PERSONAL), None)
    if personal is None:
        return False
    if 0 < personal < _NEAR and words[personal].lower in ("him", "them") and _begins_with_name(words):
        return True  # `Haak dismissed him`
    named = any(token.is_name for token in words[1:personal])
    return words[0].lower in _OPENINGS or not (named or _begins_with_name(words))


def _lacks_plural(words: Sequence[str]) -> bool:
    """True if the first `they`, `them`, `their` or `theirs` of a sentence has no plural before it; False without one.

    The word directly before it does not count, because it may be a verb that ends with `s`: `Anna Lind claims them`.
    """
    plural = next((index for index, word in enumerate(words) if word in ("they", "them", "their", "theirs")), None)
    if plural is None:
        return False
    before = words[: max(0, plural - 1)]
    return not any(word in _SEVERAL or (word.endswith("s") and not word.endswith(("ss", "'s"))) for word in before)


def list_mentions(sentences: Sequence[str], language: str = "en") -> list[frozenset[str]]:
    """Returns for each sentence the names in it and the definite subject that it begins with (`fee` of `The fee is`).

    Names are words that have a capital inside some sentence. In languages other than English the sets are empty.
    """
    if primary_subtag(language) != "en":
        return [frozenset()] * len(sentences)
    tokens = [list_word_tokens(sentence) for sentence in sentences]
    names = {token.owner for words in tokens for token in words if token.is_name} - {"I"}
    names = {name for name in names if name.lower() not in english.TIMES}
    return [frozenset({token.owner for token in words} & names | _find_subject(words)) for words in tokens]


def list_introductions(sentences: Sequence[str], language: str = "en") -> list[frozenset[int]]:
    """Returns for each sentence the indices of the earlier sentences that first contain one of its mentions.

    Mentions are those of `list_mentions`. Without these sentences a reader may misunderstand a mention such as
    `Garside` or `The fee`.
    """
    first_index: dict[str, int] = {}
    introductions = []
    for index, (sentence, mentions) in enumerate(zip(sentences, list_mentions(sentences, language), strict=True)):
        for word in list_words(sentence) | mentions:
            first_index.setdefault(word, index)
        introductions.append(frozenset(first_index[word] for word in mentions) - {index})
    return introductions


def find_back_references(sentences: Sequence[str], language: str = "en") -> frozenset[int]:
    """Returns the indices of the sentences of a document that refer back to an earlier one.

    These depend on the previous sentence, or begin with a definite subject (`The fee is ...`) that no earlier sentence
    contains. The first sentence is never one of them. Empty for languages other than English.
    """
    if primary_subtag(language) != "en":
        return frozenset()
    seen: set[str] = set()
    referring_back = set()
    for index, sentence in enumerate(sentences):
        if index and (depends_on_previous(sentence, language) or not _find_subject(list_word_tokens(sentence)) <= seen):
            referring_back.add(index)
        seen |= list_words(sentence)
    return frozenset(referring_back)


def _find_subject(words: Sequence[Token]) -> set[str]:
    """Returns the second word of a sentence that begins with `the` and a lower-case word: `fee` for `The fee is ...`.

    Otherwise the set is empty.
    """
    is_definite = len(words) > 1 and words[0].lower == "the" and words[1].text.islower()
    return {words[1].text} if is_definite else set()


def _refers_by_word(words: Sequence[str]) -> bool:
    """True if a word or phrase refers back: `On that date ...`, `A master who does so ...`, `The latter ...`."""
    pairs = list(pairwise(words))
    opening = words[:_NEAR]
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
        or any(word in _DEMONSTRATIVES - {"that"} for word in opening)
    )


def _begins_with_name(words: Sequence[Token]) -> bool:
    """True if a sentence seems to begin with a name: `Brandvold said she ...`, but not `The letter said he ...`."""
    return (
        words[0].text[0].isupper()
        and words[0].lower not in ("i", "we", "you")
        and (words[0].lower not in _THINGS or any(token.is_name for token in words[1:_NEAR]))
    )
