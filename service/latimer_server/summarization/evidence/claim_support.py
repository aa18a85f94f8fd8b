"""Claim support: decides whether a source text supports a sentence that a model wrote about it.

The check does not understand meaning, so it is strict. All words except function words (`the`, `was`) must occur in one
source sentence in the same order, and the sentence must not leave out a word that doubts, denies or limits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from latimer_server.core.languages import primary_subtag
from latimer_server.summarization.evidence import english
from latimer_server.summarization.evidence.words import Token, list_word_tokens

# A longer sentence counts as unsupported.
_MAX_WORDS = 400
# Most source sentences that are checked for support of one sentence: those that share the most words with it.
_NEAREST = 5
# The words of a source sentence that a supported sentence must not leave out.
_LIMITS = english.NEGATIONS | english.CONDITIONS | english.HEDGES | english.ATTRIBUTIONS


@dataclass(frozen=True)
class Sources:
    """An index of the sentences of a source text. Create it with `index_sources`.

    `words` holds the lower-case words of each sentence, in order. `found_in` maps each lower-case word, except function
    words, to the indices of the sentences that contain it.
    """

    words: tuple[tuple[str, ...], ...]
    found_in: dict[str, list[int]]
    language: str

    def find_support(self, sentence: str) -> int | None:
        """Returns the index of a source sentence that supports `sentence`; None if none is found.

        Checks only the five source sentences that share the most words with it, function words aside.
        """
        content_words = _list_content_words(list_word_tokens(sentence))
        shared = Counter(index for word in set(content_words) for index in self.found_in.get(word, ()))
        for index, _ in sorted(shared.items(), key=lambda pair: (-pair[1], pair[0]))[:_NEAREST]:
            if is_grounded(sentence, self.words[index], self.language):
                return index
        return None


def index_sources(sentences: Sequence[str], language: str = "en") -> Sources:
    """Indexes the sentences of a source text in `language` (BCP-47)."""
    words = tuple(tuple(token.lower for token in list_word_tokens(sentence)) for sentence in sentences)
    found_in: dict[str, list[int]] = {}
    for index, sentence in enumerate(words):
        for word in set(sentence) - english.FUNCTION_WORDS:
            found_in.setdefault(word, []).append(index)
    return Sources(words, found_in, language)


def is_grounded(sentence: str, source: Sequence[str], language: str = "en") -> bool:
    """True if a sentence claims nothing beyond one source sentence, whose lower-case words `source` holds in order.

    In languages other than English, True only if the words of the sentence follow each other in the source sentence.
    Sentences without words or with more than 400 are never grounded.
    """
    words = list_word_tokens(sentence)
    if not words or len(words) > _MAX_WORDS:
        return False
    if primary_subtag(language) != "en":
        literal = tuple(token.lower for token in words)
        return any(tuple(source[i : i + len(literal)]) == literal for i in range(len(source) - len(literal) + 1))
    omitted = _find_omitted(_list_content_words(words), source)
    return omitted is not None and not any(_limits_claim(word) for word in omitted)


def _list_content_words(words: Sequence[Token]) -> list[str]:
    return [token.lower for token in words if token.lower not in english.FUNCTION_WORDS]


def _find_omitted(kept: Sequence[str], source: Sequence[str]) -> list[str] | None:
    """Returns the words of `source` that are not in `kept`; None unless `kept` occurs in `source` in this order."""
    omitted: list[str] = []
    rest = iter(source)
    for word in kept:
        for other in rest:
            if other == word:
                break
            omitted.append(other)
        else:
            return None
    return [*omitted, *rest]


def _limits_claim(word: str) -> bool:
    return word in _LIMITS or word.endswith("n't")
