"""Detects a translation that loops: it repeats words, phrases or characters that its source does not repeat."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from operator import eq

from latimer_server.core.languages import primary_subtag
from latimer_server.core.scripts import UNSPACED_LANGUAGES

# A word: a run of characters without spaces and punctuation. Unlike \w, it includes vowel signs of Indic and Thai
# letters.
_WORD = re.compile('[^\\s!"#$%&()*+,./:;<=>?@\\[\\\\\\]^_`{|}~«»“”„…‹›–—、。，！？；：（）「」『』・।॥؟،؛]+')
_CHARACTER_RUN = re.compile("([^\\W\\d]|[^\\w\\s.…_*=~#-])\\1{5,}|(\\S)\\2{15,}")
_RUN_SAMPLE = re.compile("(\\S)\\1+")
_LEAST_RUN = 6
_SPACED_MARKS = re.compile("([^\\w\\s])(?:\\s\\1){3}")
_PHRASE_WORDS = 8
_REPEATS = 3
# A phrase of four words that occurs four times anywhere in a translation makes it a loop.
_SCATTERED_WORDS = 4
_SCATTERED_REPEATS = 4
# The least words of four such phrases, which overlap if all of their words are the same.
_SCATTERED_LEAST = _SCATTERED_WORDS + _SCATTERED_REPEATS - 1
# A unit of 5 to 24 characters three times in a row, or of 1 to 4 characters four times: 哈哈 and `haha` are words. Used
# inside long words, and on whole texts in a script without spaces.
_CHARACTER_LOOP = re.compile("(.{5,24}?)\\1{2,}|(.{1,4}?)\\2{3,}", re.DOTALL)
_LONG_WORD = 16
_DIGITS_AND_MARKS = re.compile("[\\W\\d_]+")


def split_words(text: str) -> list[str]:
    """Returns the words of a text in lower case, without spaces and punctuation, in order."""
    return _WORD.findall(text.lower())


def has_loop(
    source: str,
    output: str,
    target_language: str,
    source_words: Sequence[str] | None = None,
    output_words: Sequence[str] | None = None,
) -> bool:
    """Returns True if `output` repeats text that `source` does not repeat about as often.

    A repetition is a word or a phrase of up to 8 words three times in a row, a phrase of four words four times
    anywhere, a character six times in a row, a sign four times with spaces between, or a unit of a few characters three
    or four times in a row: in a word of 16 or more characters, and anywhere in a language without spaces.
    `target_language`: BCP-47 code. `source_words` and `output_words`: the results of `split_words`, if the caller has
    them.
    """
    words = split_words(output) if output_words is None else output_words
    if len(words) - len(set(words)) >= _REPEATS - 1:
        # Every word of a phrase that comes three times comes three times itself, so most texts need no search.
        frequent = [count for count in Counter(words).values() if count >= _REPEATS]
        if frequent:
            others = split_words(source) if source_words is None else source_words
            repeated = sum(frequent)
            scattered = sum(count for count in frequent if count >= _SCATTERED_REPEATS)
            if _repeats_more(words, others, source, min(_PHRASE_WORDS, repeated // _REPEATS)) or (
                scattered >= _SCATTERED_LEAST and _scatters_more(words, others)
            ):
                return True
    if _has_run(output) and _longest_run(output) > 2 * _longest_run(source) + 2:
        return True
    # A text has more spaces than words only if it has signs between spaces, so most texts need no search.
    if output.count(" ") > len(words) and _SPACED_MARKS.search(output) and not _SPACED_MARKS.search(source):
        return True
    if primary_subtag(target_language) in UNSPACED_LANGUAGES:
        return _loops_more(source, output)
    if max(map(len, words), default=0) >= _LONG_WORD:
        return any(len(word) >= _LONG_WORD and _loops_more(source, word) for word in words)
    return False


def repeats_phrases(text: str) -> bool:
    """Returns True if a text has a phrase of three words three times, as enumerations do."""
    return max(_count_phrases(split_words(text), 3), default=1) >= _REPEATS


def _repeats_more(words: Sequence[str], others: Sequence[str], source: str, longest: int) -> bool:
    """Returns True if the output has a word or phrase three or more times in a row, and the source none as often.

    If the source also has one three or more times, the output must exceed that number by two. `words` and `others`:
    those of the output and of the source. `longest`: no phrase of more words comes three times in the output.
    """
    repeats = _count_repeats(words, longest)
    if repeats < _REPEATS:
        return False
    allowed = max(_count_repeats(others, _PHRASE_WORDS), _count_loop(source))
    return repeats > allowed + (allowed >= _REPEATS)


def _count_repeats(words: Sequence[str], longest: int) -> int:
    """Returns how often a phrase of up to `longest` words comes in a row at most; 1 if none is repeated."""
    most = 1
    for period in range(1, min(longest, len(words) // 2) + 1):
        same = bytes(map(eq, words[period:], words))
        longest = max(map(len, same.split(b"\0")))
        if longest:
            most = max(most, longest // period + 1)
    return most


def _scatters_more(words: Sequence[str], others: Sequence[str]) -> bool:
    """Returns True if a phrase of four words comes four times in the output, and more often than any in the source.

    The phrases of the source have two words, since two may become four: `não quer` is `does not want to`.
    """
    scattered = max(_count_phrases(words, _SCATTERED_WORDS), default=1)
    return scattered >= _SCATTERED_REPEATS and scattered > max(_count_phrases(others, 2), default=1)


def _count_phrases(words: Sequence[str], size: int) -> Iterable[int]:
    """Returns the number of occurrences of each different phrase of `size` words."""
    return Counter(zip(*(words[shift:] for shift in range(size)), strict=False)).values()


def _has_run(text: str) -> bool:
    """Returns True if a text has a run of six equal characters.

    Among every third character such a run is one of two, which this search finds in a fourth of the time.
    """
    return any(match[1] * _LEAST_RUN in text for match in _RUN_SAMPLE.finditer(text[::3]))


def _longest_run(text: str) -> int:
    """Returns the length of the longest run of one character, or 1 if no run has six. White space is ignored.

    Runs of digits, of dots and of signs such as `=` and `-` count only from a length of 16 on.
    """
    return max((len(match.group()) for match in _CHARACTER_RUN.finditer(text)), default=1)


def _loops_more(source: str, output: str) -> bool:
    repeats = _count_loop(output)
    return repeats > 1 and repeats > _count_loop(source) + 1


def _count_loop(text: str) -> int:
    """Returns how often a unit of up to 24 characters comes in a row at most; 1 without a match of `_CHARACTER_LOOP`.

    Units of only digits and signs are ignored.
    """
    most = 1
    for match in _CHARACTER_LOOP.finditer(text.lower()):
        unit = match.group(1) or match.group(2)
        if not _DIGITS_AND_MARKS.fullmatch(unit):
            most = max(most, len(match.group()) // len(unit))
    return most
