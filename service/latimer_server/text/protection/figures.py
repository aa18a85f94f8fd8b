"""Figures as protected spans that come out as the target language writes them: groups of thousands, and all figures
of a sentence whose numbers a model got wrong. Pure; knows no model.
"""

from __future__ import annotations

import re

from latimer_server.core.spans import TextSpan
from latimer_server.text.checks.numerals import find_decimal_mark
from latimer_server.text.protection.masking import ProtectedText, list_unprotected

# With the signs that models change along with them; a hyphen or dash between two of them is a range.
_FIGURE = re.compile(
    "(?<![\\w.,-])(?:(?:R|US|A|C|NZ|HK|MX)?\\$[ \u00a0]?|[€£¥₹₩₽][ \u00a0]?)?"
    "\\d++(?:[.,:'’ \u00a0\u202f/]\\d++|[-–]\\d++)*+(?:[ \u00a0]?(?:%|[€£¥₹₩₽]|°[CF]?))?(?![\\w.,]*\\w)"
)
# Groups of thousands, which models seldom write as the other language does: 1,234 and 1.234.567,8.
_GROUPED = {
    ".": re.compile("\\d{1,3}(?:,\\d{3})+(?!\\d)"),
    ",": re.compile("\\d{1,3}(?:\\.\\d{3})+(?!\\d)"),
}
_SWAPPED = str.maketrans(".,", ",.")


def protect_figures(
    guarded: ProtectedText, source_language: str, target_language: str, *, only_grouped: bool = False
) -> ProtectedText:
    """The same with every figure outside the spans protected, to come out in the writing of the target language.

    `only_grouped`: those only that have groups of thousands, and where the two languages write them differently.
    """
    mark = find_decimal_mark(source_language)
    swaps = {mark, find_decimal_mark(target_language)} == {".", ","}
    if only_grouped and not (swaps and _GROUPED[mark].search(guarded.text)):
        return guarded
    found: list[tuple[TextSpan, str | None]] = list(
        zip(guarded.spans, guarded.replacements or (None,) * len(guarded.spans), strict=True)
    )
    for part in list_unprotected(guarded):
        for match in _FIGURE.finditer(guarded.text, part.start, part.end):
            figure = match.group()
            if only_grouped and not _GROUPED[mark].search(figure):
                continue
            found.append((TextSpan(*match.span()), figure.translate(_SWAPPED) if swaps else figure))
    found.sort(key=lambda one: one[0].start)
    return ProtectedText(guarded.text, tuple(span for span, _ in found), tuple(text for _, text in found))
