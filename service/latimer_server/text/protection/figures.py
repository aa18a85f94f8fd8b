"""Protects figures of a source, so that the output has them in the notation of the target language.

Used for the figures that a model got wrong and that could not be repaired in its output. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from latimer_server.core.spans import TextSpan
from latimer_server.text.checks.numerals import FIGURES, find_decimal_mark
from latimer_server.text.figures.currency import has_currency_sign
from latimer_server.text.figures.notation import CONTEXT, convert_figure
from latimer_server.text.protection.masking import ProtectedText, list_unprotected

# A number in digits with its currency, percent or degree sign, which models change along with it. A range such as 3-5
# is one match.
_FIGURE = re.compile(
    "(?<![\\w.,-])(?:(?:R|US|A|C|NZ|HK|MX)?\\$[ \u00a0]?|[€£¥₹₩₽][ \u00a0]?)?"
    "\\d++(?:[.,:'’ \u00a0\u202f/]\\d++|[-–]\\d++)*+(?:[ \u00a0]?(?:%|[€£¥₹₩₽]|°[CF]?))?(?![\\w.,]*\\w)"
)


def protect_figures(
    guarded: ProtectedText, source_language: str, target_language: str, only: Sequence[TextSpan] = ()
) -> ProtectedText:
    """Returns the text with the figures outside its protected spans protected too.

    Their replacement is in the notation of the target language. Languages are BCP-47 codes. `only`: ascending spans;
    protects only figures that overlap one of them, or all if there is none.
    """
    marks = find_decimal_mark(source_language), find_decimal_mark(target_language)
    pairs: list[tuple[TextSpan, str | None]] = list(
        zip(guarded.spans, guarded.replacements or (None,) * len(guarded.spans), strict=True)
    )
    chosen = iter(only)
    wanted = next(chosen, None)
    for part in list_unprotected(guarded):
        for match in _FIGURE.finditer(guarded.text, part.start, part.end):
            while wanted is not None and wanted.end <= match.start():
                wanted = next(chosen, None)
            if only and (wanted is None or wanted.start >= match.end()):
                continue
            pairs.append((TextSpan(*match.span()), _convert_all(match.group(), guarded.text, match.start(), marks)))
    pairs.sort(key=lambda pair: pair[0].start)
    return ProtectedText(guarded.text, tuple(span for span, _ in pairs), tuple(text for _, text in pairs))


def _convert_all(figure: str, text: str, start: int, marks: tuple[str, str]) -> str:
    """Returns a figure, which begins at offset `start` of `text`, with each of its numbers converted."""
    is_money = has_currency_sign(figure)
    before = text[max(0, start - CONTEXT) : start]
    return FIGURES.sub(lambda match: convert_figure(match.group(), marks, before, is_money=is_money), figure)
