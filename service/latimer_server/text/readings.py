"""Readings of a title: the same words with other capitals, of which a model translates one best.

Titles and texts in capitals do not show which words are names. As written, models leave verbs untranslated; in lower
case they translate names (`Taylor Swift` becomes `Taylor Rapidamente`). The vocabulary of a model tells them apart: it
has names with a capital only. A model that leaves two words in a row untranslated, as written, also tells a name. Pure
functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from latimer_server.text.casing import Casing, find_small_words, is_initial
from latimer_server.text.protection.masking import ProtectedText, list_unprotected

# Returns how frequent a word is as it is written, as a natural log-probability; None if nothing tells.
WordScore = Callable[[str], float | None]

_WORD = re.compile(r"(?<!\w)[^\W\d_]++(?:['’][^\W\d_]++)*+(?!\w)")
# A lone capitalised word with the punctuation of a label or a short sentence.
_LONE_WORD = re.compile(r"[^\W\d_]{2,}[.:!?…]{0,3}")
# Differences of log-probabilities between a word with a capital and in small letters. Above the first a word is a name;
# below the last it is never part of one. Between 0 and the first it may be a name or a noun that begins many titles.
NAME = 1.0
_DOUBTFUL = 0.0
_NEVER_NAME = -5.0
# Months that are also other words.
_MONTHS, _FIGURE_BEHIND = frozenset({"May", "March"}), re.compile(r" \d")


@dataclass(frozen=True)
class Reading:
    """A segment as a model reads it. `text`: equal to the segment but for capitals. `casing`: that of its output."""

    text: ProtectedText
    casing: Casing


@dataclass(frozen=True)
class _Word:
    """A word of a text outside its protected spans. `follows`: True if only a space divides it from the last word."""

    start: int
    text: str
    follows: bool


def is_lone_word(text: str) -> bool:
    """Returns True if a text is one word with a capital and small letters, such as `Robert`, `Save` or `Monday`."""
    return text[:1].isupper() and _LONE_WORD.fullmatch(text) is not None and text.rstrip(".:!?…")[1:].islower()


def is_name(word: str, score: WordScore) -> bool:
    """Returns True if a lone capitalised word is a name: if the vocabulary has it rather with a capital than without.

    Returns False if the vocabulary does not tell.
    """
    word = word.rstrip(".:!?…")
    return _measure(word, score) > 0


def lower_word(segment: ProtectedText) -> ProtectedText:
    """Returns a lone capitalised word in small letters."""
    lowered = segment.text.lower()
    return ProtectedText(lowered if len(lowered) == len(segment.text) else segment.text, segment.spans)


def capitalize_words(guarded: ProtectedText, language: str) -> ProtectedText:
    """Returns a text in capitals in title case. `language`: a BCP-47 code, which tells the words that stay small."""
    small = find_small_words(language)
    text = list(guarded.text)
    for number, word in enumerate(_list_words(guarded)):
        written = word.text.lower() if number and word.text.lower() in small else _capitalize(word.text)
        _write(text, word, written)
    return ProtectedText("".join(text), guarded.spans, guarded.replacements)


def restore_case(
    guarded: ProtectedText,
    casing: Casing,
    language: str,
    score: WordScore,
    least: float = NAME,
    names: frozenset[int] = frozenset(),
    nouns: frozenset[int] = frozenset(),
) -> ProtectedText:
    """Returns a text in capitals or title case as an ordinary sentence: small letters, with capitals for names.

    A word is a name if its log-probability with a capital is more than `least` above that without one; or if it is more
    at all and follows a name; or if its index among the words is in `names`. It is none if its index is in `nouns`.
    In title case, an initial and the words beside it are a name, such as `Thomas A. Reed`. The first word and `I`
    have a capital, acronyms in title case stay. `language`: a BCP-47 code, which tells the words that are always
    small.
    """
    small = find_small_words(language)
    text = list(guarded.text)
    words = _list_words(guarded)
    if casing is Casing.TITLE:
        names |= _find_initials(guarded.text, words) | _find_months(guarded.text, words)
    after_name = False
    for number, word in enumerate(words):
        lowered = word.text.lower()
        if casing is Casing.TITLE and len(word.text) > 1 and not word.text[1:].islower():
            after_name = True
            continue
        if lowered in small and number not in names:
            _write(text, word, _capitalize(word.text) if number == 0 else lowered)
            after_name = False
            continue
        gain = _measure(word.text, score)
        likely = gain > least or (gain > _DOUBTFUL and after_name and word.follows)
        name = number in names or (likely and number not in nouns)
        if casing is Casing.UPPER and _is_acronym(word.text, score):
            _write(text, word, word.text)
        else:
            _write(text, word, _capitalize(word.text) if name or number == 0 or word.text == "I" else lowered)
        after_name = name or (number == 0 and gain > _DOUBTFUL)
    return ProtectedText("".join(text), guarded.spans, guarded.replacements)


def find_copied_names(guarded: ProtectedText, output: str, language: str, score: WordScore) -> frozenset[int]:
    """Returns the indices of the words that a translation of a title shows to be a name, by leaving them untranslated.

    They are the first two words of each run of two or more that are also in `output`, in any case. Words that the
    vocabulary hardly has with a capital are no names: the model did not know them.
    """
    small = find_small_words(language)
    copied = {match.group().lower() for match in _WORD.finditer(output)}
    words = _list_words(guarded)
    names: set[int] = set()
    run: list[int] = []
    for number, word in enumerate([*words, _Word(0, "", follows=False)]):
        is_copied = word.text.lower() in copied and word.text.lower() not in small
        if run and not (is_copied and word.follows):
            first = run[:2]
            if len(first) > 1 and all(_measure(words[index].text, score) > _NEVER_NAME for index in first):
                names.update(first)
            run = []
        if is_copied:
            run.append(number)
    return frozenset(names)


def leaves_only_names(guarded: ProtectedText, output: str, language: str, score: WordScore) -> bool:
    """Returns True if all words of a title that its translation leaves are names, acronyms or small words."""
    small = find_small_words(language)
    copied = {match.group().lower() for match in _WORD.finditer(output)}
    names = find_copied_names(guarded, output, language, score)
    return all(
        number in names
        or word.text.lower() not in copied
        or word.text.lower() in small
        or _measure(word.text, score) > NAME
        or _is_acronym(word.text, score)
        for number, word in enumerate(_list_words(guarded))
    )


def find_copied_nouns(guarded: ProtectedText, output: str, written: str) -> frozenset[int]:
    """Returns the indices of the words of a title that are in `output`, but not in `written`, in any case.

    `written`: the translation of the title as written. It translates these words, so they are no names.
    """
    copied = {match.group().lower() for match in _WORD.finditer(output)}
    copied -= {match.group().lower() for match in _WORD.finditer(written)}
    return frozenset(number for number, word in enumerate(_list_words(guarded)) if word.text.lower() in copied)


def _find_initials(text: str, words: list[_Word]) -> frozenset[int]:
    """Returns the indices of the initials among the words of a title, and of the words beside them."""
    initials = [index for index, word in enumerate(words) if is_initial(text, word.start, word.start + len(word.text))]
    return frozenset(near for index in initials for near in range(max(index - 1, 0), min(index + 2, len(words))))


def _find_months(text: str, words: list[_Word]) -> frozenset[int]:
    """Returns the indices of the months of dates, since `May 14` and `may` are different words."""
    return frozenset(
        index
        for index, word in enumerate(words)
        if word.text in _MONTHS and _FIGURE_BEHIND.match(text, word.start + len(word.text))
    )


def _list_words(guarded: ProtectedText) -> list[_Word]:
    return list(_iterate_words(guarded))


def _iterate_words(guarded: ProtectedText) -> Iterator[_Word]:
    end = -1
    for part in list_unprotected(guarded):
        for match in _WORD.finditer(guarded.text, part.start, part.end):
            yield _Word(
                match.start(), match.group(), follows=guarded.text[end : match.start()] == " " if end > 0 else False
            )
            end = match.end()


def _measure(word: str, score: WordScore) -> float:
    """Returns by how much a word with a capital is likelier than in small letters (log-probabilities); 0 if unknown."""
    large, small = score(_capitalize(word)), score(word.lower())
    return 0.0 if large is None or small is None else large - small


def _is_acronym(word: str, score: WordScore) -> bool:
    """Returns True if the vocabulary has a word in capitals rather than in another case."""
    whole, large, small = score(word), score(_capitalize(word)), score(word.lower())
    return len(word) > 1 and None not in (whole, large, small) and whole > max(large, small)  # type: ignore[operator, type-var]


def _capitalize(word: str) -> str:
    return word[0].upper() + word[1:].lower()


def _write(text: list[str], word: _Word, written: str) -> None:
    """Writes a word into the characters of a text in its place, if its length does not change."""
    if len(written) == len(word.text):
        text[word.start : word.start + len(written)] = written
