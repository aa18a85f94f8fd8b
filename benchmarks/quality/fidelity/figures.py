"""The numbers of a text, as a reader of English or Portuguese reads them.

Written apart from the server's own check, which it is here to judge: shares no code with it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

# Digits with the marks inside them; dates, ranges, times and fractions are several numbers.
_NUMBER = re.compile(r"[1-9]\d{0,2}(?:[\u00a0\u202f]\d{3})+(?:[.,]\d+)?(?!\d)|\d+(?:[.,]\d+)*")
_AFTERNOON = re.compile(r"(?:[:h.]\d{2})?\s?p\.?\s?m\b", re.IGNORECASE)
_EVEN_HOUR = re.compile(r"(?<=\d[:h])00(?!\d)")
_MARKS = {"en": (",", "."), "pt": (".", ",")}
# What a translator may write out, or write as a figure.
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
    """A number as it is written, and its value in its language (None: no number there, such as 1.2.3)."""

    text: str
    value: Decimal | None
    afternoon: bool = False

    def answers(self, source: Figure) -> bool:
        """Whether this figure of a translation says what `source` says.

        The same digits are enough where the target language reads nothing else in them: 3.5 may stay 3.5 in
        Portuguese, 1,234 may not, since it is a little more than one there.
        """
        if self.value is None or source.value is None:
            return self.text == source.text
        if self.value == source.value:
            return True
        late = Decimal(12)
        return (source.afternoon and self.value == source.value + late) or (
            self.afternoon and self.value + late == source.value
        )


def find_figures(text: str, language: str) -> list[Figure]:
    """The numbers of a text, in order; the minutes of an even hour are none."""
    even = {match.start() for match in _EVEN_HOUR.finditer(text)}
    return [
        Figure(match.group(), _read(match.group(), language), bool(_AFTERNOON.match(text, match.end())))
        for match in _NUMBER.finditer(text)
        if match.start() not in even
    ]


def compare_figures(source: str, output: str, languages: tuple[str, str]) -> tuple[list[str], list[str]]:
    """What of the numbers of `source` is missing in `output`, and what is there that `source` lacks.

    `languages`: those of source and output ("en" or "pt"). Small numbers may be written as words.
    """
    missing = find_figures(source, languages[0])
    extra = find_figures(output, languages[1])
    # The same value first, so that a figure that may stand for two is not spent on the wrong one.
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
    """Takes out what is there with a plain space between its thousands, where it looks like two numbers."""
    for figure in list(missing):
        spaced = f"{figure.value:,}".replace(",", " ") if figure.value is not None else ""
        pieces = [other for piece in spaced.split() for other in extra if other.text == piece]
        if " " in spaced and spaced in output and len(pieces) == len(spaced.split()):
            missing.remove(figure)
            for piece in pieces:
                extra.remove(piece)


def _without_words(figures: Sequence[Figure], text: str, language: str) -> list[str]:
    """Those figures that `text` does not have as words."""
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
