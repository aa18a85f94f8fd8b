"""Chooses the masks of protected spans: symbols that models copy, and stand-ins of the kind of a placeholder.

`make bench-placeholders` measures the sentences around stand-ins, `make bench-symbols` which symbols models copy. Pure
functions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from latimer_server.core.spans import TextSpan
from latimer_server.text.protection.placeholder_kinds import SpanKind, find_kind

# The template of a mask, in which `#` stands for its number, or a series of masks.
Symbols = str | tuple[str, ...]
_NUMBERS = ("37", "58", "64", "83", "46", "29", "76", "95", "68", "34", "87", "53")
_PEOPLE = ("Daniel", "Bruno", "Laura", "Martin", "Oscar", "Victor")
# A figure whose mask may be another number. One takes the singular.
_FIGURE = re.compile(r"(?!1(?![\d.,]))\d[\d.,]*%?")
_ARTICLE = re.compile(
    r"(?:^|\W)(?:the|an?|this|that|your|[oa]s?|uma?|d[oa]|n[oa]|est[ea]|[st]eu|[st]ua)\s$", re.IGNORECASE
)
_CURRENCY = re.compile("[$€£¥₹][ \u00a0]?$")
# Code points before a span in which an article or a currency sign is sought.
_WINDOW = 6


@dataclass(frozen=True)
class MaskForm:
    """The masks of the kinds of protected spans: templates, or a series. Spans beyond a series get those of `word`."""

    number: Symbols
    person: Symbols
    word: str
    other: str

    def get_symbols(self, kind: SpanKind) -> Symbols:
        """Returns the template or the series of masks of a kind."""
        return {SpanKind.NUMBER: self.number, SpanKind.PERSON: self.person, SpanKind.WORD: self.word}.get(
            kind, self.other
        )


def make_form(template: str) -> MaskForm:
    """Returns the form in which the masks of all kinds have one template."""
    return MaskForm(template, template, template, template)


# Forms of masks, in the order in which they are tried. Only the first has stand-ins.
MASK_FORMS = (
    MaskForm(_NUMBERS, _PEOPLE, "XYZ#", "T-#"),
    make_form("_#_"),
    MaskForm("T-#", "T-#", "T-#", "XYZ#"),
    make_form("[#]"),
)


def choose_symbols(
    text: str, spans: Sequence[TextSpan], replacements: Sequence[str | None], form: MaskForm
) -> tuple[str, ...]:
    """Returns a mask for each protected span, in order. No mask is in the text already.

    The masks of templates are numbered from 1, or from a higher number. `replacements`: those of the spans, or ().
    """
    if not spans:
        return ()
    changes = replacements or (None,) * len(spans)
    kinds = [_find_kind(text, span, is_replaced=new is not None) for span, new in zip(spans, changes, strict=True)]
    templates = {one for one in (form.number, form.person, form.word, form.other) if isinstance(one, str)}
    first = 1
    while any(_make_symbol(one, first + offset) in text for one in templates for offset in range(len(spans))):
        first += len(spans) + 7
    series = {kind: form.get_symbols(kind) for kind in set(kinds)}
    unused = {
        kind: iter([symbol for symbol in symbols if symbol not in text])
        for kind, symbols in series.items()
        if not isinstance(symbols, str)
    }
    chosen = []
    for offset, (kind, span) in enumerate(zip(kinds, spans, strict=True)):
        template = series[kind]
        symbol = _make_symbol(template if isinstance(template, str) else form.word, first + offset)
        symbol = next(unused[kind], symbol) if kind in unused else symbol
        chosen.append(symbol + "%" if symbol.isdigit() and text[span.end - 1] == "%" else symbol)
    return tuple(chosen)


def _find_kind(text: str, span: TextSpan, *, is_replaced: bool) -> SpanKind:
    """Returns the kind of a protected span.

    A figure with a replacement is a number. An amount of money is none, since models write currencies in many ways. A
    name behind an article names a thing.
    """
    own, before = text[span.start : span.end], text[max(0, span.start - _WINDOW) : span.start]
    if is_replaced:
        return SpanKind.NUMBER if _FIGURE.fullmatch(own) and not _CURRENCY.search(before) else SpanKind.OTHER
    kind = find_kind(own)
    if kind is SpanKind.PERSON and _ARTICLE.search(before):
        return SpanKind.WORD
    return SpanKind.OTHER if kind is SpanKind.NUMBER and _CURRENCY.search(before) else kind


def _make_symbol(template: str, number: int) -> str:
    return template.replace("#", str(number))
