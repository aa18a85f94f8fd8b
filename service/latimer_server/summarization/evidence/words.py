"""Words: splits a sentence into tokens for the checks of summaries.

A number with its marks is one token. A capital marks a word as a name, except in the first word. The rules are the same
for all languages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Matches one token: a number with its marks (1,234.5 and 3–2 and £410 and 12% and 14:30), a word, or a punctuation
# mark.
_TOKEN = re.compile(r"[£$€¥]?\d+(?:[.,:/–-]\d+)*(?:%|[a-z]{1,2}\b)?|[^\W\d_]+(?:['’.&-][^\W\d_]+)*|[^\w\s]|[\w]+")
_NUMBER = re.compile(r"\d")


@dataclass(frozen=True)
class Token:
    """A word, a number or a punctuation mark.

    `lower` is the text in lower case with straight apostrophes. `is_word` is True for words and numbers. `first` is
    True if no word or number precedes the token in its sentence.
    """

    text: str
    lower: str
    is_word: bool
    first: bool

    @property
    def is_number(self) -> bool:
        """True if the token contains a digit."""
        return bool(_NUMBER.search(self.text))

    @property
    def is_name(self) -> bool:
        """True if the token begins with a capital and is not the first word of its sentence."""
        return self.is_word and self.text[0].isupper() and not self.first

    @property
    def owner(self) -> str:
        """The word without a possessive ending: `Brandvold` for `Brandvold's`."""
        return self.text.removesuffix("'s").removesuffix("’s")


def split_tokens(text: str) -> tuple[Token, ...]:
    """Returns the words, numbers and marks of a sentence, in order."""
    tokens: list[Token] = []
    for match in _TOKEN.finditer(text):
        word = match.group()
        is_word = word[0].isalnum() or len(word) > 1
        tokens.append(Token(word, word.lower().replace("’", "'"), is_word, not any(t.is_word for t in tokens)))
    return tuple(tokens)


def list_word_tokens(text: str) -> list[Token]:
    """Returns the words and numbers of a sentence, in order, without its marks."""
    return [token for token in split_tokens(text) if token.is_word]


def list_words(text: str) -> frozenset[str]:
    """Returns the distinct words of a sentence in their written case, without possessive endings."""
    return frozenset(token.owner for token in list_word_tokens(text))
