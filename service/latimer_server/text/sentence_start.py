"""Writes the first letter of an output small if its source begins with a small letter.

Items of lists, messages of programs and parts of sentences begin so. Models give them a capital (`(e) O preço`). Pure
functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from latimer_server.core.languages import primary_subtag
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.text.rewriting import Edit

_WORD = re.compile(r"[^\W\d_]++(?:['’-][^\W\d_]++)*+")
# A count before the first word, as in `3 x milk`.
_COUNT = re.compile(r"\d{1,6}[ \u00a0]?[x×][ \u00a0](?=[^\W\d_])")
# Languages whose ordinary words are small inside a sentence.
_LANGUAGES = frozenset({"en", "pt", "es", "fr", "it", "nl", "ca", "gl", "ro", "pl", "cs", "sv", "da", "nb", "nn"})
# English words that always have a capital, and the endings of names of peoples and languages.
_ALWAYS = frozenset(
    re.findall(
        r"\w+",
        "monday tuesday wednesday thursday friday saturday sunday january february march april may june july august"
        " september october november december god christmas easter internet french dutch greek spanish czech",
    )
)
_PEOPLE = re.compile(r".*(?:ish|(?<!th)ese|[a-z]{3}ans?|spaniards?)", re.IGNORECASE)
# A name among the first words of the source may be the first one of the output: `o João chegou`.
_FIRST_WORDS = 4


def lower_start(source: ProtectedText, output: ProtectedText, target: str) -> Iterator[Edit]:
    """Yields the replacement of the first letter of an output, if that of the source is small.

    Words that may be names keep their capital: those with more capitals, those that the source has with a capital, and
    all if one of the first words of the source has one. `target`: BCP-47 code of the output.
    """
    code = primary_subtag(target)
    if code not in _LANGUAGES:
        return
    first, written = _find_first(source), _find_first(output)
    if first is None or written is None or not first.group().islower():
        return
    word = written.group()
    if output.text.isupper() or not word[0].isupper() or not (word[1:].islower() or len(word) == 1):
        return
    if code == "en" and (word in ("I", "I'm", "I've", "I'll", "I'd") or _is_capitalized(word)):
        return
    if any(_may_be_name(source.text, match) for match in islice(_WORD.finditer(source.text), _FIRST_WORDS)):
        return
    following = _WORD.match(output.text, written.end() + 1)
    if following is not None and following.group()[0].isupper():
        return
    if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", source.text):
        return
    yield Edit(written.start(), written.start() + 1, word[0].lower())


def _may_be_name(text: str, word: re.Match[str]) -> bool:
    """Returns True for a word with a capital. One letter is a unit, as in `1 L`, unless a full stop is behind it."""
    return word.group()[0].isupper() and (len(word.group()) > 1 or text[word.end() : word.end() + 1] == ".")


def _is_capitalized(word: str) -> bool:
    return word.lower() in _ALWAYS or _PEOPLE.fullmatch(word) is not None


def _find_first(guarded: ProtectedText) -> re.Match[str] | None:
    """Returns the first word of a text, also behind a count such as `3 x`.

    Returns None if another figure or a protected span is before it, or there is none.
    """
    count = _COUNT.match(guarded.text)
    begin = count.end() if count is not None else 0
    match = _WORD.search(guarded.text, begin)
    if match is None or any(map(str.isalnum, guarded.text[begin : match.start()])):
        return None
    return None if any(span.start < match.end() for span in guarded.spans) else match
