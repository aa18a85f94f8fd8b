"""Protects figures, and writes them in the output as the target language does.

Used for groups of thousands, and for all figures of a sentence after a model got its numbers wrong. Pure functions.
"""

from __future__ import annotations

import re

from latimer_server.core.spans import TextSpan
from latimer_server.text.checks.numerals import find_decimal_mark
from latimer_server.text.protection.masking import ProtectedText, list_unprotected

# A figure with its currency, percent or degree sign, which models change along with it. A hyphen or dash between two
# figures makes a range.
_FIGURE = re.compile(
    "(?<![\\w.,-])(?:(?:R|US|A|C|NZ|HK|MX)?\\$[ \u00a0]?|[€£¥₹₩₽][ \u00a0]?)?"
    "\\d++(?:[.,:'’ \u00a0\u202f/]\\d++|[-–]\\d++)*+(?:[ \u00a0]?(?:%|[€£¥₹₩₽]|°[CF]?))?(?![\\w.,]*\\w)"
)
# Groups of thousands, by the language's decimal mark: 1,234 and 1.234.567,8. Models seldom convert them.
_GROUPED = {
    ".": re.compile("\\d{1,3}(?:,\\d{3})+(?!\\d)"),
    ",": re.compile("\\d{1,3}(?:\\.\\d{3})+(?!\\d)"),
}
_SWAPPED = str.maketrans(".,", ",.")


def protect_figures(
    guarded: ProtectedText, source_language: str, target_language: str, *, only_grouped: bool = False
) -> ProtectedText:
    """Returns the text with the figures outside its spans protected, replaced by the target language's notation.

    `only_grouped`: protects only figures with groups of thousands, and only if the two languages write them
    differently.
    """
    mark = find_decimal_mark(source_language)
    swaps = {mark, find_decimal_mark(target_language)} == {".", ","}
    if only_grouped and not (swaps and _GROUPED[mark].search(guarded.text)):
        return guarded
    pairs: list[tuple[TextSpan, str | None]] = list(
        zip(guarded.spans, guarded.replacements or (None,) * len(guarded.spans), strict=True)
    )
    for part in list_unprotected(guarded):
        for match in _FIGURE.finditer(guarded.text, part.start, part.end):
            figure = match.group()
            if only_grouped and not _GROUPED[mark].search(figure):
                continue
            pairs.append((TextSpan(*match.span()), figure.translate(_SWAPPED) if swaps else figure))
    pairs.sort(key=lambda pair: pair[0].start)
    return ProtectedText(guarded.text, tuple(span for span, _ in pairs), tuple(text for _, text in pairs))
