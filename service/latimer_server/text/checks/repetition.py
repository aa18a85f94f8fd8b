"""Whether a translation runs in a loop: words, phrases or characters said over and over that the source does not.

Pure; knows no language but which are written without spaces.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from operator import eq

from latimer_server.core.scripts import UNSPACED_LANGUAGES

# A word: what stands between spaces and punctuation. Marks of Indic and Thai letters belong to it, unlike with \w.
_WORD = re.compile('[^\\s!"#$%&()*+,./:;<=>?@\\[\\\\\\]^_`{|}~«»“”„…‹›–—、。，！？；：（）「」『』・।॥؟،؛]+')
_ALIKE_RUN = re.compile("([^\\W\\d]|[^\\w\\s.…_*=~#-])\\1{5,}|(\\S)\\2{15,}")
_ALIKE_SAMPLE = re.compile("(\\S)\\1\\1")
_MARKS_ALIKE = re.compile("([^\\w\\s])(?:\\s\\1){3}")
_PHRASE_WORDS = 8
_REPEATS = 3
# A phrase of four words that comes again and again, though not at once.
_SCATTERED_WORDS = 4
_SCATTERED_REPEATS = 4
# Characters of one word, or of a text in a script without spaces: 哈哈 and `haha` are words, the fourth is a loop.
_CHARACTER_LOOP = re.compile("(.{5,24}?)\\1{2,}|(.{1,4}?)\\2{3,}", re.DOTALL)
_LONG_WORD = 16
_DIGITS_AND_MARKS = re.compile("[\\W\\d_]+")


def split_words(text: str) -> list[str]:
    """The words of a text in lower case, without spaces and punctuation, in order."""
    return _WORD.findall(text.lower())


def has_loop(
    source: str,
    output: str,
    target_language: str,
    source_words: Sequence[str] | None = None,
    output_words: Sequence[str] | None = None,
) -> bool:
    """Whether `output` repeats something at once (a word or a phrase of up to 8 words three times, characters six
    times) or a phrase of four words four times, and `source` repeats nothing as often.

    The words may be given where they are known.
    """
    words = split_words(output) if output_words is None else output_words
    if len(words) - len(set(words)) >= _REPEATS - 1:
        frequent = max(Counter(words).values())
        if frequent >= _REPEATS:
            others = split_words(source) if source_words is None else source_words
            if _repeats_more(words, others, source) or (
                frequent >= _SCATTERED_REPEATS and _scatters_more(words, others)
            ):
                return True
    # Six alike in a row are three in every second character, which takes a third of the time to look for.
    if _ALIKE_SAMPLE.search(output[::2]) is not None and _longest_run(output) > 2 * _longest_run(source) + 2:
        return True
    # Marks that stand alone are more gaps than words.
    if output.count(" ") > len(words) and _MARKS_ALIKE.search(output) and not _MARKS_ALIKE.search(source):
        return True
    if target_language.split("-", 1)[0].lower() in UNSPACED_LANGUAGES:
        return _loops_more(source, output)
    if max(map(len, words), default=0) >= _LONG_WORD:
        return any(len(word) >= _LONG_WORD and _loops_more(source, word) for word in words)
    return False


def _repeats_more(words: Sequence[str], others: Sequence[str], source: str) -> bool:
    """Whether something is said three times in a row, and nothing so often in the source."""
    repeats = _count_repeats(words)
    if repeats < _REPEATS:
        return False
    allowed = max(_count_repeats(others), _count_loop(source))
    return repeats > allowed + (allowed >= _REPEATS)


def _count_repeats(words: Sequence[str]) -> int:
    """How often the word or the phrase said most often in a row is said."""
    most = 1
    for period in range(1, min(_PHRASE_WORDS, len(words) // 2) + 1):
        same = bytes(map(eq, words[period:], words))
        longest = max(map(len, same.split(b"\0")))
        if longest:
            most = max(most, longest // period + 1)
    return most


def _scatters_more(words: Sequence[str], others: Sequence[str]) -> bool:
    """Whether a phrase of four words comes four times, and no two words so often in the source: two may become four
    (`não quer`, `does not want to`)."""
    scattered = max(_count_phrases(words, _SCATTERED_WORDS), default=1)
    return scattered >= _SCATTERED_REPEATS and scattered > max(_count_phrases(others, 2), default=1)


def _count_phrases(words: Sequence[str], size: int) -> Iterable[int]:
    return Counter(zip(*(words[shift:] for shift in range(size)), strict=False)).values()


def _longest_run(text: str) -> int:
    """The longest run of one character but digits, spaces and lines; 1 for a text without one of six."""
    return max((len(match.group()) for match in _ALIKE_RUN.finditer(text)), default=1)


def _loops_more(source: str, output: str) -> bool:
    found = _count_loop(output)
    return found > 1 and found > _count_loop(source) + 1


def _count_loop(text: str) -> int:
    """How often characters are repeated at once; 1 where they aren't."""
    most = 1
    for match in _CHARACTER_LOOP.finditer(text.lower()):
        unit = match.group(1) or match.group(2)
        if not _DIGITS_AND_MARKS.fullmatch(unit):
            most = max(most, len(match.group()) // len(unit))
    return most
