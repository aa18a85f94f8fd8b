"""Reads the numbers of a text: figures in any locale's notation, number words, Roman numerals, fractions and times.

Each mention of a number becomes a tuple of its possible values, likeliest first, as decimal strings ("1234.5"). An
ambiguous one (`1.500`, `3 p.m.`, `the 80s`) has several values. Every step takes linear time in the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from latimer_server.core.languages import primary_subtag
from latimer_server.text.checks.cardinals import HAN_SCALES, Values, read_words
from latimer_server.text.checks.number_words import WORDS

# Base codes of languages that write 1,234.5, and of those that write 1.234,5 or 1 234,5. All others may write either.
# In Spanish the region decides: the listed ones write a comma. Where both are usual, the last set overrules the base.
_POINT_DECIMALS = frozenset({"en", "zh", "ja", "th", "ko", "he", "hi", "bn", "ta", "te", "mr", "ms", "cy", "ga", "mt"})
_COMMA_DECIMALS = frozenset(
    re.findall(
        "\\w+",
        "pt de fr it nl ru uk be bg cs sk pl sl hr sr bs mk ro hu fi sv da nb nn no is et lv lt el tr id vi ca gl eu"
        " sq az ka",
    )
)
_COMMA_REGIONS = frozenset({"es-ES", "es-AR", "es-CL", "es-CO"})
_EITHER_REGIONS = frozenset({"en-ZA", "fr-CH", "it-CH", "de-CH", "de-LI"})
# A number in digits with its points and commas. Spaces or apostrophes may separate groups of three: 1 234 567,8.
FIGURES = re.compile(
    "\\d(?:(?<![\\d.,]\\d)\\d{0,2}(?:[ '’\u00a0\u2009\u202f]\\d{3})+(?!\\d)(?:[.,]\\d+)*|\\d*(?:[.,\u066b\u066c]\\d+)*)"
)
_GAPS = re.compile("[ '’\u00a0\u2009\u202f]")
_SUBSCRIPTS = {0x2080 + digit: str(digit) for digit in range(10)}  # H₂O is H2O
_ARABIC_MARKS = str.maketrans("\u066b\u066c", ".,")
_FRACTION = re.compile("(?<![\\d/.,])(?:(\\d{1,3})[ \u00a0-])?(\\d{1,2})[/\u2044](\\d{1,2})(?![\\d/])")
_FRACTION_SIGN = re.compile("(?:(?<!\\d)(\\d{1,3})[ \u00a0]?)?([¼-¾⅐-⅞])")
_DENOMINATORS = frozenset({2, 3, 4, 5, 6, 8, 10, 12, 16})
_SHORT_DATE = re.compile("(?<!\\d)\\d{1,2}([/-])\\d{1,2}\\1(?=\\d\\d(?!\\d))")
_KOREAN_SCALES = {"백": 2, "천": 3, "만": 4, "억": 8, "조": 12}
_AFTER = re.compile("[\\s-]?([^\\W\\d_]+)(?:\\s([^\\W\\d_]+))?")
_SHORT_SCALES = {"k": (3,), "bn": (9,), "mn": (6,), "tn": (12,), "mi": (6,), "bi": (9,)}
_MONEY = re.compile("[$€£¥]\\s?$")
_HOUR = re.compile(
    "(?::(?=\\d\\d)|h(?:rs?)?(?:(?=\\d\\d)|\\b)|\\s?[ap]\\.?\\s?m\\b|\\s?o['’]clock\\b|\\s(?:horas?|uhr|heures?|ore|h)\\b"
    "|\\s(?:d[aeo]|de la|du|del|di|in the|at|à) "
    "(?:tarde|noite|manhã|madrugada|noche|mañana|matin|soir|mattina|sera|night|morning|afternoon|evening)|\\s?[時时点點시])"
)
_BEFORE_MINUTES = re.compile("\\d[:h.]$")
_DECADE = re.compile("['’]?s\\b|er\\b")
_SAME_UNIT = re.compile("\\s?(?:[-–—]|e|a|à|y|o|ou|et|und|bis|and|to|or)\\s?(?:\\$|€|£)?")
# A unit of an area or volume whose power is a digit: `20 m2`. Other languages have words for it.
_BEFORE_POWER = re.compile(r"\d[ \u00a0]?(?:[cdkm]?m|ft|mi|in|yd)$")
# Text directly before a figure that a translation must also have in digits: `COVID-19`, `md1`, `crontab(5)`.
_BEFORE_CODE = re.compile("(?:[^\\W\\d_]\\(?|[A-Z]\\w*[-_])$")
# Text directly before a version or section number, whose point does not mark thousands: `Debian 2.100`, `v1.200`,
# `Section 4.101`, `linux-5.100`.
BEFORE_VERSION = re.compile(
    "(?:[^\\W\\d_]|[-_/]|\\w\\s[A-Z][\\w-]*\\s|[vV]ers\\w+\\s|release\\s"
    "|\\b(?:[sS]e(?:ctions?|c?ç(?:ão|ões))|[cC]hapters?|[cC]apítulos?|[fF]ig(?:ur\\w{1,2})?|[tT]ab(?:\\w{2,5})?)\\.?\\s)$"
)


@dataclass(frozen=True)
class Numbers:
    """The numbers of a text.

    `figures`: numbers in digits, which a translation must have in some form. `codes`: numbers in digits that a
    translation must have in digits (COVID-19, md1). `words`: numbers that a translation may lack, from words that may
    mean something else, Roman numerals and the like. `clear`: numbers from words that always count something.
    """

    figures: list[Values]
    codes: list[Values]
    words: list[Values]
    clear: list[Values]


def find_decimal_mark(language: str) -> str:
    """Returns the decimal mark of a BCP-47 language: "." or ","; "" if both are usual."""
    if language in _EITHER_REGIONS:
        return ""
    base = primary_subtag(language)
    if base in _POINT_DECIMALS:
        return "."
    return "," if base in _COMMA_DECIMALS or language in _COMMA_REGIONS else ""


def read_numbers(text: str, language: str, *, joined: bool = True) -> Numbers:
    """Returns the numbers of `text`. `language`: BCP-47 code.

    `joined`: `50 000`, `1/2` and, in a language with decimal points, `1,5` are one number each, otherwise two.
    """
    base = primary_subtag(language)
    words, clear = read_words(text, base)
    reader = _FigureReader(text, base, find_decimal_mark(language), joined=joined)
    reader.read()
    return Numbers(reader.figures, reader.codes, words + reader.words, clear)


class _FigureReader:
    """Reads the figures of one text into its lists `figures`, `codes` and `words` (see `Numbers`).

    The words around a figure decide what it may mean: a time, a decade, a scale. `base`: the base code of the language.
    `mark`: its decimal mark, "" if unknown. `joined`: see `read_numbers`.
    """

    def __init__(self, text: str, base: str, mark: str, *, joined: bool) -> None:
        self._text = text if text.isascii() else text.translate(_SUBSCRIPTS)
        self._base = base
        self._mark = mark
        self._joined = joined
        self._scales = WORDS[base].scales if base in WORDS else {}
        self.figures: list[Values] = []
        self.codes: list[Values] = []
        self.words: list[Values] = []
        self._short_years = {match.end() for match in _SHORT_DATE.finditer(self._text)}

    def read(self) -> None:
        """Reads all fractions, then all other figures in order."""
        text = self._take_fractions()
        last_end = -1
        last: Values = ()
        for match in FIGURES.finditer(text):
            token, start, end = match.group(), match.start(), match.end()
            pieces = [token] if self._joined else _GAPS.split(token)
            mentions = [values for piece in pieces for values in self._read_token(piece, start)]
            if len(mentions) != 1:
                self.figures += mentions
                last = ()
                continue
            between = text[last_end:start] if last_end >= 0 else ""
            values = self._look_around(mentions[0], start, end, token)
            if last and values != mentions[0] and self.figures[-1:] == [last] and _SAME_UNIT.fullmatch(between):
                # `between 10 and 12 thousand`, `from 3 to 5 p.m.`: the unit of the second may be the first's too.
                self.figures[-1] = (*last, *self._look_around(last, start, end, token))
            if values and last == mentions[0] and between == " em ":
                # `de 15 em 15 dias` is `every 15 days`, so the second number may be missing.
                self.words.append(values)
            elif token in ("2", "3") and _BEFORE_POWER.search(text[max(0, start - 4) : start]):
                continue
            elif values and _BEFORE_CODE.search(text[max(0, start - 12) : start]):
                self.codes.append(values)
            elif values:
                self.figures.append(values)
            last, last_end = mentions[0], end

    def _take_fractions(self) -> str:
        """Adds the values of the fractions to `figures`, and returns the text with spaces in their place."""

        def take(match: re.Match[str]) -> str:
            whole, upper, lower = match.groups()
            if int(lower) not in _DENOMINATORS or int(upper) >= int(lower):
                return match.group()
            self.figures.append((_shorten(int(whole or 0) + int(upper) / int(lower)),))
            return " " * len(match.group())

        def take_sign(match: re.Match[str]) -> str:
            self.figures.append((_shorten(int(match.group(1) or 0) + unicodedata.numeric(match.group(2))),))
            return " " * len(match.group())

        text = _FRACTION_SIGN.sub(take_sign, self._text) if not self._text.isascii() else self._text
        return _FRACTION.sub(take, text) if self._joined and ("/" in text or "\u2044" in text) else text

    def _read_token(self, token: str, start: int) -> list[Values]:
        """Returns the mentions in a figure: one, except for lists and dates (`1,2,3`, `5.3.2024`), which are several.

        `start`: the offset of the figure in the text.
        """
        if not token.isascii():
            token = _to_ascii(token)
        if token.isdigit():
            return [(_trim(token),)]
        grouped = _GAPS.search(token) is not None
        if grouped:
            token = _GAPS.sub("", token)
        parts = re.split("[.,]", token)
        marks = [c for c in token if c in ".,"]
        if not marks:
            return [(_trim(token),)]
        if len(marks) == 1:
            return self._read_simple(parts[0], parts[1], marks[0], start, grouped=grouped)
        whole, same_mark = parts[:-1], len(set(marks)) == 1
        if same_mark and _are_groups(parts):
            return [(_trim("".join(parts)),)]
        if not same_mark and marks[-1] != marks[0] and len(set(marks[:-1])) == 1 and _are_groups(whole):
            return [(_trim("".join(whole), parts[-1]),)]
        if same_mark:
            return [(_trim(part),) for part in parts]
        return [values for part in token.split(",") for values in self._read_token(part, start)]

    def _read_simple(self, whole: str, rest: str, mark: str, start: int, *, grouped: bool) -> list[Values]:
        """Returns the mentions in a figure with one point or comma: `whole`, `mark`, `rest`.

        1.5 and 1,5 have the same value; 1.500 and 1,500 do not, unless the language may use either mark. `grouped`: the
        figure also had spaces or apostrophes between groups.
        """
        decimal, integer = _trim(whole, rest), _trim(whole + rest)
        if len(rest) != 3 or whole.startswith("0") or (len(whole) > 3 and not grouped):
            end = start + len(whole) + 1 + len(rest)
            after = self._text[end : end + 12].lower()
            is_time = mark == "." and len(rest) == 2 and int(whole[-3:]) < 25 and _HOUR.match(after)
            is_list = mark == "," and self._mark == "." and not self._joined
            is_date = mark == "." and self._base == "de" and after.startswith(".") and not self._joined
            # An hour of the day without a word that says so, such as `at 10.30`, may become `10h30`.
            is_hour = mark == "." and len(rest) == 2 and len(whole) < 3 and int(whole) < 25 and int(rest) < 60
            if is_time or is_list or is_date or (is_hour and not self._joined):
                return [(_trim(whole),), (_trim(rest),)]
            return [(decimal,)]
        if self._mark == "" or grouped:
            return [(integer, decimal)]
        if mark == "." and BEFORE_VERSION.search(self._text[max(0, start - 24) : start]):
            return [(decimal, integer)]
        return [(decimal,)] if mark == self._mark else [(integer,)]

    def _look_around(self, values: Values, start: int, end: int, figure: str) -> Values:
        """Returns the possible values of a figure, given the words around it; () for minutes that are optional."""
        after = self._text[end : end + 32].lower()
        before = self._text[max(0, start - 2) : start]
        if figure == "00" and _BEFORE_MINUTES.search(before):
            return ()
        scaled = self._read_scale(values, before, after)
        if scaled:
            return scaled
        value = values[0]
        if not value.isdigit() or len(value) > 4:
            return values
        number = int(value)
        if number <= 24 and _HOUR.match(after):
            hour = number % 12
            others = {hour, hour + 12, 24} if hour == 0 else {hour, hour + 12}
            return (value, *map(str, sorted(others - {number})))
        if number % 10 == 0 and _DECADE.match(after):
            return (value, str(number % 100)) if number > 999 else (value, str(1900 + number), str(1800 + number))
        if len(figure) == 2 and (start in self._short_years or before[-1:] in ("'", "’", "‘")):
            return (value, str(1900 + number), str(2000 + number))
        return values

    def _read_scale(self, values: Values, before: str, after: str) -> Values:
        """Returns the values of a figure with a scale (`5 million`, `2,5 mil milhões`, `5k`, `5万`), or () without."""
        match = _AFTER.match(after)
        if match is None:
            return ()
        word, following = match.groups()
        powers = self._scales.get(word, ())
        if powers:
            more = self._scales.get(following or "", (0,))
            return tuple(_shift(value, power + other) for value in values for power in powers for other in more)
        if match.start(1) == 0 or word in ("mi", "bi", "bn"):
            power = HAN_SCALES.get(word[0]) or _KOREAN_SCALES.get(word[0]) or 0
            if power:
                return (_shift(values[0], power), *values)
            short = _SHORT_SCALES.get(word, (6,) if word == "m" and _MONEY.search(before) else ())
            return tuple(value for power in short for value in (_shift(values[0], power), *values))
        return ()


def _are_groups(parts: Sequence[str]) -> bool:
    """Returns True if the parts between the marks of a figure are groups of thousands, or of lakhs (12,34,567)."""
    if not 1 <= len(parts[0]) <= 3 or parts[0].startswith("0"):
        return False
    sizes = {len(part) for part in parts[1:-1]}
    return len(parts) == 1 or (len(parts[-1]) == 3 and (sizes <= {3} or (sizes == {2} and len(parts[0]) < 3)))


def _to_ascii(token: str) -> str:
    """Returns a figure with its digits and marks of any script in ASCII."""
    token = token.translate(_ARABIC_MARKS)
    return "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in token)


def _trim(whole: str, rest: str = "") -> str:
    """Returns a number as a decimal string without needless zeros, such as "1.5" for ("01", "50").

    `whole` and `rest`: its digits before and behind the decimal mark.
    """
    whole, rest = whole.lstrip("0") or "0", rest.rstrip("0")
    return f"{whole}.{rest}" if rest else whole


def _shift(value: str, power: int) -> str:
    """Returns a decimal string multiplied by a power of ten."""
    whole, _, rest = value.partition(".")
    return _trim(whole + rest[:power].ljust(power, "0"), rest[power:])


def _shorten(number: float) -> str:
    return _trim(*f"{number:.4f}".split("."))
