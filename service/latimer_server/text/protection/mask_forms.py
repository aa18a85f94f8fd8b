"""Chooses the masks of protected spans: symbols that models copy, and stand-ins of the kind of a placeholder.

`make bench-placeholders` measures the sentences around stand-ins, `make bench-symbols` which symbols models copy. Pure
functions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType

from latimer_server.core.spans import TextSpan
from latimer_server.text.protection.counted_words import is_counted, is_numbered
from latimer_server.text.protection.placeholder_kinds import SpanKind, find_kind, is_unnamed

_NUMBERS = ("37", "58", "64", "83", "46", "29", "76", "95", "68", "34", "87", "53")
_DATES = ("17/05/2024", "23/08/2025", "14/11/2023", "28/02/2022")
_TIMES = ("10:45", "11:35", "10:25", "11:15")
_PEOPLE = ("Daniel", "Bruno", "Laura", "Martin", "Oscar", "Victor")
# A figure whose mask may be another number. One takes the singular.
_FIGURE = re.compile(r"(?!1(?![\d.,]))\d[\d.,]*%?")
_ARTICLE = re.compile(
    r"(?:^|\W)(?:the|an?|this|that|your|[oa]s?|uma?|d[oa]|n[oa]|est[ea]|[st]eu|[st]ua)\s$", re.IGNORECASE
)
# Stands for the number in a plural of ICU MessageFormat. Elsewhere a lone `#` is not protected.
PLURAL_SIGN = "#"
_CURRENCY = re.compile("[$€£¥₹][ \u00a0]?$")
# What divides two numbers of which one tells that the other is one too: `{current} of {total}`, `{0} to {1} of {2}`.
_TOTAL = re.compile(r"\s?(?:of|de|/)\s?|\s(?:to|a|até)\s|[-–]")
# Code points around a span in which these words are sought.
_WINDOW = 14
# Code points behind a span in which a plural is sought.
_LONG_WINDOW = 64


@dataclass(frozen=True)
class MaskForm:
    """The masks of protected spans.

    `template`: a mask in which `#` stands for its number. `series`: masks for placeholders of certain kinds. Spans
    beyond a series get masks of the template.
    """

    template: str
    series: Mapping[SpanKind, tuple[str, ...]] = field(default_factory=dict)


_SERIES = MappingProxyType(
    {SpanKind.NUMBER: _NUMBERS, SpanKind.DATE: _DATES, SpanKind.TIME: _TIMES, SpanKind.PERSON: _PEOPLE}
)
# Forms of masks, in the order in which they are tried. Only the first has stand-ins.
MASK_FORMS = (MaskForm("T-#", _SERIES), MaskForm("_#_"), MaskForm("XYZ#"), MaskForm("[#]"))


def choose_symbols(
    text: str, spans: Sequence[TextSpan], replacements: Sequence[str | None], form: MaskForm
) -> tuple[str, ...]:
    """Returns a mask for each protected span, in order. No mask is in the text already.

    The masks of templates are numbered from 1, or from a higher number. `replacements`: those of the spans, or ().
    """
    if not spans:
        return ()
    changes = replacements or (None,) * len(spans)
    kinds = _find_kinds(text, spans, [new is not None for new in changes])
    first = 1
    while any(_make_symbol(form.template, first + offset) in text for offset in range(len(spans))):
        first += len(spans) + 7
    unused = {
        kind: iter([symbol for symbol in series if symbol not in text])
        for kind, series in form.series.items()
        if kind in kinds
    }
    chosen = []
    for offset, (kind, span) in enumerate(zip(kinds, spans, strict=True)):
        symbol = _make_symbol(form.template, first + offset)
        symbol = next(unused[kind], symbol) if kind in unused else symbol
        chosen.append(symbol + "%" if symbol.isdigit() and text[span.end - 1] == "%" else symbol)
    return tuple(chosen)


def _find_kinds(text: str, spans: Sequence[TextSpan], replaced: Sequence[bool]) -> list[SpanKind]:
    """Returns the kind of each protected span. `replaced`: whether the span has a replacement."""
    kinds: list[SpanKind] = []
    for span, is_replaced in zip(spans, replaced, strict=True):
        kind = _find_kind(text, span, is_replaced=is_replaced)
        if kind is SpanKind.WORD:
            before, behind = text[max(0, span.start - _WINDOW) : span.start], text[span.end : span.end + _LONG_WINDOW]
            # Behind an article it may be the name of a kind, as in `the %s packages`.
            counts = is_unnamed(text[span.start : span.end]) and not _ARTICLE.search(before) and is_counted(behind)
            kind = SpanKind.NUMBER if counts or is_numbered(before) else kind
        kinds.append(kind)
    # Of `{current} of {total}` both are numbers if one is.
    joined = [_TOTAL.fullmatch(text, first.end, second.start) is not None for first, second in pairwise(spans)]
    for index in (*range(len(joined)), *reversed(range(len(joined)))):
        if joined[index] and {kinds[index], kinds[index + 1]} == {SpanKind.WORD, SpanKind.NUMBER}:
            kinds[index] = kinds[index + 1] = SpanKind.NUMBER
    return kinds


def _find_kind(text: str, span: TextSpan, *, is_replaced: bool) -> SpanKind:
    """Returns the kind of a protected span by its own text.

    A figure with a replacement is a number. An amount of money is none, since models write currencies in many ways. A
    name behind an article names a thing.
    """
    own, before = text[span.start : span.end], text[max(0, span.start - _WINDOW) : span.start]
    if own == PLURAL_SIGN:
        return SpanKind.NUMBER
    if is_replaced:
        return SpanKind.NUMBER if _FIGURE.fullmatch(own) and not _CURRENCY.search(before) else SpanKind.OTHER
    kind = find_kind(own)
    if kind is SpanKind.PERSON and _ARTICLE.search(before):
        return SpanKind.WORD
    return SpanKind.OTHER if kind is SpanKind.NUMBER and _CURRENCY.search(before) else kind


def _make_symbol(template: str, number: int) -> str:
    return template.replace("#", str(number))
