"""Finds words of a source that nothing in its translation answers, by the word alignment of the model.

Each token of an output is aligned to one token of the source. Function words often have none. Several content words in
a row without any are a lost clause (Tu et al. 2016, "Modeling Coverage for Neural Machine Translation"). Decision 0075
measures the check. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from latimer_server.core.languages import primary_subtag
from latimer_server.text.checks.copied import FUNCTION_WORDS

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
# A content word has at least this many code points and is neither a function word nor one of these, which idioms have:
# `to be able to take part`, `by checking to make sure`, `como, por exemplo`.
_LEAST_LETTERS = 4
_LIGHT_WORDS = frozenset(
    re.findall(
        r"\w+",
        "able being have having make making made sure take taking going come order well anyway just really actually"
        " there here each other also such some only even already still"
        " pode podem poder estar estão sendo fazer feito exemplo forma partir assim aqui todo toda todos todas seja",
    )
)
# A gap is a lost clause if it has so many content words, or fewer in a longer run of words.
_MOST_WORDS = 3
_FEWER_WORDS, _LONGER_RUN = 2, 4
# The tokens of the shortest such gap.
_LEAST_TOKENS = 3


def has_gap(count: int, aligned: Collection[int]) -> bool:
    """Returns True if three tokens of a source in a row have no token of the output: most outputs need no other check.

    `count`: the tokens of the source. `aligned`: their positions that tokens of the output are aligned to.
    """
    run = 0
    for position in range(count):
        run = 0 if position in aligned else run + 1
        if run >= _LEAST_TOKENS:
            return True
    return False


def loses_clause(
    source: str, tokens: Sequence[tuple[int, int]], aligned: Collection[int], output: str, language: str
) -> bool:
    """Returns True if words of a source in a row, with two or three content words, have no word in its output.

    `tokens`: the half-open span of each token of the source, in code points. `aligned`: see `has_gap`. A word that the
    output has too is not lost. `language`: BCP-47 code of the source.
    """
    covered = sorted(tokens[position] for position in aligned if position < len(tokens))
    small = FUNCTION_WORDS.get(primary_subtag(language), frozenset())
    copied = {match.group().lower() for match in _WORD.finditer(output)}
    run = content = 0
    for word, is_covered in _mark_words(source, covered):
        if is_covered or word in copied:
            run = content = 0
            continue
        run += 1
        content += len(word) >= _LEAST_LETTERS and word.isalpha() and word not in small and word not in _LIGHT_WORDS
        if content >= _MOST_WORDS or (content >= _FEWER_WORDS and run >= _LONGER_RUN):
            return True
    return False


def _mark_words(source: str, covered: Sequence[tuple[int, int]]) -> Iterator[tuple[str, bool]]:
    """Yields each word of a text in small letters, and whether one of the ascending spans `covered` overlaps it."""
    place = 0
    for match in _WORD.finditer(source):
        while place < len(covered) and covered[place][1] <= match.start():
            place += 1
        yield match.group().lower(), place < len(covered) and covered[place][0] < match.end()
