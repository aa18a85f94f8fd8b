"""Writes hours of the day in one notation: before the model, and in its output.

Models do not know the Portuguese notation `14h22`, write two notations at once (`20h15 p.m.`) and leave `3:00 PM` in
Portuguese. Hours of a Portuguese or French source are read as `14:22`, which all languages know. In a translation from
English into a language with a clock of 24 hours, `3:00 PM` becomes `15:00`. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from latimer_server.core.languages import primary_subtag
from latimer_server.core.spans import TextSpan
from latimer_server.text.protection.masking import ProtectedText, list_unprotected
from latimer_server.text.rewriting import Edit

# An hour such as `14h`, `14h22` and `9h05min`.
_HOUR = re.compile(r"(?<![\w.,:/])(?<![A-Z]-)(?P<hour>[01]?\d|2[0-4])[hH](?P<minutes>[0-5]\d)?(?:min)?(?![\w:])")
# Signs that a text with an hour contains; looking for them is faster than a pattern.
_HOUR_SIGNS = tuple(f"{digit}{sign}" for digit in range(10) for sign in "hH")
_RANGE_SIGNS = ("pm", "PM", "p.m", "P.M", "am-", "am–", "AM-", "AM–")
_TWELVE_SIGNS = ("pm", "PM", "p.m", "P.M", "a.m", "A.M", " am ", " AM", *(f"{digit}am" for digit in range(10)))
# A range of hours of a clock of twelve hours, `9am-6pm`, which models misread.
_RANGE_OF_TWELVE = re.compile(
    r"(?<![\w.,:$€£-])(?P<hour>1[0-2]|0?[1-9])(?::(?P<minutes>[0-5]\d))? ?(?P<sign>[aApP]\.?[mM]\.?)? ?[-–—] ?"
    r"(?P<hour2>1[0-2]|0?[1-9])(?::(?P<minutes2>[0-5]\d))? ?(?P<sign2>[aApP](?:\.[mM]\.(?=\s[^A-Z])|[mM]))(?!\w)"
)
# The words behind which hours without minutes are times of the day, and those behind which hours are durations.
_AT = {
    "pt": re.compile(r"(?:\bàs|\bdas|\bà|\bda|\bpelas|\bentre as|\bdesde as|\bapós as|\baté as)\s$", re.IGNORECASE),
    "fr": re.compile(r"(?:\bà|\bdès|\bvers|\bjusqu['’]à|\bavant|\baprès)\s$", re.IGNORECASE),
}
_DURING = {
    "pt": re.compile(
        r"(?:\b(?:em|durante|por|há|faz|após|dura|duram|durou|leva|levou|demora|demorou|mais de|menos de|cerca de|até"
        r"|total de|duração de|viagem de|jornada de|aula de|tempo de)|\b(?:duração|tempo|total):)\s$",
        re.IGNORECASE,
    ),
    "fr": re.compile(r"(?:\b(?:en|pendant|dure|durée de|pour|il y a)|\bdurée ?:)\s$", re.IGNORECASE),
}
# What stands between the two hours of a range, as in `9h-13h` and `8h às 18h30`. A bare hour may be the first of one.
_RANGE = {"pt": r"\s?[-–—]\s?|\s(?:às|as|até as|até às|até|a|e as)\s", "fr": r"\s?[-–—]\s?|\s(?:à|et)\s"}
_BARE = re.compile(r"(?:\bàs|\bdas|\bentre as|\bdesde as)\s(?P<hour>[01]?\d|2[0-3])$", re.IGNORECASE)
_WINDOW = 24
_NOON, _DAY = 12, 24
# An hour with the sign of a clock of twelve hours. The stop behind it may end the sentence.
_TWELVE = re.compile(
    r"(?<![\w.,:$€£])(?:(?P<at>[àÀ]) )?(?P<hour>[01]?\d|2[0-3])(?:[:.h](?P<minutes>[0-5]\d))?"
    r"[ \u00a0]?(?P<sign>[aApP])(?:\.[ \u00a0]?[mM]\.|[mM])(?!\w)(?P<inner>\.?)"
)
_TWELVE_SIGN = re.compile(r"\d[ \u00a0]?[aApP]\.?[ \u00a0]?[mM]")
# An hour of a clock of 24 hours in English, and hours in the notation of another language.
_LATE = re.compile(r"(?<![\w.,:])(?:1[3-9]|2[0-3])(?::[0-5]\d)?(?![\w:])")
_FOREIGN = re.compile(r"(?<![\w.,:])(?P<hour>[01]?\d|2[0-3])[hH](?P<minutes>[0-5]\d)?(?![\w:])")
# An output that ends with an hour and without a full stop.
_HOUR_AT_END = re.compile(r"\d(?::\d\d|h(?:\d\d)?|[ \u00a0]?[aApP][mM])$")
# A time zone behind an hour, and the beginning of a sentence.
_ZONE = re.compile(r" \(?(?:[A-Z]{1,3}T|UTC)\b")
_ZONED = re.compile(
    r"(?<![\w.,:$€£-])(?P<hour>1[0-2]|0?[1-9])(?::(?P<minutes>[0-5]\d))? ?(?P<sign>[aApP])(?P<rest>\.[mM]\.|[mM]\b)"
    r" \(?(?:[A-Z]{1,3}T|UTC)\b(?![.']\w)"
)
_SENTENCE = re.compile(r"\s+[A-ZÀ-ÖØ-Þ](?:[a-zß-öø-ÿ]|\s)")
# Languages whose hours have no `a.m.` and `p.m.`, and those that write `15h` for a full hour.
_DAY_CLOCK = frozenset({"pt", "fr", "it", "de", "es", "ca", "gl"})
_WITH_H = frozenset({"pt", "fr"})


def find_hours(text: str, language: str) -> Iterator[Edit]:
    """Yields the replacement of the hours of the day in a source by those with a colon: `14h22` becomes `14:22`.

    An hour without minutes needs a word such as `às` before it, or another hour, because `8h` is a duration too.
    `language`: BCP-47 code of the text. Yields nothing for a language that does not write hours so.
    """
    code = primary_subtag(language)
    if code == "en":
        ranges = list(_find_ranges(text))
        yield from ranges
        for edit in _find_zoned(text):
            if all(edit.end <= other.start or other.end <= edit.start for other in ranges):
                yield edit
    if code not in _AT or not any(sign in text for sign in _HOUR_SIGNS):
        return
    between = re.compile(_RANGE[code])
    matches = list(_HOUR.finditer(text))
    ranged: set[int] = set()
    for index in range(1, len(matches)):
        if between.fullmatch(text, matches[index - 1].end(), matches[index].start()):
            ranged |= {index - 1, index}
    before_is_time = False
    for index, match in enumerate(matches):
        before = text[max(0, match.start() - _WINDOW) : match.start()]
        follows = index in ranged and index > 0 and index - 1 in ranged and before_is_time
        is_during = _DURING[code].search(before) is not None and not follows
        is_time = follows or (
            not is_during and (match["minutes"] is not None or index in ranged or _AT[code].search(before) is not None)
        )
        before_is_time = is_time
        if not is_time:
            continue
        bare = _BARE.search(re.sub(rf"(?:{_RANGE[code]})$", "", before)) if match["minutes"] is None else None
        if bare is not None and (joint := re.search(rf"(?:{_RANGE[code]})$", before)) is not None:
            at = match.start() - len(joint.group())
            yield Edit(at, at, ":00")
        yield Edit(*match.span(), f"{match['hour']}:{match['minutes'] or '00'}")


def find_zoned_hours(text: str, language: str) -> Iterator[TextSpan]:
    """Yields the spans of hours with their time zone, such as `9 p.m. EST`, at whose stop no sentence ends.

    `language`: BCP-47 code of the text. Yields nothing for another language than English.
    """
    if any(sign in text for sign in _TWELVE_SIGNS) and primary_subtag(language) == "en":
        for match in _ZONED.finditer(text):
            yield TextSpan(*match.span())


def _find_ranges(text: str) -> Iterator[Edit]:
    """Yields the replacement of ranges such as `9am-6pm` by those of a clock of 24 hours."""
    if not any(sign in text for sign in _RANGE_SIGNS):
        return
    for match in _RANGE_OF_TWELVE.finditer(text):
        end = _count_hours(int(match["hour2"]), match["sign2"])
        start = _count_hours(int(match["hour"]), match["sign"] or match["sign2"])
        if match["sign"] is None and start > end:
            start -= _NOON
        yield Edit(*match.span(), f"{start}:{match['minutes'] or '00'}-{end}:{match['minutes2'] or '00'}")


def _find_zoned(text: str) -> Iterator[Edit]:
    """Yields the replacement of hours before a time zone, `9 p.m. EST`, whose zone models drop, by `21:00`."""
    if not any(sign in text for sign in _TWELVE_SIGNS):
        return
    for match in _ZONED.finditer(text):
        hour = _count_hours(int(match["hour"]), match["sign"])
        yield Edit(match.start(), match.end("rest"), f"{hour}:{match['minutes'] or '00'}")


def _count_hours(hour: int, sign: str) -> int:
    return hour % _NOON + (_NOON if sign[0] in "pP" else 0)


def release_hours(guarded: ProtectedText, hours: list[TextSpan]) -> ProtectedText:
    """Returns a text in which spans that are just an hour are not protected. `hours`: their spans, ascending."""
    wanted = frozenset(hours)
    if guarded.replacements or not any(span in wanted for span in guarded.spans):
        return guarded
    return ProtectedText(guarded.text, tuple(span for span in guarded.spans if span not in wanted))


def rewrite_hours(source: str, output: ProtectedText, target: str) -> Iterator[Edit]:
    """Yields the replacement of the hours of an output that have another notation than its language, or two.

    `target`: BCP-47 code. In English an hour after noon has no `p.m.` if it is one of a clock of 24 hours, and all
    hours have that clock if one has. Yields nothing if the source has no figure.
    """
    code = primary_subtag(target)
    if code in _DAY_CLOCK:
        if any(sign in output.text for sign in _TWELVE_SIGNS) and _TWELVE_SIGN.search(output.text):
            yield from _rewrite_twelve(output, with_h=code in _WITH_H)
        if source.endswith(".m.") and source.count(" ") > 1 and _HOUR_AT_END.search(output.text):
            yield Edit(len(output.text), len(output.text), ".")
    elif code == "en" and _has_english_hour(output.text):
        yield from _rewrite_english(source, output)


def _has_english_hour(text: str) -> bool:
    if any(sign in text for sign in _HOUR_SIGNS):
        return True
    return any(sign in text for sign in _TWELVE_SIGNS) and _TWELVE_SIGN.search(text) is not None


def _rewrite_twelve(output: ProtectedText, *, with_h: bool) -> Iterator[Edit]:
    for part in list_unprotected(output):
        for match in _TWELVE.finditer(output.text, part.start, part.end):
            hour = _read_hour(match)
            at = "às " if match["at"] and hour != 1 else f"{match['at']} " if match["at"] else ""
            full = f"{hour}h" if with_h else f"{hour}:00"
            written = f"{hour}:{match['minutes']}" if match["minutes"] else full
            yield Edit(*match.span(), at + written + _find_stop(output.text, match))


def _rewrite_english(source: str, output: ProtectedText) -> Iterator[Edit]:
    parts = list_unprotected(output)
    twelve = [m for part in parts for m in _TWELVE.finditer(output.text, part.start, part.end)]
    ends = {match.start("hour") for match in twelve}
    foreign = [m for part in parts for m in _FOREIGN.finditer(output.text, part.start, part.end)]
    foreign = [match for match in foreign if match.start() not in ends]
    late = any(int(match["hour"]) > _NOON for match in twelve)
    mixed = late or (
        bool(twelve) and any(_LATE.search(output.text, part.start, part.end) for part in parts if ":" in source)
    )
    # A full hour such as `13h` is a duration as well, so it counts only beside other hours or behind `at`.
    for match in foreign:
        before = output.text[max(0, match.start() - 6) : match.start()]
        if match["minutes"] or twelve or before.endswith(("at ", "from ", "to ", "until ", "by ")):
            mixed = True
            yield Edit(*match.span(), f"{match['hour']}:{match['minutes'] or '00'}")
    for match in twelve if mixed else ():
        yield Edit(
            match.start("hour"),
            match.end(),
            f"{_read_hour(match)}:{match['minutes'] or '00'}" + _find_stop(output.text, match),
        )


def _read_hour(match: re.Match[str]) -> int:
    """Returns the hour of a clock of 24 hours, from 0 to 23."""
    hour = int(match["hour"])
    if hour > _NOON:
        return hour % _DAY
    return _count_hours(hour, match["sign"])


def _find_stop(text: str, match: re.Match[str]) -> str:
    """Returns the full stop that ends the sentence behind an hour, if the sign of the hour has it."""
    if text[match.end() - 1] != ".":
        return ""
    ends = match.end() == len(text) or text[match.end() : match.end() + 1] in "\"”»'"
    if match["inner"]:
        return "" if _ZONE.match(text, match.end()) else "."
    return "." if ends or _SENTENCE.match(text, match.end()) else ""
