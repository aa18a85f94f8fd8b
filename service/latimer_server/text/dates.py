"""Writes the dates of a Portuguese translation in the order and with the words of Portuguese.

Models translate the words of `Wed, 3 July` and `July 3, 2024` one by one: `3 Julho`, `Julho 3`. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from latimer_server.core.languages import primary_subtag
from latimer_server.text.protection.masking import ProtectedText, list_unprotected
from latimer_server.text.rewriting import Edit

_LIST = "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro"
_MONTH = "|".join(f"[{name[0].upper()}{name[0]}]{name[1:]}" for name in _LIST.split())
_DAY = "(?P<day>[12]?\\d|3[01])(?:[ºo]|th|rd|st|nd)?"
_LATER_YEAR = r"(?:,? (?:de )?(?P<year>[12]\d{3})(?![\w:.,/-]*\w))?"
_BEGINNING, _END = r"(?<![\w.,/-])", r"(?![\w:.,/%-]*[\w%])"
# `3 Julho` and `3 Julho 2024`; `Julho 3` and `Julho 3, 2024`; `3 de julho, 2024` and `3 de julho 2024`.
_DATES = (
    re.compile(rf"{_BEGINNING}{_DAY} (?P<month>{_MONTH})(?!\w){_LATER_YEAR}"),
    # Without a year it is a day only before a sign or the end: `Em maio 3 pessoas vieram`.
    re.compile(rf"(?<!\w)(?P<month>{_MONTH}) {_DAY}{_END}{_LATER_YEAR}(?(year)|(?=\s*(?:[.,;:!?)\]–—]|$)))"),
    re.compile(rf"{_BEGINNING}{_DAY} de (?P<month>{_MONTH}),? (?P<year>[12]\d{{3}}){_END}"),
)
_SIGN = re.compile(rf"\d[^\W\d_]{{0,2}} (?:de )?(?:{_MONTH})|(?:{_MONTH}) \d")
# Looking for the names is faster than the pattern.
_STEMS = (*(name[1:] for name in _LIST.split() if name != "maio"), "maio", "Maio")


def rewrite_dates(output: ProtectedText, target: str) -> Iterator[Edit]:
    """Yields the replacement of the dates of a Portuguese output that are written as in English.

    `target`: BCP-47 code of the output. Yields nothing for another language.
    """
    if primary_subtag(target) != "pt" or not any(stem in output.text for stem in _STEMS):
        return
    if not _SIGN.search(output.text):
        return
    found: list[re.Match[str]] = []
    for part in list_unprotected(output):
        for pattern in _DATES:
            found += pattern.finditer(output.text, part.start, part.end)
    end = 0
    for match in sorted(found, key=lambda match: match.start()):
        if match.start() < end:
            continue
        end = match.end()
        written = f"{match['day']} de {match['month'].lower()}" + (f" de {match['year']}" if match["year"] else "")
        if written != match.group():
            yield Edit(*match.span(), written)
