"""Spells out abbreviated days of the week in schedules, such as `Mon–Fri`, which models leave or misread.

An abbreviation counts only in a range or list of days, or before a time, month or holidays, since `Sun`, `Sat` and
`Sex` are words too. The names are the abbreviated and wide days of Unicode CLDR (`common/main`, Gregorian calendar,
format). Pure functions.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cache

from latimer_server.core.languages import primary_subtag
from latimer_server.core.spans import TextSpan
from latimer_server.text.protection.masking import ProtectedText, list_unprotected
from latimer_server.text.rewriting import Edit

_ABBREVIATED = {
    "en": "Mon Tue Wed Thu Fri Sat Sun",
    "pt": "seg ter qua qui sex sáb dom",
    "es": "lun mar mié jue vie sáb dom",
    "fr": "lun mar mer jeu ven sam dim",
    "de": "Mo Di Mi Do Fr Sa So",
}
_WIDE = {
    "en": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "pt": "segunda-feira terça-feira quarta-feira quinta-feira sexta-feira sábado domingo",
    "es": "lunes martes miércoles jueves viernes sábado domingo",
    "fr": "lundi mardi mercredi jeudi vendredi samedi dimanche",
    "de": "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
}
_RANGE = re.compile(r"\s?[-–—]\s?")
# The word that English writes for the sign of a range. Models join two names with a sign to one compound.
_THROUGH = " through "
# Words between two days of a range or list.
_BETWEEN = {"en": "and|to|through", "pt": "a|e", "es": "a|y", "fr": "à|au|et", "de": "bis|und"}
# Words between a day and a time.
_BEFORE_TIME = {"en": "from|at", "pt": "das|às|de", "es": "de", "fr": "de|à", "de": "von|um"}
_HOLIDAYS = {"en": "holidays", "pt": "feriados", "es": "festivos", "fr": "jours fériés", "de": "Feiertage"}
# The most days of one range or list, so that no segment becomes too long.
_MOST_DAYS = 14
_DAYS_OF_RANGE = 2
# An article or preposition before a word that is no day, with the number of characters to look at, and what a lone day
# has behind it.
_ARTICLE = re.compile(r"(?<!\w)[a-zA-Z]{1,3}\s$")
_ARTICLE_LENGTH = 5
_END = re.compile(r"\s*(?:$|[,;.)\n])")
_TIME = r"\d{1,2}(?:[:.]\d\d|\s?[ap]\.?m\b|\s?h|\sUhr)"
_ENGLISH_MONTH_NAME = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\b"
_ENGLISH_MONTH = rf"{_ENGLISH_MONTH_NAME}\.? \d"


def spell_out_weekdays(guarded: ProtectedText, language: str) -> Iterator[Edit]:
    """Yields the replacement of abbreviated days of schedules by their names, outside protected spans.

    `language`: BCP-47 code of the text. Yields nothing for a language without a table.
    """
    code = primary_subtag(language)
    parts = list_unprotected(guarded)
    for schedule in find_schedules(guarded.text, language):
        names = dict(zip(_ABBREVIATED[code].lower().split(), _WIDE[code].split(), strict=True))
        days = list(_compile(code)[2].finditer(guarded.text, schedule.start, schedule.end))
        if code == "en":
            yield from _write_range(guarded.text, days, parts)
        for match in days:
            place = bisect_right(parts, match.start(), key=lambda part: part.start) - 1
            if place >= 0 and match.end() <= parts[place].end:
                name = names[match[1].lower()]
                yield Edit(*match.span(), name[0].upper() + name[1:] if match[1][0].isupper() else name)


def _write_range(text: str, days: list[re.Match[str]], parts: Sequence[TextSpan]) -> Iterator[Edit]:
    """Yields the replacement of the sign between two days of a schedule, if it has no others, by a word."""
    if len(days) != _DAYS_OF_RANGE:
        return
    start, end = days[0].end(), days[1].start()
    first, last = days[0].start(), days[1].end()
    if _RANGE.fullmatch(text, start, end) and any(part.start <= first and last <= part.end for part in parts):
        yield Edit(start, end, _THROUGH)


def find_schedules(text: str, language: str) -> Iterator[TextSpan]:
    """Yields the spans of abbreviated days in a range or list, or with what makes a lone one a day; ascending.

    No sentence ends inside them, though a full stop may. `language`: BCP-47 code of the text.
    """
    code = primary_subtag(language)
    if code not in _WIDE:
        return
    initial, schedule, day, time = _compile(code)
    if not initial.search(text):
        return
    found = list(schedule.finditer(text))
    behind = [time.match(text, match.end()) for match in found]
    sure = [
        mark is not None or sum(1 for _ in day.finditer(text, *match.span())) > 1
        for match, mark in zip(found, behind, strict=True)
    ]
    if not any(sure):
        return
    for match, mark, is_sure in zip(found, behind, sure, strict=True):
        if is_sure or _is_lone_day(text, match):
            yield TextSpan(match.start(), match.end() if mark is None else mark.end())


def _is_lone_day(text: str, match: re.Match[str]) -> bool:
    """Returns True for a lone day of a text with a schedule, as in `Mon–Fri 9–5, closed Sun`; `the Sun` is none."""
    start = max(0, match.start() - _ARTICLE_LENGTH)
    return _END.match(text, match.end()) is not None and not _ARTICLE.search(text[start : match.start()])


@cache
def _compile(code: str) -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """Returns the patterns of the names, of days in a row, of one of these days, and of what makes a lone day one of a
    schedule.
    """
    names = _ABBREVIATED[code].split()
    large = "|".join(name.capitalize() for name in names)
    # In English and German all days have a capital; elsewhere the first one must have it.
    more = large if names[0][0].isupper() else f"{large}|{'|'.join(names)}"
    between = rf"(?:\s?[-–—/]\s?|,?\s(?:{_BETWEEN[code]}|&)\s|,\s)"
    schedule = rf"(?<!\w)(?:{large})\b\.?(?:{between}(?:{more})\b\.?){{0,{_MOST_DAYS - 1}}}+"
    time = rf"[,:]?\s(?:(?:{_BEFORE_TIME[code]})\s)?{_TIME}|\s(?:{_BETWEEN[code]}|&)\s{_HOLIDAYS[code]}\b"
    if code == "en":
        time += rf"|,\s{_ENGLISH_MONTH}|,?\s\d{{1,2}}\s{_ENGLISH_MONTH_NAME}"
    # Without a look at the character before them the names are found fast.
    return re.compile(large), re.compile(schedule), re.compile(rf"(?<!\w)({more})\b\.?"), re.compile(time)
