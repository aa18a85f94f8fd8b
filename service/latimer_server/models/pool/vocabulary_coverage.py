"""Which characters a loaded model knows, asked of its tokenizer once each.

Knows a backend's `encode`; nothing of texts.
"""

from __future__ import annotations

from latimer_server.backends.protocol import GeneratorBackend
from latimer_server.core.decoding import LanguagePair

# There are 155,000 characters; who sends them all shall not fill the memory.
_MOST_REMEMBERED = 65_536


class VocabularyCoverage:
    """The characters of one model, whatever languages it is told. Thread-safe: what two threads find out at once is
    the same."""

    def __init__(self, backend: GeneratorBackend) -> None:
        self._backend = backend
        self._known: set[str] = set()
        self._unknown: set[str] = set()

    def covers(self, character: str, languages: LanguagePair) -> bool:
        """Whether the model reads this character as something."""
        if character in self._known:
            return True
        if character in self._unknown:
            return False
        encoding, blank, nothing = self._backend.encode([character, " ", ""], languages)
        # Tokenizers read some characters as a space, or as nothing at all.
        swallowed = not character.isspace() and encoding.ids in (blank.ids, nothing.ids)
        known = not encoding.unknown_tokens and not swallowed
        found = self._known if known else self._unknown
        if len(found) >= _MOST_REMEMBERED:
            found.clear()
        found.add(character)
        return known

    def covers_all(self, text: str, languages: LanguagePair) -> bool:
        """Whether the model reads every character of a text as something."""
        new = set(text) - self._known
        return all(self.covers(character, languages) for character in new)
