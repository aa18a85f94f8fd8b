"""Finds words of a translation that are no words of its language: invented ones, and words of the source.

Students write words from pieces, and sometimes the pieces form no word: `retrose` for `retry`. Or a word of the source
stays as it is. Lists of words of both languages tell (`text/words`); languages without a list have no such check.
Decision 0099 measures it. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat
from math import ceil

from latimer_server.core.languages import primary_subtag
from latimer_server.text.words.inflection import find_frequency, is_word, remove_accents
from latimer_server.text.words.word_list import LANGUAGES, LEAST_LETTERS

# A word without digits, signs or underscores inside, and the punctuation around it. Anything else may be code.
_TOKEN = re.compile(r"[\"'“”‘’(\[«¿¡—–]*+([^\W\d_]++(?:['’-][^\W\d_]++)*+)[\"'“”‘’)\]»,.;:!?…—–-]*+")
# The number of tokens of recent texts whose doubtful words are kept: most tokens are frequent words and have none.
_KEPT_TOKENS = 1 << 15
_LETTERS = re.compile(r"[^\W\d_]+")
_APOSTROPHES = re.compile(r"[^\W\d_]++(?:['’][^\W\d_]++)++")
# Single words and commands between quotation marks; apostrophes stand between letters. Longer quotations are speech.
_QUOTATION = re.compile(r"""(?<!\w)["'“‘«`]([^"'“”‘’«»`\n]{1,40})["'”’»`](?!\w)""")
# A word that the translation shares with its source was left over if it is this frequent in the source language and at
# most this frequent in the target language, with this difference (Zipf scale). Loanwords such as `kernel` are frequent
# in both; those of one trade, such as `framebuffer`, are rare in both.
_LEAST_SOURCE, _MOST_TARGET, _LEAST_DIFFERENCE = 2.5, 1.5, 1.5
# The singular of a loanword in the plural is this frequent in the target language.
_LEAST_LOANWORD = 2.5
# A word is a cognate of a word of the source if both begin with so many letters, or with all but one or two of a short
# word. Cognates may be rightly derived words of a trade that no list has.
_COGNATE_LETTERS = 5
_COGNATE_SHARE = 0.7
# Shorter words in capitals are abbreviations.
_LEAST_CAPITALS = 5


def has_unknown_word(source: str, output: str, source_language: str, target_language: str) -> bool:
    """Returns True if a word of `output` is invented, or is a word of the source that the model left as it was.

    Names are not reported: words that the source has too, unless they are frequent words in small letters. Languages
    are BCP-47 codes; False if the target language has no list. The caller removes protected spans from `output`.
    Takes linear time in the length of the texts.
    """
    return any(True for _ in _find_unknown_words(source, output, source_language, target_language))


def has_invented_word(source: str, output: str, source_language: str, target_language: str) -> bool:
    """Returns True if `output` has one invented word that a model may write otherwise with more tokens.

    That is one in small letters, without a hyphen. Decision 0099 measures which words become right. The arguments are
    those of `has_unknown_word`.
    """
    words = _find_unknown_words(source, output, source_language, target_language)
    invented = [word for word in words if not word.is_left]
    return len(invented) == 1 and invented[0].is_single and invented[0].text.islower()


def _find_unknown_words(source: str, output: str, source_language: str, target_language: str) -> Iterator[_UnknownWord]:
    """Yields the unknown words of `output` in their order. The arguments are those of `has_unknown_word`."""
    source_base, target_base = (primary_subtag(code) for code in (source_language, target_language))
    if target_base not in LANGUAGES or source_base == target_base:
        return
    # Most tokens have no doubtful word, and this map runs without the interpreter.
    found = list(map(_find_doubtful_words, output.split(), repeat(source_base), repeat(target_base)))
    if not any(found):
        return
    words = _LETTERS.findall(source.lower())
    known = frozenset(words)
    starts: frozenset[str] | None = None
    quoted: frozenset[str] | None = None
    for place, word in ((place, word) for place, row in enumerate(found) for word in row):
        small = word.text.lower()
        if small in known:
            if word.may_be_left and (word.text.islower() or (place == 0 and words[0] == small)):
                quoted = _list_quoted(source) if quoted is None else quoted
                if small not in quoted:
                    yield _UnknownWord(word.text, word.is_single, is_left=True)
        elif word.may_be_invented:
            # A model may leave out the apostrophe of a name.
            starts = _list_starts(known | _list_joined(source)) if starts is None else starts
            if not _has_cognate(small, starts):
                yield _UnknownWord(word.text, word.is_single, is_left=False)


@dataclass(frozen=True)
class _UnknownWord:
    """A word that the target language lacks, left over from the source or invented.

    `is_single`: it is no part of a word with hyphens.
    """

    text: str
    is_single: bool
    is_left: bool


@dataclass(frozen=True)
class _DoubtfulWord:
    """A word that may be left over from a source, or invented, or both: the source tells."""

    text: str
    is_single: bool
    may_be_left: bool
    may_be_invented: bool


@lru_cache(_KEPT_TOKENS)
def _find_doubtful_words(token: str, source_language: str, target_language: str) -> tuple[_DoubtfulWord, ...]:
    """Returns the doubtful words of a token: its parts between hyphens. Words with an apostrophe are left out."""
    match = _TOKEN.fullmatch(token)
    if match is None or "'" in match.group(1) or "’" in match.group(1):
        return ()
    parts = match.group(1).split("-")
    words = []
    for part in parts:
        small = part.lower()
        if len(part) < LEAST_LETTERS or find_frequency(small, target_language) > _MOST_TARGET:
            continue
        # Parts of words with hyphens are not left over: many are names of commands.
        may_be_left = len(parts) == 1 and _is_left_over(small, source_language, target_language)
        may_be_invented = not _is_name_or_code(part) and not is_word(small, target_language)
        if may_be_left or may_be_invented:
            words.append(_DoubtfulWord(part, len(parts) == 1, may_be_left, may_be_invented))
    return tuple(words)


def _is_left_over(word: str, source_language: str, target_language: str) -> bool:
    """Returns True if a word of both texts is one of the source language only."""
    frequency = find_frequency(word, source_language)
    # The plural of a loanword is one too.
    if word.endswith("s") and find_frequency(word[:-1], target_language) >= _LEAST_LOANWORD:
        return False
    return frequency >= max(_LEAST_SOURCE, find_frequency(word, target_language) + _LEAST_DIFFERENCE)


def _is_name_or_code(word: str) -> bool:
    """Returns True for abbreviations and for words with a capital inside."""
    if word.isupper():
        return len(word) < _LEAST_CAPITALS
    return not word[1:].islower()


def _list_quoted(source: str) -> frozenset[str]:
    """Returns the words between quotation marks, in small letters: many are names of commands and labels."""
    quotations = (match.group(1) for match in _QUOTATION.finditer(source))
    return frozenset(word for quotation in quotations for word in _LETTERS.findall(quotation.lower()))


def _list_joined(source: str) -> frozenset[str]:
    """Returns the words with apostrophes without these, in small letters: `lisar` for `Li’sar`."""
    return frozenset("".join(_LETTERS.findall(match.group().lower())) for match in _APOSTROPHES.finditer(source))


def _list_starts(words: Iterable[str]) -> frozenset[str]:
    """Returns the beginnings of words with which a cognate begins: their first letters without accents."""
    plain = map(remove_accents, words)
    return frozenset(word[:size] for word in plain for size in range(1, _COGNATE_LETTERS + 1))


def _has_cognate(word: str, starts: frozenset[str]) -> bool:
    """Returns True if a word in small letters begins like a word of the source. `starts`: see `_list_starts`."""
    plain = remove_accents(word)
    return plain[: min(_COGNATE_LETTERS, ceil(_COGNATE_SHARE * len(plain)))] in starts
