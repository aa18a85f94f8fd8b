"""Turns texts in capitals or title case into sentence case for a model, and restores their casing in its output.

Models translate such texts better in lower case. With a student, chrF against the translation of the same words in
normal case is 31 for a sentence in capitals, 75 for one in title case, and 95 for either in lower case
(`make report-fidelity` has such cases). Pure functions.
"""

from __future__ import annotations

import re
from enum import Enum

from latimer_server.core.languages import primary_subtag
from latimer_server.text.protection.masking import ProtectedText, list_unprotected

_WORD = re.compile(r"(?<!\w)[^\W\d_]++(?:['’][^\W\d_]++)*+(?!\w)")
# A word in small ASCII letters. A text with one is not in capitals, so `find_casing` can often skip reading all words.
_SMALL_WORD = re.compile(r"(?<=\s)[a-z]++(?=[\s,.])")
# Words that stay small in titles, for the languages that capitalize titles.
_SMALL = {
    "en": "a an and as at but by for from in into nor of on or per the to via vs with",
    "pt": "a à ao aos as às com da das de do dos e em na nas no nos o os ou para pela pelas pelo pelos por sem um uma",
    "es": "a al con de del e el en la las lo los o para por sin u un una y",
    "fr": "à au aux avec d de des du en et l la le les ou par pour sans sur un une",
    "it": "a ad al alla con d da dal dalla de dei del della delle di e ed i il in l la le lo nel nella o per su un una",
    "nl": "aan de een en het in met of op te van voor",
    "de": "am an auf aus bei das der die ein eine für im in mit oder und vom von zu zum zur",
}
_SMALL_WORDS = {code: frozenset(words.split()) for code, words in _SMALL.items()}
_ANY_SMALL = frozenset().union(*_SMALL_WORDS.values())
# A text of one word in capitals with fewer letters than this may be an acronym, so it counts as `NORMAL`.
_MIN_SINGLE_WORD = 4
# Languages whose capital of `i` is `İ`.
_DOTTED = frozenset({"tr", "az"})


class Casing(Enum):
    """The casing of a text: in capitals, in title case, or anything else (`NORMAL`).

    `LABEL`: an output gets a large first letter, since its source is a lone word that the model reads in small letters.
    """

    NORMAL = "normal"
    UPPER = "upper"
    TITLE = "title"
    LABEL = "label"


def find_small_words(language: str) -> frozenset[str]:
    """Returns the words that stay small in titles of a language (BCP-47 code); those of all languages if unknown."""
    return _SMALL_WORDS.get(primary_subtag(language), _ANY_SMALL)


def find_casing(guarded: ProtectedText) -> Casing:
    """Returns the casing of the words outside the protected spans."""
    if not guarded.spans and _ends_sentence(guarded.text) and _SMALL_WORD.search(guarded.text):
        return Casing.NORMAL  # fast path for most texts
    words = _list_words(guarded)
    # ß has no capital in common use.
    letters = "".join(words).replace("ß", "")
    if not letters or not letters[0].isupper():
        return Casing.NORMAL
    if letters.isupper():
        return Casing.UPPER if len(words) > 1 or len(letters) >= _MIN_SINGLE_WORD else Casing.NORMAL
    if len(words) < 2 or _ends_sentence(guarded.text):
        return Casing.NORMAL
    large = [word for word in words if word.lower() not in _ANY_SMALL]
    titled = [word for word in large if word[0].isupper() and (word[1:].islower() or len(word) == 1)]
    capital = sum(word[0].isupper() for word in large)
    if len(large) > 1 and capital == len(large) and len(titled) > 1:
        return Casing.TITLE
    return Casing.NORMAL


def _ends_sentence(text: str) -> bool:
    """Returns True if a text ends with punctuation that titles do not end with, such as a full stop or a comma."""
    return text.rstrip().endswith((".", "!", "?", "…", ";", ","))


def lower_text(guarded: ProtectedText, casing: Casing) -> ProtectedText:
    """Returns a text of this casing in sentence case: in lower case, with a large first letter.

    Protected spans, the word `I` and texts of `NORMAL` casing stay. In title case, acronyms and names with capitals
    inside stay too. A word stays if its length changes in lower case, so all spans stay valid.
    """
    if casing is Casing.NORMAL:
        return guarded
    keeps_acronyms = casing is Casing.TITLE

    def lower(match: re.Match[str]) -> str:
        word = match.group()
        if keeps_acronyms and len(word) > 1 and not word[1:].islower():
            return word
        return "I" if word == "I" else _keep_length(word, word.lower())

    text = list(guarded.text)
    for part in list_unprotected(guarded):
        text[part.start : part.end] = _WORD.sub(lower, guarded.text[part.start : part.end])
    first = next((index for index, character in enumerate(text) if character.isalpha()), None)
    if first is not None and not any(span.start <= first < span.end for span in guarded.spans):
        text[first] = _keep_length(text[first], text[first].upper())
    return ProtectedText("".join(text), guarded.spans, guarded.replacements)


def style_text(guarded: ProtectedText, casing: Casing, language: str) -> ProtectedText:
    """Returns a translation in the casing of its source; `NORMAL` changes nothing, and protected spans stay.

    `casing`: that of the source. `language`: BCP-47 code of the translation. Spans move with changes of length.
    """
    if casing is Casing.NORMAL:
        return guarded
    code = primary_subtag(language)
    parts: list[str] = []
    ascending = sorted(guarded.spans, key=lambda span: span.start)
    moved = {}
    position = length = 0
    first = True
    for span in ascending:
        before = _style(guarded.text[position : span.start], casing, code, first=first)
        kept = guarded.text[span.start : span.end]
        first = first and not any(map(str.isalpha, before + kept))
        parts += (before, kept)
        moved[span] = type(span)(length + len(before), length + len(before) + len(kept))
        length, position = moved[span].end, span.end
    parts.append(_style(guarded.text[position:], casing, code, first=first))
    return ProtectedText("".join(parts), tuple(moved[span] for span in guarded.spans), guarded.replacements)


def _style(text: str, casing: Casing, code: str, *, first: bool) -> str:
    """Returns a text in capitals or title case. `code`: its base language code.

    In title case small words such as `of` stay small, and so do those of other languages between two capitalised words,
    such as `de` in `Rio de Janeiro`. `first`: the text begins the title, so its first word never stays small.
    """
    if casing is Casing.LABEL:
        return text[:1].upper() + text[1:] if first else text
    if casing is Casing.UPPER:
        return (text.replace("i", "İ") if code in _DOTTED else text).upper()
    small = _SMALL_WORDS.get(code, frozenset())
    words = 0

    def style(match: re.Match[str]) -> str:
        nonlocal words
        words += 1
        word = match.group()
        if is_initial(text, match.start(), match.end()):
            return word
        if word.lower() in small and not (first and words == 1):
            return word if len(word) > 1 and word.isupper() else word.lower()
        if word in _ANY_SMALL and _joins_capitals(text, match.start(), match.end()):
            return word
        return word[0].upper() + word[1:]

    return _WORD.sub(style, text)


def is_initial(text: str, start: int, end: int) -> bool:
    """Returns True if the word from `start` to `end` is the initial of a name, such as `A` in `John A. Doe`.

    It is one capital letter and a full stop between two capitalised words.
    """
    return (
        end - start == 1
        and text[start].isupper()
        and text[end : end + 1] == "."
        and _joins_capitals(text, start, end + 1)
    )


def _joins_capitals(text: str, start: int, end: int) -> bool:
    """Returns True if a capitalised word stands before the word at `start`, and another one behind it."""
    before = text[:start].rstrip(" ").rpartition(" ")[2] if text[start - 1 : start] == " " else ""
    return before[:1].isupper() and text[end : end + 1] == " " and text[end + 1 : end + 2].isupper()


def _list_words(guarded: ProtectedText) -> list[str]:
    parts = (guarded.text[part.start : part.end] for part in list_unprotected(guarded))
    return [word for part in parts for word in _WORD.findall(part)]


def _keep_length(before: str, after: str) -> str:
    return after if len(after) == len(before) else before
