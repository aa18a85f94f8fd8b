"""Words of a sentence as the checks of summaries see them: numbers whole, names told by their capitals.

Pure; knows no language.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Numbers with their marks are one word: 1,234.5 and 3–2 and £410 and 12% and 14:30.
_TOKEN = re.compile(r"[£$€¥]?\d+(?:[.,:/–-]\d+)*(?:%|[a-z]{1,2}\b)?|[^\W\d_]+(?:['’.&-][^\W\d_]+)*|[^\w\s]|[\w]+")
_NUMBER = re.compile(r"\d")


@dataclass(frozen=True)
class Token:
    """A word, a number or a mark. `first`: no word stands before it in its sentence."""

    text: str
    lower: str
    is_word: bool
    first: bool  # of its sentence

    @property
    def is_number(self) -> bool:
        """Whether it holds a digit."""
        return bool(_NUMBER.search(self.text))

    @property
    def is_name(self) -> bool:
        """Whether it is written like a name: with a capital, and not only because it comes first."""
        return self.is_word and self.text[0].isupper() and not self.first

    @property
    def owner(self) -> str:
        """The word without the mark of the possessive: `Brandvold's` is Brandvold."""
        return self.text.removesuffix("'s").removesuffix("’s")


def split_tokens(text: str) -> tuple[Token, ...]:
    """The words and marks of a sentence, in order."""
    tokens: list[Token] = []
    for match in _TOKEN.finditer(text):
        word = match.group()
        is_word = word[0].isalnum() or len(word) > 1
        tokens.append(Token(word, word.lower().replace("’", "'"), is_word, not any(t.is_word for t in tokens)))
    return tuple(tokens)


def list_word_tokens(text: str) -> list[Token]:
    """The words of a sentence, without its marks."""
    return [token for token in split_tokens(text) if token.is_word]


def list_words(text: str) -> frozenset[str]:
    """The different words of a sentence, as they are written but for the possessive."""
    return frozenset(token.owner for token in list_word_tokens(text))
