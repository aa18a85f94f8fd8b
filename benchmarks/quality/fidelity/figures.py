"""Finds and compares the numbers of English and Portuguese texts.

Shares no code with the server's number check, which the fidelity suite judges with this module.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

# Digits with separators inside. Dates, ranges, times and fractions count as several numbers.
_NUMBER = re.compile(r"[1-9]\d{0,2}(?:[\u00a0\u202f]\d{3})+(?:[.,]\d+)?(?!\d)|\d+(?:[.,]\d+)*")
_AFTERNOON = re.compile(r"(?:[:h.]\d{2})?\s?p\.?\s?m\b", re.IGNORECASE)
_EVEN_HOUR = re.compile(r"(?<=\d[:h])00(?!\d)")
_MARKS = {"en": (",", "."), "pt": (".", ",")}
# Numbers that a translation may write as a word or as digits.
_WORDS = {
    "en": "zero one two three four five six seven eight nine ten eleven twelve",
    "pt": "zero um dois três quatro cinco seis sete oito nove dez onze doze",
}
_OTHER_WORDS = {
    "en": {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "twenty": 20, "hundred": 100, "once": 1},
    "pt": {"uma": 1, "duas": 2, "primeiro": 1, "primeira": 1, "segundo": 2, "segunda": 2, "terceiro": 3}
    | {"terceira": 3, "quarto": 4, "quarta": 4, "quinto": 5, "quinta": 5, "vinte": 20, "cem": 100},
}


@dataclass(frozen=True)
class Figure:
    """A number as written, and its value in its language. None: not a number in that language, such as 1.2.3."""

    text: str
    value: Decimal | None
    afternoon: bool = False

    def answers(self, source: Figure) -> bool:
        """True if this figure of a translation has the meaning of `source`.

        Equal digits suffice if the target language cannot read another value: 3.5 may stay 3.5 in Portuguese, but
        1,234 may not, because it is a little more than one there.
        """
        if self.value is None or source.value is None:
            return self.text == source.text
        if self.value == source.value:
            return True
        half_day = Decimal(12)
        return (source.afternoon and self.value == source.value + half_day) or (
            self.afternoon and self.value + half_day == source.value
        )


def find_figures(text: str, language: str) -> list[Figure]:
    """Returns the numbers of a text, in order, without the minutes of a full hour."""
    even = {match.start() for match in _EVEN_HOUR.finditer(text)}
    return [
        Figure(match.group(), _read(match.group(), language), bool(_AFTERNOON.match(text, match.end())))
        for match in _NUMBER.finditer(text)
        if match.start() not in even
    ]


def compare_figures(source: str, output: str, languages: tuple[str, str]) -> tuple[list[str], list[str]]:
    """Returns the numbers of `source` that `output` lacks, and the numbers of `output` that `source` lacks.

    `languages`: of source and output ("en" or "pt"). Small numbers may be written as words.
    """
    missing = find_figures(source, languages[0])
    extra = find_figures(output, languages[1])
    # Equal texts and values are matched first, so that an ambiguous figure is not matched to the wrong number.
    for same in (True, False):
        for figure in list(missing):
            for other in extra:
                if other.answers(figure) and (not same or other.text == figure.text or other.value == figure.value):
                    missing.remove(figure)
                    extra.remove(other)
                    break
    _join_spaced(missing, extra, output)
    lost = _without_words(missing, output, languages[1])
    return lost, _without_words(extra, source, languages[0])


def _join_spaced(missing: list[Figure], extra: list[Figure], output: str) -> None:
    """Removes numbers that the output writes with a plain space between thousands, which looks like two numbers."""
    for figure in list(missing):
        spaced = f"{figure.value:,}".replace(",", " ") if figure.value is not None else ""
        pieces = [other for piece in spaced.split() for other in extra if other.text == piece]
        if " " in spaced and spaced in output and len(pieces) == len(spaced.split()):
            missing.remove(figure)
            for piece in pieces:
                extra.remove(piece)


def _without_words(figures: Sequence[Figure], text: str, language: str) -> list[str]:
    """Returns the figures that `text` does not contain as words."""
    numbers = {word: value for value, word in enumerate(_WORDS[language].split())} | _OTHER_WORDS[language]
    words = Counter(Decimal(numbers[word]) for word in re.findall(r"\w+", text.lower()) if word in numbers)
    left = []
    for figure in figures:
        if figure.value is not None and words[figure.value] > 0:
            words[figure.value] -= 1
        else:
            left.append(figure.text)
    return left


def _read(text: str, language: str) -> Decimal | None:
    group, point = _MARKS[language]
    spaces = "\u00a0\u202f"
    grouped = rf"[1-9]\d{{0,2}}(?:[{re.escape(group)}{spaces}]\d{{3}})+|\d+"
    if not re.fullmatch(rf"(?:{grouped})(?:{re.escape(point)}\d+)?", text):
        return None
    plain = re.sub(f"[{re.escape(group)}{spaces}]", "", text)
    return Decimal(plain.replace(point, "."))
