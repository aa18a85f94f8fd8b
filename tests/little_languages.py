"""Defines three languages of a few dozen words, for checkpoints that train in seconds, with their correct translations.

A translation turns `the ADJ NOUN VERB the ADJ NOUN ADV .` into words of the other language, with the adjective behind
its noun and the adverb in front. A compression drops adjectives and adverbs.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

_SYLLABLES = ["ba", "de", "fi", "go", "lu", "ma", "ne", "po", "ri", "su", "ta", "ve", "zo", "chi", "kra", "sto"]
_WORDS_PER_CLASS = {"noun": 12, "adjective": 8, "verb": 6, "adverb": 4}
LANGUAGES = ("en", "pt", "fi")


def _make_words() -> dict[str, dict[str, list[str]]]:
    """Returns the words of each language and class. The same index has the same meaning in every language."""
    draw = random.Random(11)
    used: set[str] = set()

    def make() -> str:
        while True:
            word = "".join(draw.choice(_SYLLABLES) for _ in range(draw.choice((2, 2, 3))))
            if word not in used:
                used.add(word)
                return word

    return {
        language: {kind: [make() for _ in range(count)] for kind, count in _WORDS_PER_CLASS.items()}
        for language in LANGUAGES
    }


_WORDS = _make_words()
_ARTICLE = {"en": "the", "pt": "o", "fi": "se"}


@dataclass(frozen=True)
class Meaning:
    """The meaning of a sentence: the indices of its words. Pairs are of a noun and an adjective."""

    subject: tuple[int, int]
    verb: int
    object: tuple[int, int]
    adverb: int | None

    def write(self, language: str) -> str:
        """Returns the sentence in `en`, in `pt` (adverb in front) or in `fi` (verb at the end). Adjectives are behind
        nouns in `pt` and `fi`."""
        words, article = _WORDS[language], _ARTICLE[language]

        def phrase(pair: tuple[int, int]) -> str:
            noun, adjective = words["noun"][pair[0]], words["adjective"][pair[1]]
            return f"{article} {adjective} {noun}" if language == "en" else f"{article} {noun} {adjective}"

        verb = words["verb"][self.verb]
        adverb = "" if self.adverb is None else words["adverb"][self.adverb]
        if language == "en":
            parts = [phrase(self.subject), verb, phrase(self.object), adverb]
        elif language == "pt":
            parts = [adverb, phrase(self.subject), verb, phrase(self.object)]
        else:
            parts = [phrase(self.subject), adverb, phrase(self.object), verb]
        return " ".join(filter(None, parts)) + " ."

    def compress(self) -> str:
        """Returns the English sentence without adjectives and adverb."""
        words = _WORDS["en"]
        return f"the {words['noun'][self.subject[0]]} {words['verb'][self.verb]} the {words['noun'][self.object[0]]} ."


def draw_meanings(count: int, seed: int) -> list[Meaning]:
    """Returns random meanings; the same for the same seed."""
    draw = random.Random(seed)

    def pair() -> tuple[int, int]:
        return draw.randrange(_WORDS_PER_CLASS["noun"]), draw.randrange(_WORDS_PER_CLASS["adjective"])

    return [
        Meaning(
            pair(),
            draw.randrange(_WORDS_PER_CLASS["verb"]),
            pair(),
            draw.randrange(_WORDS_PER_CLASS["adverb"]) if draw.random() < 0.6 else None,
        )
        for _ in range(count)
    ]
