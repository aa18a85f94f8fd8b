"""Whether a text supports a sentence that a model wrote about it.

Blind to meaning and therefore strict: every word but the likes of `the` and `was` must stand in one sentence of the
source, in its order, and nothing of that sentence that doubts, denies or limits may be left out. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from latimer_server.summarization.evidence import english
from latimer_server.summarization.evidence.words import Token, list_word_tokens

_MAX_WORDS = 400
_NEAREST = 5
_LIMITS = english.NEGATIONS | english.CONDITIONS | english.HEDGES | english.ATTRIBUTIONS


@dataclass(frozen=True)
class Sources:
    """The sentences of a text, ready to be asked what supports a claim. Make it with `index_sources`."""

    words: tuple[tuple[str, ...], ...]
    found_in: dict[str, list[int]]
    language: str

    def find_support(self, sentence: str) -> int | None:
        """The index of a source sentence that says what `sentence` says; None where there is none."""
        mine = _content(list_word_tokens(sentence))
        shared = Counter(index for word in set(mine) for index in self.found_in.get(word, ()))
        for index, _ in sorted(shared.items(), key=lambda pair: (-pair[1], pair[0]))[:_NEAREST]:
            if is_grounded(sentence, self.words[index], self.language):
                return index
        return None


def index_sources(sentences: Sequence[str], language: str = "en") -> Sources:
    """The index of a text's sentences; language by BCP-47."""
    words = tuple(tuple(token.lower for token in list_word_tokens(sentence)) for sentence in sentences)
    found_in: dict[str, list[int]] = {}
    for index, sentence in enumerate(words):
        for word in set(sentence) - english.FUNCTION_WORDS:
            found_in.setdefault(word, []).append(index)
    return Sources(words, found_in, language)


def is_grounded(sentence: str, source: Sequence[str], language: str = "en") -> bool:
    """Whether a sentence says nothing that the words of `source` (lower case) do not say.

    In languages without word lists only a literal part of it does.
    """
    words = list_word_tokens(sentence)
    if not words or len(words) > _MAX_WORDS:
        return False
    if language.split("-")[0] != "en":
        literal = tuple(token.lower for token in words)
        return any(tuple(source[i : i + len(literal)]) == literal for i in range(len(source) - len(literal) + 1))
    left_out = _find_left_out(_content(words), source)
    return left_out is not None and not any(_limits(word) for word in left_out)


def _content(words: Sequence[Token]) -> list[str]:
    return [token.lower for token in words if token.lower not in english.FUNCTION_WORDS]


def _find_left_out(wanted: Sequence[str], source: Sequence[str]) -> list[str] | None:
    """The words of `source` that are not wanted; None unless the wanted ones stand there in their order."""
    left_out: list[str] = []
    rest = iter(source)
    for word in wanted:
        for other in rest:
            if other == word:
                break
            left_out.append(other)
        else:
            return None
    return [*left_out, *rest]


def _limits(word: str) -> bool:
    return word in _LIMITS or word.endswith("n't")
