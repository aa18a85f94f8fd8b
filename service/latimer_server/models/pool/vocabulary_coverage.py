"""Vocabulary coverage: finds out which characters and words the tokenizer of a model knows, and caches the answers."""

from __future__ import annotations

from latimer_server.backends.protocol import GeneratorBackend
from latimer_server.core.decoding import LanguagePair

# A bound on the known characters, and on the unknown ones, that are cached for a model; a full set is emptied. Unicode
# has 155,000 characters, and a caller may send all of them.
_MOST_REMEMBERED = 65_536
# The same for words, and the longest one in code points that is looked up.
_MOST_WORDS = 16_384
_LONGEST_WORD = 64


class VocabularyCoverage:
    """Answers whether the tokenizer of one model knows a character; the answer does not depend on the languages.

    Thread-safe without a lock: two threads that look up one character at the same time get the same answer.
    """

    def __init__(self, backend: GeneratorBackend) -> None:
        self._backend = backend
        self._known: set[str] = set()
        self._unknown: set[str] = set()
        self._scores: dict[str, float | None] = {}

    def covers(self, character: str, languages: LanguagePair) -> bool:
        """Returns True if the tokenizer encodes this character as known tokens, neither dropped nor read as a space.

        `languages`: any pair that the model serves.
        """
        if character in self._known:
            return True
        if character in self._unknown:
            return False
        encoding, blank, nothing = self._backend.encode([character, " ", ""], languages)
        # Tokenizers read some characters as a space, and drop others.
        dropped = not character.isspace() and encoding.ids in (blank.ids, nothing.ids)
        is_known = not encoding.unknown_tokens and not dropped
        remembered = self._known if is_known else self._unknown
        if len(remembered) >= _MOST_REMEMBERED:
            remembered.clear()
        remembered.add(character)
        return is_known

    def covers_all(self, text: str, languages: LanguagePair) -> bool:
        """Returns True if `covers` is true for every character of a text, each taken by itself."""
        new = set(text) - self._known
        return all(self.covers(character, languages) for character in new)

    def word_score(self, word: str) -> float | None:
        """See `GeneratorBackend.word_score`. Returns None for words of more than 64 code points."""
        if len(word) > _LONGEST_WORD:
            return None
        if word not in self._scores:
            if len(self._scores) >= _MOST_WORDS:
                self._scores.clear()
            self._scores[word] = self._backend.word_score(word)
        return self._scores.get(word)
